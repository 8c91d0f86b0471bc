"""What only a lake in a bucket does; what all lakes do: the other tests here, over both."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import polars as pl
import pytest

pytest.importorskip("deltalake", reason="needs the extra lake")
pytest.importorskip("obstore", reason="needs the extra objects")

from recsys.core.errors import DataFormatError, FieldError, UnavailableError
from recsys.data.badrows import OnBadRow
from recsys.data.events import Event, EventKind
from recsys.features.sources import source_of
from recsys.lake.delta import Delta, Snapshot
from recsys.lake.lake import Lake
from recsys.lake.open import is_lake, open_lake
from recsys.lake.place import BucketPlace, place_of

DAY_S = 86_400.0
AWAY = "http://127.0.0.1:9"  # nobody listens there


def liked(event_id: str, user_id: str = "ada", *, time_s: float = DAY_S) -> Event:
    return Event(event_id=event_id, user_id=user_id, kind=EventKind.LIKE, time_s=time_s, item_id="heat")


@pytest.fixture
def root(bucket_address: str) -> str:
    return f"{bucket_address}/lake"


@pytest.fixture
def lake(root: str) -> Lake:
    lake = Lake(root)
    lake.events.append([liked("e1"), liked("e2", "bob")], source="log", upto=2)
    return lake


@pytest.fixture
def refusing(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Run a server that knows nobody's key, as S3 says it, and point the environment to it."""

    class Refusal(BaseHTTPRequestHandler):
        def answer(self) -> None:
            said = b"<Error><Code>InvalidAccessKeyId</Code></Error>"
            self.send_response(403)
            self.send_header("Content-Length", str(len(said)))
            self.end_headers()
            self.wfile.write(said)

        do_GET = do_PUT = do_HEAD = do_POST = answer  # noqa: N815 - their names there

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name there
            del format, args

    server = ThreadingHTTPServer(("127.0.0.1", 0), Refusal)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(
    "address",
    ["gs://bucket/lake", "s3://", "s3:///lake", "s3://bucket/la ke", "s3://bucket/*", "kafka://b/t"],
)
def test_an_address_of_no_lake_is_refused(address: str) -> None:
    with pytest.raises(FieldError, match="s3://bucket/prefix"):
        is_lake(address)


def test_the_same_place_with_a_slash_at_its_end_is_the_same_lake(root: str, lake: Lake) -> None:
    assert open_lake(f"{root}/").identity() == lake.identity()


def test_a_bucket_without_a_lake_is_none(bucket_address: str) -> None:
    assert not is_lake(bucket_address)
    with pytest.raises(DataFormatError, match="looked for a lake"):
        open_lake(bucket_address)


def uses(root: str, file: str) -> list[Callable[[], object]]:
    again = Lake(root)
    return [
        lambda: is_lake(root),
        again.dataset,
        lambda: again.events.append([liked("e3")], source="log", upto=3),
        lambda: again.erase("ada", DAY_S),
        lambda: again.events_in(file, slice(0, 1)),
        lambda: list(place_of(root).copies()),
    ]


@pytest.mark.parametrize("trouble", ["away", "refusing", "no such bucket"])
def test_a_bucket_that_does_not_answer_is_one_sentence(
    root: str, lake: Lake, refusing: str, trouble: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = lake.files("events")["path"][0]
    if trouble == "no such bucket":
        root, file = (text.replace("s3://models", "s3://nobodys") for text in (root, file))
    else:
        monkeypatch.setenv("AWS_ENDPOINT_URL", AWAY if trouble == "away" else refusing)
    for use in uses(root, file)[:: 3 if trouble == "away" else 1]:  # each tries for a second
        with pytest.raises(UnavailableError, match=r"lake .*is unavailable") as raised:
            use()
        assert "\n" not in str(raised.value)
        assert "\x1b" not in str(raised.value)


def test_many_may_make_the_tables_at_once(root: str) -> None:
    def append(n: int) -> int:
        return Lake(root).events.append([liked(f"e{n}")], source=f"s{n}", upto=1)

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(append, range(4))) == [1] * 4
    assert sorted(Lake(root).read("events")["event_id"]) == ["e0", "e1", "e2", "e3"]


def test_threads_may_share_a_lake(lake: Lake) -> None:
    def append(n: int) -> int:
        return lake.events.append([liked("same"), liked(f"n{n}")], source=f"s{n}", upto=1)

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(append, range(4))) == [1, 1, 1, 2]


