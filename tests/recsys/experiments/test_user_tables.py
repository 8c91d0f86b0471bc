from collections.abc import Sequence

import polars as pl
import pytest

from recsys.core.clock import SECONDS_PER_DAY
from recsys.core.errors import NotFoundError
from recsys.experiments.analysis import analyse
from recsys.experiments.design import ExperimentDesign, Metric
from recsys.experiments.feedback import LISTS
from recsys.experiments.list_facts import FACTS
from recsys.experiments.units import Units, units_of
from recsys.experiments.user_tables import SEGMENTS, day_table, user_table

START_S = 100 * SECONDS_PER_DAY

List = tuple[str, str, float, int]
"""Who, arm, days since the beginning, and how many of its 10 items were watched."""


def facts_of(lists: Sequence[List], context: str | None = None) -> pl.DataFrame:
    rows = [
        {
            "request_id": f"r{row}",
            "unit": unit,
            "arm": arm,
            "context": context,
            "served_at_s": START_S + days * SECONDS_PER_DAY,
            "n_items": 10,
            "n_watched": n_watched,
        }
        for row, (unit, arm, days, n_watched) in enumerate(lists)
    ]
    return pl.DataFrame(rows, schema={**LISTS, **FACTS})


def units_from(during: Sequence[List], before: Sequence[List] = ()) -> Units:
    return units_of(facts_of(during, "home"), start_s=START_S, before=facts_of(before))


def test_the_user_table_has_three_columns_per_metric_and_the_segments() -> None:
    table = user_table(
        units_from(
            [("ada", "on", 0.0, 2), ("ada", "on", 1.0, 3), ("bob", "off", 0.0, 1)], [("ada", "x", -1.0, 4)]
        ),
        ["watch_rate", "lists"],
    )
    assert table.columns == [
        "unit", "arm", *SEGMENTS,
        "watch_rate", "watch_rate:of", "watch_rate:before",
        "lists", "lists:of", "lists:before",
    ]  # fmt: skip
    assert table.rows() == [
        ("ada", "on", "home", "known", "light", 5.0, 20.0, 0.4, 2.0, 1.0, 1.0),
        ("bob", "off", "home", "new", "new", 1.0, 10.0, None, 1.0, 1.0, None),
    ]


def test_a_day_begins_with_the_users_own_first_list_and_days_without_lists_are_zeros() -> None:
    lists = [("ada", "on", 0.5, 1), ("ada", "on", 1.4, 2), ("ada", "on", 2.5, 4), ("bob", "off", 3.0, 1)]
    until_s = START_S + 4.5 * SECONDS_PER_DAY
    ratio = day_table(facts_of(lists), "watch_rate", until_s=until_s, window_s=SECONDS_PER_DAY)
    assert ratio.columns == ["user", "arm", "day", "watch_rate", "watch_rate:of"]
    # the fourth day of ada and the first of bob may still get reactions
    assert ratio.rows() == [
        ("ada", "on", 0, 3.0, 20.0),
        ("ada", "on", 1, 0.0, 0.0),
        ("ada", "on", 2, 4.0, 10.0),
    ]
    plain = day_table(facts_of(lists), "lists", until_s=until_s, window_s=0.0)
    assert plain.rows() == [
        ("ada", "on", 0, 2.0, 1.0),
        ("ada", "on", 1, 0.0, 1.0),
        ("ada", "on", 2, 1.0, 1.0),
        ("ada", "on", 3, 0.0, 1.0),
        ("bob", "off", 0, 1.0, 1.0),
    ]


def test_before_the_first_day_has_ended_there_are_no_days() -> None:
    table = day_table(facts_of([("ada", "on", 0.0, 1)]), "lists", until_s=START_S, window_s=0.0)
    assert table.is_empty()
    assert day_table(facts_of([]), "lists", until_s=START_S).is_empty()


def test_a_metric_that_is_not_there_is_refused() -> None:
    with pytest.raises(NotFoundError, match="no metric named 'joy'"):
        day_table(facts_of([]), "joy", until_s=START_S)
    with pytest.raises(NotFoundError, match="no metric named 'joy'"):
        user_table(units_from([("ada", "on", 0.0, 1)]), ["joy"])


def test_an_analysis_reads_both_tables() -> None:
    lists = [
        (f"u{user}", arm, day + user / 100, 2 + (arm == "on") + user % 2)
        for user in range(40)
        for day in range(3)
        for arm in ["on" if user < 20 else "off"]
    ]
    design = ExperimentDesign(
        name="tint",
        arms={"off": 0.5, "on": 0.5},
        control="off",
        primary=Metric(name="watch_rate"),
        segments=("past",),
        planned_users=40,
        minimum_effect=0.05,
    )
    table = user_table(
        units_from(lists, [(f"u{user}", "x", -1.0, user % 2) for user in range(30)]), ["watch_rate"]
    )
    days = day_table(facts_of(lists), "watch_rate", until_s=START_S + 4.5 * SECONDS_PER_DAY)
    result = analyse(design, table, days)
    [comparison] = result.comparisons
    assert comparison.raw.difference == pytest.approx(0.1)
    assert result.recommendation.action == "ship"
    assert [row.label for row in result.segments] == ["known", "new"]
    assert [day.day for day in result.trends[0].days] == [0, 1, 2]
