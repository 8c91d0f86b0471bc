import json
from pathlib import Path

import polars as pl
import pytest

pytest.importorskip("deltalake", reason="needs the extra lake")

from recsys.core.errors import DataFormatError, RecsysError
from recsys.data.events import Event, EventKind
from recsys.lake.delta import Delta
from recsys.lake.lake import Lake
from recsys.lake.layout import EVENTS, LakeConfig, Layout
from recsys.lake.place import place_of

OLDER = Layout(
    "events",
    pl.Schema(
        {name: dtype for name, dtype in EVENTS.columns.items() if name not in ("request_id", "retracts")}
    ),
    EVENTS.key,
    EVENTS.time,
    by_day=True,
)
NEWER = Layout(
    "events",
    pl.Schema({**EVENTS.columns, "mood": pl.String()}),
    EVENTS.key,
    EVENTS.time,
    by_day=True,
)


def liked(event_id: str, user_id: str = "ada") -> Event:
    return Event(event_id=event_id, user_id=user_id, kind=EventKind.LIKE, time_s=5.0, item_id="heat")


def written_by(layout: Layout, root: Path) -> Lake:
    """Return a lake whose events were written by a program of another version."""
    delta = Delta(place_of(root), layout, LakeConfig())
    delta.create()
    row: dict[str, object] = {
        "event_id": "e0", "user_id": "bob", "kind": "like", "time_s": 5.0, "item_id": "ran", "mood": "good",
    }  # fmt: skip
    rows = pl.DataFrame([row | dict.fromkeys(set(layout.stored) - set(row))], schema=layout.stored)
    assert delta.append(delta.at(), rows, source="log", upto=1)
    return Lake(root)


def said_to(root: Path, action: dict[str, object]) -> None:
    """Add a commit to the log of the events as another program would."""
    log = root / "events" / "_delta_log"
    (log / f"{len(list(log.glob('*.json'))):020d}.json").write_text(json.dumps(action) + "\n")


def test_a_table_of_an_older_version_gets_the_columns_it_lacks(tmp_path: Path) -> None:
    lake = written_by(OLDER, tmp_path)
    assert lake.dataset().interactions["item_id"].to_list() == ["ran"]
    assert lake.events.append([liked("e1")], source="log", upto=2) == 1
    rows = lake.read("events").sort("event_id")
    assert rows["event_id"].to_list() == ["e0", "e1"]
    assert rows["retracts"].to_list() == [None, None]
    back = Event(event_id="r", user_id="bob", kind=EventKind.RETRACTION, time_s=9.0, retracts="e0")
    lake.events.append([back], source="log", upto=3)
    assert lake.dataset().interactions["item_id"].to_list() == ["heat"]


def test_a_column_that_a_newer_version_added_is_read_past_and_never_lost(tmp_path: Path) -> None:
    lake = written_by(NEWER, tmp_path)
    assert lake.dataset().interactions["item_id"].to_list() == ["ran"]
    with pytest.raises(DataFormatError, match=r"mood too, of a newer version: update this program"):
        lake.events.append([liked("e1")], source="log", upto=2)
    lake.compact()
    lake.erase("ada", 9.0)
    assert lake.read("events")["mood"].to_list() == ["good"]


def test_an_erasure_keeps_the_columns_of_a_newer_version_for_the_others(tmp_path: Path) -> None:
    lake = written_by(NEWER, tmp_path)
    newer = Delta(place_of(tmp_path), NEWER, LakeConfig())
    row = lake.read("events").with_columns(user_id=pl.lit("eve"))
    assert newer.append(newer.at(), row)
    assert lake.erase("bob", 9.0).n_events == 1
    assert lake.read("events").select("user_id", "mood").rows() == [("eve", "good")]


def test_a_format_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    delta = Delta(place_of(tmp_path), EVENTS, LakeConfig())
    delta.create({"marquee.formatVersion": "2"})
    for refused in (
        lambda: Lake(tmp_path).dataset(),
        lambda: Lake(tmp_path).events.append([liked("e1")], source="log", upto=1),
        lambda: Lake(tmp_path).versions(),
    ):
        with pytest.raises(DataFormatError, match="format version 2: update this program"):
            refused()


def test_a_delta_protocol_of_the_future_is_refused(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    lake.events.append([liked("e1")], source="log", upto=1)
    features = ["timeTravelToMars"]
    said_to(
        tmp_path,
        {
            "protocol": {
                "minReaderVersion": 3,
                "minWriterVersion": 7,
                "readerFeatures": features,
                "writerFeatures": features,
            }
        },
    )
    for refused in (lake.dataset, lambda: lake.events.append([liked("e2")], source="log", upto=2)):
        with pytest.raises(DataFormatError, match=r"timeTravelToMars.*update this program"):
            refused()


def test_a_protocol_that_only_writers_do_not_know_can_be_read(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    lake.events.append([liked("e1")], source="log", upto=1)
    said_to(
        tmp_path,
        {"protocol": {"minReaderVersion": 1, "minWriterVersion": 7, "writerFeatures": ["inkThatFades"]}},
    )
    assert lake.dataset().interactions.height == 1
    with pytest.raises(DataFormatError, match=r"update this program"):
        lake.events.append([liked("e2")], source="log", upto=2)


def test_a_log_that_is_no_log_is_one_sentence(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    lake.events.append([liked("e1")], source="log", upto=1)
    (tmp_path / "events" / "_delta_log" / f"{1:020d}.json").write_bytes(b"\x00broken")
    with pytest.raises(RecsysError, match="events"):
        lake.dataset()
