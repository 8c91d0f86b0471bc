"""Shares that change on the way must not be taken for an effect."""

import numpy as np
import polars as pl
import pytest
from scipy.stats import binom

from recsys.experiments.analysis import analyse
from recsys.experiments.design import ExperimentDesign, Metric
from recsys.experiments.feedback import LISTS
from recsys.experiments.list_facts import FACTS
from recsys.experiments.stretches import (
    Stretch,
    are_even,
    mean_shares,
    stretched_sample_ratio,
    weighted_user_table,
    within,
)
from recsys.experiments.units import ExperimentFacts

STRETCHES = (
    Stretch(0.0, 100.0, {"stable": 0.75, "canary": 0.25}),
    Stretch(100.0, 200.0, {"stable": 0.5, "canary": 0.5}),
)
DESIGN = ExperimentDesign(
    name="r1",
    arms={"stable": 0.5, "canary": 0.5},
    control="stable",
    primary=Metric(name="watch_rate"),
    planned_users=4_000,
    minimum_effect=0.05,
)


def facts_of(*rows: tuple[str, str, float, int]) -> ExperimentFacts:
    """Lists of ten items: unit, arm, when, how many were watched."""
    lists = [
        {
            "request_id": f"r{row}",
            "unit": unit,
            "arm": arm,
            "served_at_s": at_s,
            "n_items": 10,
            "n_watched": n,
        }
        for row, (unit, arm, at_s, n) in enumerate(rows)
    ]
    counts = dict.fromkeys(name for name in FACTS if name not in ("first_chosen", "hit", "n_watched"))
    fields = [{**dict.fromkeys(counts, 0), "hit": False, "n_items": 10, **fields} for fields in lists]
    during = pl.DataFrame(fields, schema={**LISTS, **FACTS})
    return ExperimentFacts(during, during.clear(), 0.0)


def test_lists_count_for_the_arm_that_served_them_by_the_weight_of_their_stretch() -> None:
    facts = facts_of(
        ("ada", "stable", 10.0, 2),
        ("bob", "canary", 20.0, 4),
        ("ada", "canary", 110.0, 6),  # moved by the canary's growth
        ("bob", "canary", 120.0, 8),
    )
    # two users in each stretch, so the mean shares are 0.625 and 0.375
    assert mean_shares(facts, STRETCHES) == pytest.approx({"stable": 0.625, "canary": 0.375})
    # a list weighs the other arm's share, so the stretches' rates are
    first, second = (0.25 * 2 + 0.75 * 4) / 10, 0.5 * (6 + 8) / 10
    whole = (0.25 * 2 + 0.75 * 4 + 0.5 * 14) / 20
    up, down = whole - first, whole - second
    table = weighted_user_table(facts, STRETCHES, ["watch_rate"]).sort("unit", "arm")
    assert table.select("unit", "arm").rows() == [("ada", "canary"), ("ada", "stable"), ("bob", "canary")]
    assert table["watch_rate:of"].to_list() == pytest.approx([5.0, 2.5, 12.5])
    ada_moved, ada, bob = 0.5 * (6 + 10 * down), 0.25 * (2 + 10 * up), 0.75 * (4 + 10 * up)
    assert table["watch_rate"].to_list() == pytest.approx([ada_moved, ada, bob + 0.5 * (8 + 10 * down)])


def test_a_user_is_dealt_when_they_first_come() -> None:
    facts = facts_of(
        ("ada", "stable", 10.0, 0),
        ("ada", "canary", 110.0, 0),
        ("bob", "canary", 20.0, 0),
        ("eve", "stable", 130.0, 0),
    )
    ratio = stretched_sample_ratio(DESIGN, facts, STRETCHES)
    assert ratio.users == {"stable": 2, "canary": 1}
    assert ratio.shares == pytest.approx({"stable": 2 / 3, "canary": 1 / 3})
    assert ratio.trusted


def test_lists_outside_of_all_stretches_are_left_out() -> None:
    facts = facts_of(("ada", "stable", 10.0, 0), ("bob", "canary", 200.0, 0), ("eve", "other", 20.0, 0))
    assert within(facts, STRETCHES).during["unit"].to_list() == ["ada"]
    assert are_even(STRETCHES[:1])
    assert not are_even(STRETCHES)