@pytest.mark.parametrize("setting", [None, "AWS_S3_ALLOW_UNSAFE_RENAME", "AWS_CONDITIONAL_PUT"])
def test_who_commits_second_is_refused_whatever_the_environment_says(
    root: str, lake: Lake, setting: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    if setting is not None:
        monkeypatch.setenv(setting, "disabled" if setting == "AWS_CONDITIONAL_PUT" else "true")
    delta = Lake(root).events.delta
    first, second = delta.at(), delta.at()
    rows = first.read()
    assert delta.append(first, rows.with_columns(event_id=pl.lit("first")))
    assert not delta.append(second, rows.with_columns(event_id=pl.lit("second")))
    assert set(delta.at().read()["event_id"]) == {"e1", "e2", "first"}


CHANGES: dict[str, Callable[[Delta, Snapshot], object]] = {
    "fence": Delta.fence,
    "replace a day": lambda delta, snapshot: delta.replace_day(snapshot, date(1970, 1, 2), snapshot.read()),
    "empty a day": lambda delta, snapshot: delta.replace_day(
        snapshot, date(1970, 1, 2), snapshot.read().clear()
    ),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_no_change_is_made_on_a_version_that_is_not_the_newest(
    lake: Lake, change: Callable[[Delta, Snapshot], object]
) -> None:
    lake.events.append([liked("e3")], source="log", upto=3)
    delta = lake.events.delta
    before = delta.at()
    lake.events.append([liked("e4")], source="log", upto=4)
    assert not change(delta, before)
    assert change(delta, delta.at())


def test_rows_that_come_during_a_compaction_are_no_obstacle(lake: Lake) -> None:
    lake.events.append([liked("e3")], source="log", upto=3)
    before = lake.events.delta.at()
    lake.events.append([liked("e4")], source="log", upto=4)
    assert lake.events.delta.compact(before) == {"removed": 2, "added": 1}
    assert sorted(lake.read("events")["event_id"]) == ["e1", "e2", "e3", "e4"]


def test_a_compaction_whose_files_were_deleted_as_unused_cannot_commit_them(root: str, lake: Lake) -> None:
    lake.events.append([liked("e3")], source="log", upto=3)
    delta = lake.events.delta
    before = delta.at()
    assert delta.fence(delta.at())
    assert delta.compact(before) is None
    before = delta.at()
    assert Lake(root).erase("bob", 9 * DAY_S).n_events == 1
    assert delta.compact(before) is None
    assert sorted(lake.read("events")["event_id"]) == ["e1", "e3"]


def test_what_a_writer_has_not_committed_when_files_are_deleted_it_cannot_commit(
    root: str, lake: Lake
) -> None:
    lake.events.append([liked("e3")], source="log", upto=3)
    lake.compact()
    delta = lake.events.delta
    slow = delta.at()  # it may have written files by now, which vacuum deletes
    assert Lake(root).vacuum(keep_days=0) == {"events": 2}
    assert not delta.append(slow, slow.read())


def test_a_vacuum_that_was_overtaken_looks_again(
    root: str, lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    delta, other = lake.events.delta, Lake(root)
    fence = delta.fence
    lake.events.append([liked("e3")], source="log", upto=3)
    lake.compact()  # which leaves files that nobody needs
    overtaking = [[liked("e4")]]

    def overtaken(*given: object) -> bool:
        if overtaking:
            other.events.append(overtaking.pop(), source="log", upto=4)
        return fence(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(delta, "fence", overtaken)
    lake.vacuum(keep_days=0)
    assert sorted(lake.read("events")["event_id"]) == ["e1", "e2", "e3", "e4"]


def test_who_is_erased_while_a_batch_of_theirs_is_under_way_does_not_come_in(
    root: str, lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    admit, erasers = lake.events._admit, [Lake(root)]

    def erased_meanwhile(rows: pl.DataFrame) -> pl.DataFrame:
        admitted = admit(rows)
        if erasers:
            assert erasers.pop().erase("ada", 9 * DAY_S).n_events == 1
        return admitted

    monkeypatch.setattr(lake.events, "_admit", erased_meanwhile)
    assert lake.events.append([liked("e3"), liked("e4", "bob")], source="log", upto=4) == 1
    assert sorted(lake.read("events")["event_id"]) == ["e2", "e4"]


def test_who_looked_before_an_erasure_commits_nothing_behind_its_search(
    root: str, lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = Lake(root).events.delta
    before = slow.at()
    theirs = before.read().head(1).with_columns(user_id=pl.lit("carl"))
    refused = []
    vacuum = lake.events.delta.vacuum

    def after_the_search(*given: object, **named: object) -> object:
        refused.append(not slow.append(before, theirs))
        return vacuum(*given, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(lake.events.delta, "vacuum", after_the_search)
    lake.erase("carl", 9 * DAY_S)
    assert refused == [True]
    assert "carl" not in set(lake.read("events")["user_id"])


def test_files_that_went_while_their_keys_were_to_be_read_are_looked_up_again(
    root: str, lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    late, compacters = Lake(root), [lake]
    lake.events.append([liked("e3")], source="log", upto=3)
    at = late.events.delta.at

    def compacted_meanwhile(version: int | None = None) -> object:
        snapshot = at(version)
        if compacters:
            other = compacters.pop()
            other.compact()
            other.vacuum(keep_days=0)
        return snapshot

    monkeypatch.setattr(late.events.delta, "at", compacted_meanwhile)
    assert late.events.append([liked("e3"), liked("e4")], source="log", upto=4) == 1
    assert sorted(lake.read("events")["event_id"]) == ["e1", "e2", "e3", "e4"]


def test_features_read_the_lake_piece_by_piece(root: str, lake: Lake) -> None:
    source = source_of(root, on_bad_row=OnBadRow.FAIL, now_s=1e9, rows_per_piece=1)
    read = [source.read(piece)[0] for piece in source.pieces()]
    assert sorted(rows["user_id"].item() for rows in read) == ["ada", "bob"]
    assert source.items()["item_id"].to_list() == ["heat"]
    with pytest.raises(DataFormatError, match="looked for a lake"):
        source_of(f"{root}-none", on_bad_row=OnBadRow.FAIL, now_s=1e9)


def test_copies_of_files_do_not_stay_on_this_machine(root: str, lake: Lake) -> None:
    place = place_of(root)
    assert isinstance(place, BucketPlace)
    paths = []
    for address, copy in place.copies():
        assert address.startswith(f"{root}/events/")
        assert copy.is_file()
        paths.append(copy)
    assert len(paths) == 3  # two commits, one file of rows
    assert not any(path.exists() for path in paths)
