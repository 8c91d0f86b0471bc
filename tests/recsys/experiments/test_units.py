from collections.abc import Sequence
from pathlib import Path

import polars as pl
import pytest

from recsys.core.clock import SECONDS_PER_DAY
from recsys.core.errors import NotFoundError
from recsys.core.pseudonyms import Pseudonyms
from recsys.data.events import Event, EventKind
from recsys.eventlog.exposure import Exposure, chunk_of, frame_of
from recsys.eventlog.exposure_files import write_exposures
from recsys.experiments.feedback import Records, join_feedback
from recsys.experiments.list_facts import list_facts
from recsys.experiments.reactions import reactions_of, usable
from recsys.experiments.units import METRICS, Coverage, Units, coverage, experiment_facts, units_of

PSEUDONYMS = Pseudonyms(b"k" * 32)
START_S = 100 * SECONDS_PER_DAY
ADA, BOB = PSEUDONYMS.of("ada"), PSEUDONYMS.of("bob")


def served(
    request_id: str,
    days: float = 0.0,
    who: str = "ada",
    items: Sequence[str] = ("a", "b"),
    *,
    arm: str = "stable",
    experiments: Sequence[str] = (),
    context: str | None = None,
) -> Exposure:
    return Exposure(
        request_id, START_S + days * SECONDS_PER_DAY, PSEUDONYMS.of(who), arm, "b", "recommend", context, 0,
        override=False, cached=False, degraded=[], item_ids=items, scores=[1.0] * len(items),
        sources=["svd"] * len(items), propensities=[1.0] * len(items), experiments=experiments,
    )  # fmt: skip


def watch(request_id: str, item_id: str = "a", days: float = 0.01, who: str = "ada") -> Event:
    return Event(
        event_id=f"{request_id}{item_id}", user_id=who, kind=EventKind.WATCH, item_id=item_id, value=0.5,
        time_s=START_S + days * SECONDS_PER_DAY, request_id=request_id,
    )  # fmt: skip


def joined(exposures: Sequence[Exposure], events: Sequence[Event] = ()) -> Records:
    return join_feedback(frame_of([chunk_of(exposures)]).lazy(), usable(reactions_of(events, PSEUDONYMS)))


def units(exposures: Sequence[Exposure], events: Sequence[Event] = ()) -> Units:
    return units_of(list_facts(joined(exposures, events)), start_s=START_S)


def test_a_unit_sums_up_its_lists() -> None:
    lists = [served("1"), served("2", 0.5, items=["c"]), served("3", 0.1, "bob", arm="canary")]
    found = units(lists, [watch("1"), watch("2", "c", 0.6)])
    wanted = {
        "watch_rate": [(2.0, 3.0), (0.0, 2.0)],
        "watch_time": [(1.0, 1.0), (0.0, 1.0)],
        "lists": [(2.0, 1.0), (1.0, 1.0)],
        "hit_rate": [(2.0, 2.0), (0.0, 1.0)],
        "ndcg": [(2.0, 2.0), (0.0, 1.0)],
    }
    for metric, rows in wanted.items():
        table = found.of(metric)
        assert table.select("unit", "arm").rows() == [(ADA, "stable"), (BOB, "canary")]
        assert table.select("numerator", "denominator").rows() == rows


def test_every_metric_makes_a_table_of_the_same_shape() -> None:
    found = units([served("1")])
    columns = ["unit", "arm", "day", "context", "numerator", "denominator", "pre"]
    assert all(found.of(metric).columns == columns for metric in METRICS)
    assert found.of("tags")["numerator"].to_list() == [None]  # nobody said which tags there are


def test_a_metric_that_is_not_there_is_refused_with_those_that_are() -> None:
    with pytest.raises(NotFoundError, match="no metric named 'joy'; there are: watch_rate, click_rate"):
        units([served("1")]).of("joy")


def test_a_unit_that_saw_two_arms_belongs_to_the_first_with_all_it_did_and_is_counted() -> None:
    lists = [served("2", 0.2), served("1", 0.1, arm="canary"), served("3", 0.1, "bob")]
    found = units(lists, [watch("2", days=0.3)])
    table = found.of("watch_rate").select("unit", "arm", "numerator", "denominator")
    assert set(table.rows()) == {(ADA, "canary", 1.0, 4.0), (BOB, "stable", 0.0, 2.0)}
    assert found.n_crossed == 1


def test_day_and_context_are_those_of_the_first_list() -> None:
    lists = [served("1", 1.9, context="home"), served("2", 3.0, context="search"), served("3", 0.0, "bob")]
    table = units(lists).of("lists").sort("day")
    assert table.select("unit", "day", "context").rows() == [(BOB, 0, None), (ADA, 1, "home")]


def write(folder: Path, exposures: Sequence[Exposure]) -> None:
    for number, exposure in enumerate(exposures):
        write_exposures(folder, "w", number, frame_of([chunk_of([exposure])]))


def test_the_past_is_that_of_the_same_unit_and_ends_when_the_experiment_begins(tmp_path: Path) -> None:
    on, off = ["tint=on"], ["tint=off", "other=x"]
    exposures = [
        served("older", -8.0, items=["a"]),
        served("old", -2.0, items=["a", "b", "c"]),
        served("yesterday", -0.5, items=["a"]),
        served("now", 0.5, experiments=on),
        served("new", 0.5, "bob", experiments=off),
        served("elsewhere", 0.5, "eve", experiments=["other=x"]),
        served("after", 9.5, experiments=on),
    ]
    write(tmp_path, exposures)
    events = [
        watch("older", days=-7.9),
        watch("old", days=-1.9),
        watch("yesterday", days=0.1),  # came of an earlier list, but the experiment may have moved it
        watch("now", days=0.6),
    ]
    found = experiment_facts(
        tmp_path,
        usable(reactions_of(events, PSEUDONYMS)),
        "tint",
        start_s=START_S,
        until_s=START_S + 7 * SECONDS_PER_DAY,
        pre_days=7.0,
    ).units()
    table = found.of("watch_rate").select("unit", "arm", "numerator", "denominator", "pre")
    assert set(table.rows()) == {(ADA, "on", 1.0, 2.0, 0.25), (BOB, "off", 0.0, 2.0, None)}
    assert dict(found.of("lists").select("unit", "pre").rows()) == {ADA: 2.0, BOB: None}


def test_the_arms_of_an_experiment_are_not_taken_for_those_of_another_with_a_longer_name() -> None:
    records = joined(
        [served("1", experiments=["tint2=on", "tint=off"]), served("2", experiments=["tint2=on"])]
    )
    kept = records.of_experiment("tint")
    assert kept.lists.select("request_id", "arm").rows() == [("1", "off")]
    assert kept.impressions["arm"].to_list() == ["off", "off"]


def test_coverage_compares_equally_many_lists_of_each_arm() -> None:
    lists = [
        served("1", 0.1, items=["a", "b"]),
        served("2", 0.2, "bob", ["x"], arm="canary"),
        served("3", 0.3, items=["b"]),
        served("4", 0.4, items=["c"]),
        served("5", 0.5, "bob", ["y", "z"], arm="canary"),
    ]
    assert coverage(joined(lists)) == Coverage(2, {"stable": 2, "canary": 3})
    assert coverage(joined(lists[:1])) == Coverage(1, {"stable": 2})
    none_shown = [served("1", items=[]), served("2", items=["a"], arm="canary")]
    assert coverage(joined(none_shown)) == Coverage(1, {"stable": 0, "canary": 1})
    assert coverage(joined(lists).where(pl.lit(value=False))) == Coverage(0, {})