def test_without_anybody_the_last_shares_stand() -> None:
    assert mean_shares(facts_of(), STRETCHES) == {"stable": 0.5, "canary": 0.5}
    assert weighted_user_table(facts_of(), STRETCHES, ["watch_rate"]).height == 0


def a_ramp(rng: np.random.Generator, n_users: int, effect: float, skew: float = 0.0) -> ExperimentFacts:
    """Users of the second stretch watch thrice as much, whatever the arm: a trap for whoever adds up."""
    place = rng.random(n_users)
    rows = []
    for user in range(n_users):
        for stretch, base in zip(STRETCHES, (0.2, 0.6), strict=True):
            if rng.random() < 0.7:
                canary = place[user] < stretch.shares["canary"] + skew
                p_watch = base + (effect if canary else 0.0)
                at_s = stretch.since_s + rng.uniform(0.0, 100.0)
                rows.append(
                    (f"u{user}", "canary" if canary else "stable", at_s, int(rng.binomial(10, p_watch)))
                )
    return facts_of(*sorted(rows, key=lambda row: row[2]))


def test_a_ramp_of_equal_arms_finds_nothing_where_plain_sums_find_a_difference() -> None:
    facts = a_ramp(np.random.default_rng(5), 3_000, 0.0)
    sums = facts.during.group_by("arm").agg(rate=pl.col("n_watched").sum() / 10 / pl.len())
    naive = dict(sums.rows())
    assert naive["canary"] - naive["stable"] > 0.05
    table = weighted_user_table(facts, STRETCHES, ["watch_rate"])
    ratio = stretched_sample_ratio(DESIGN, facts, STRETCHES)
    (found,) = analyse(DESIGN, table, sample_ratio=ratio).comparisons
    assert ratio.trusted  # false alarm: 1 in 1,000
    span = found.raw.at_all_times
    assert span.lower is not None
    assert span.upper is not None
    assert span.lower < 0.0 < span.upper  # false alarm: 5 in 100 at most, of all looks


def test_a_ramp_finds_the_true_difference() -> None:
    table = weighted_user_table(a_ramp(np.random.default_rng(6), 3_000, 0.1), STRETCHES, ["watch_rate"])
    (found,) = analyse(DESIGN, table).comparisons
    span = found.raw.at_all_times
    assert span.lower is not None
    assert span.upper is not None
    assert 0.05 < span.lower < 0.1 < span.upper  # misses: 5 in 100 at most, of all looks


def test_a_ramp_that_deals_badly_is_not_trusted() -> None:
    facts = a_ramp(np.random.default_rng(7), 3_000, 0.0, skew=0.08)
    assert not stretched_sample_ratio(DESIGN, facts, STRETCHES).trusted


@pytest.mark.slow
def test_of_a_thousand_ramps_of_equal_arms_few_find_a_difference() -> None:
    n_once = n_ever = n_badly_dealt = 0
    for seed in range(1_000):
        facts = a_ramp(np.random.default_rng(50_000 + seed), 800, 0.0)
        ratio = stretched_sample_ratio(DESIGN, facts, STRETCHES)
        table = weighted_user_table(facts, STRETCHES, ["watch_rate"])
        (found,) = analyse(DESIGN, table, sample_ratio=ratio).comparisons
        assert found.raw.p_at_one_look is not None
        assert found.raw.p_at_all_times is not None
        n_once += found.raw.p_at_one_look < 0.05
        n_ever += found.raw.p_at_all_times < 0.05
        n_badly_dealt += not ratio.trusted
    print(f"one look {n_once}, all times {n_ever}, sample ratio {n_badly_dealt}, of 1,000")  # noqa: T201
    odds = 1e-4  # of a false alarm of each line below
    assert n_once <= binom.isf(odds, 1_000, 0.05)
    assert n_ever <= binom.isf(odds, 1_000, 0.05)
    assert n_badly_dealt <= binom.isf(odds, 1_000, 0.001)
