import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Protocol

import pytest
from prometheus_client import REGISTRY

from deployments.cursor import item_hashes
from deployments.exposures import Exposures, open_exposures
from deployments.question import Answer, Degradation, Question
from deployments.service import Service
from deployments.settings import BatchSettings, ExposureSettings
from recsys.core.ports import free_ports
from recsys.core.pseudonyms import Pseudonyms
from recsys.eventlog.exposure import SCHEMA, Exposure
from recsys.eventlog.exposure_reader import scan_exposures
from recsys.eventlog.exposure_writer import ExposureConfig
from recsys.lake.open import open_lake
from recsys.state.sqlite import SqliteUserState
from recsys.streams.ingest import Ingest, IngestConfig
from recsys.streams.reading import open_reading
from recsys.streams.topics import TopicSettings

NOW_S = 1_000_000.0
PSEUDONYMS = Pseudonyms(b"k" * 32)

question = partial(replace, Question(request_id="r", now_s=NOW_S, top_n=3))


class Replica(Protocol):
    service: Service


Replicas = Callable[..., Replica]


class Taken:
    """What exposures are offered to."""

    def __init__(self) -> None:
        self.batches: list[Callable[[], Sequence[Exposure]]] = []
        self.sizes: list[tuple[int, int]] = []
        self.exposures = Exposures(self.offer, PSEUDONYMS)

    def offer(self, exposures: Callable[[], Sequence[Exposure]], n_rows: int, n_bytes: int) -> bool:
        self.batches.append(exposures)
        self.sizes.append((n_rows, n_bytes))
        return True

    def rows(self) -> list[Exposure]:
        return [exposure for batch in self.batches for exposure in batch()]


def answers(replica: Replica, *questions: Question) -> list[Answer]:
    async def run() -> list[Answer]:
        return list(await asyncio.gather(*(replica.service.router.answer(each) for each in questions)))

    return asyncio.run(run())


def test_every_answer_of_a_batch_leaves_one_exposure_and_no_name(replica_of: Replicas) -> None:
    taken = Taken()
    replica = replica_of(exposures=taken.exposures, batch=BatchSettings(max_size=8))
    shown = item_hashes(["i9", "i10"])
    asked = [
        question(request_id="1", user_id="ada", context="home"),
        question(request_id="2", shown=shown, top_n=2),
    ]
    first, second = answers(replica, *asked)
    assert len(taken.batches) == 1
    assert taken.rows() == [
        Exposure(
            "1", NOW_S, PSEUDONYMS.of("ada"), "stable", "b" * 16, "recommend", "home", 0,
            override=False, cached=False, degraded=[],
            item_ids=["i3", "i4", "i5"], scores=[-3.0, -4.0, -5.0], sources=["sequential"] * 3,
            propensities=[1.0] * 3, experiments=[],
        ),
        Exposure(
            "2", NOW_S, None, "stable", "b" * 16, "recommend", None, 2,
            override=False, cached=False, degraded=[],
            item_ids=["i1", "i2"], scores=[-1.0, -2.0], sources=["sequential"] * 2, propensities=[1.0] * 2,
            experiments=[],
        ),
    ]  # fmt: skip
    assert [item.item_id for item in first.items + second.items] == ["i3", "i4", "i5", "i1", "i2"]
    assert "ada" not in repr(taken.rows())


def test_the_session_is_told_by_a_pseudonym_only_when_nobody_is_named() -> None:
    taken = Taken()
    asked = [
        question(session_id="s1"),
        question(session_id="s1", user_id="ada"),
        question(user_id="ada"),
        question(),
    ]
    taken.exposures.served(asked, [Answer("r", [], "stable", "b", None, [])] * 4)
    assert [row.session_pseudonym for row in taken.rows()] == [PSEUDONYMS.of_session("s1"), None, None, None]


def test_the_experiments_of_an_answer_stand_in_the_exposure_with_their_arms() -> None:
    taken = Taken()
    dealt = {"variety": "more", "source": "old"}
    answer = Answer("r", [], "stable", "b", None, [], experiments=dealt)
    taken.exposures.served([question(), question()], [answer, replace(answer, experiments={})])
    assert [row.experiments for row in taken.rows()] == [["variety=more", "source=old"], []]


def test_what_was_missing_stands_in_the_exposure(replica_of: Replicas) -> None:
    taken = Taken()
    answers(replica_of(exposures=taken.exposures, recall="down"), question())
    assert [row.degraded for row in taken.rows()] == [["recall: ActorDiedError"]]


def test_a_popular_list_is_marked_as_made_for_nobody(replica_of: Replicas) -> None:
    taken = Taken()
    answer = replica_of(exposures=taken.exposures).service.router.popular(question())
    answer.degraded.append(Degradation("item", "unknown item"))  # as for /similar
    [row] = taken.rows()
    assert (row.call, row.item_ids, row.degraded) == ("popular", ["i3", "i1", "i4"], ["item: unknown item"])


def test_what_is_held_is_counted_by_answers_and_items(replica_of: Replicas) -> None:
    taken = Taken()
    answers(replica_of(exposures=taken.exposures), question(top_n=3, exclude_ids=("x" * 256,) * 1_000))
    answers(replica_of(exposures=taken.exposures), question(top_n=1))
    [(n_rows, three), (_, one)] = taken.sizes
    assert n_rows == 1
    assert three - one == 2 * 160


LONG_AGO = ExposureConfig(keep_days=1e6)  # the clock of the questions stands in 1970


def published(fate: str = "written") -> float:
    return REGISTRY.get_sample_value("marquee_exposures_published_total", {"fate": fate}) or 0.0


def written() -> float:
    return REGISTRY.get_sample_value("marquee_exposures_total", {"fate": "written"}) or 0.0


def test_a_router_that_is_closed_has_written_all_it_answered(replica_of: Replicas, tmp_path: Path) -> None:
    settings = ExposureSettings(folder=tmp_path / "exposures", files=LONG_AGO)
    replica = replica_of(exposures=open_exposures(settings, "w"))
    before = written()
    answers(replica, *(question(request_id=f"{number}", user_id="ada") for number in range(20)))
    replica.service.router.close()
    frame = scan_exposures(tmp_path / "exposures").collect()
    assert sorted(frame["request_id"], key=int) == [f"{number}" for number in range(20)]
    assert set(frame["user_pseudonym"]) == {Pseudonyms.of_file(tmp_path / "exposures.key").of("ada")}
    assert written() - before == 20
    replica.service.router.close()  # again, as Python may do


def test_exposures_are_off_without_a_folder() -> None:
    assert open_exposures(ExposureSettings(), "w") is None


@pytest.mark.slow
def test_what_is_published_comes_to_the_lake_as_it_stands_in_the_files(
    replica_of: Replicas, tmp_path: Path, kafka_address: str
) -> None:
    pytest.importorskip("deltalake", reason="the extra lake is not installed")
    lake = open_lake(tmp_path / "lake", make=True)
    reading = open_reading(
        kafka_address,
        lake,
        group="test",
        member=None,
        topics=TopicSettings(partitions=2),
        letters=tmp_path / "none",
        is_ending=lambda: False,
    )
    with SqliteUserState(tmp_path / "state.db") as state:
        ingest = Ingest(reading.source, state, lake, reading.letters, config=IngestConfig(batch_s=0.2))
        settings = ExposureSettings(folder=tmp_path / "exposures", files=LONG_AGO, topic=kafka_address)
        replica = replica_of(exposures=open_exposures(settings, "w"))
        before = published()
        answers(replica, *(question(request_id=f"{number}", user_id="ada") for number in range(20)))
        replica.service.router.close()
        assert published() - before == 20
        while not ingest.is_done:
            ingest.step()
        reading.source.close()
    assert ingest.figures.fates == {"exposure": 20}
    rows = lake.read("exposures").select(*SCHEMA)
    assert rows.sort("request_id").equals(scan_exposures(tmp_path / "exposures").collect().sort("request_id"))


@pytest.mark.slow
def test_a_broker_that_is_away_costs_no_answer_and_no_file(replica_of: Replicas, tmp_path: Path) -> None:
    pytest.importorskip("confluent_kafka", reason="the extra kafka is not installed")
    nobody = f"kafka://127.0.0.1:{free_ports(1)[0]}/nobody"
    settings = ExposureSettings(folder=tmp_path / "exposures", files=LONG_AGO, topic=nobody)
    replica = replica_of(exposures=open_exposures(settings, "w"))
    before = published("dropped")
    answers(replica, question(user_id="ada"))
    replica.service.router.close()
    assert scan_exposures(tmp_path / "exposures").collect().height == 1
    assert published("dropped") - before == 1
