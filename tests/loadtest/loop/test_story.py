"""What a run of the loop says of itself, by numbers that were written down by hand."""

from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from loadtest.loop.plot import draw
from loadtest.loop.run import as_toml
from loadtest.loop.settings import LoopSettings
from loadtest.loop.story import ORDER, Day, Moment, Story, days_of, gain_of, rates_of
from recsys.rollout.plan import read_plan

DAY_S = 86_400.0


def moments(*names: str) -> tuple[Moment, ...]:
    return tuple(Moment(name, 1_000.0 + place, "marquee", "so") for place, name in enumerate(names))


def story(*names: str, n_failed: int = 0) -> Story:
    days = (Day("loop", 0, 10, 0.4, 0.5), Day("control", 0, 10, 0.3, 0.2))
    return Story(0.0, moments(*names), days, None, {}, n_failed, {"loop: timeout": n_failed}, "files")


def lists(*rows: tuple[int, float, str, float]) -> pl.DataFrame:
    names = ["number", "time_s", "who", "true_rate"]
    return pl.DataFrame(rows, names, orient="row").with_columns(watch_rate=pl.col("true_rate") * 2)


def test_all_that_should_happen_in_its_order_is_no_fault() -> None:
    assert story(*ORDER).faults() == []
    assert story("shift", "alarm", "refresh", "canary", "step", "step", "promoted").faults() == []


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (("shift", "alarm", "refresh", "canary"), "promoted did not happen"),
        (("alarm", "shift", "refresh", "canary", "promoted"), "alarm came before shift"),
        ((*ORDER[:4], "taken back"), "taken back: so"),
    ],
)
def test_what_should_not_have_happened_is_said(names: tuple[str, ...], said: str) -> None:
    assert said in story(*names).faults()


def test_a_failed_request_is_a_fault() -> None:
    assert story(*ORDER, n_failed=2).faults() == ["2 failed requests: {'loop: timeout': 2}"]


def test_lists_of_the_same_visits_are_compared_person_by_person() -> None:
    loop = lists((1, 0.0, "u", 0.9), (2, 10.0, "u", 0.5), (3, 11.0, "u", 0.5), (4, 12.0, "v", 0.3))
    control = lists((1, 0.0, "u", 0.1), (2, 10.0, "u", 0.4), (3, 11.0, "u", 0.4), (4, 12.0, "v", 0.3))
    gain = gain_of(loop, control, 10.0)
    assert gain is not None
    # 0.1, 0.1 and 0.0: on average 1/15; by person 0.2 of two lists and 0.0 of one are 1/15 away from it
    assert gain.n_lists == 3
    assert gain.difference == pytest.approx(1 / 15)
    assert gain.error == pytest.approx((2 * (1 / 15) ** 2) ** 0.5 / 3)
    assert gain.odds == pytest.approx(0.0169, abs=1e-4)  # 2.12 standard errors
    assert gain_of(loop, control, 12.0) is None


def test_days_and_parts_of_a_run_are_means_of_lists() -> None:
    shown = lists((1, 0.0, "u", 0.25), (2, DAY_S - 1, "u", 0.5), (3, DAY_S, "u", 0.125))
    first, second = Day("loop", 0, 2, 0.375, 0.75), Day("loop", 1, 1, 0.125, 0.25)
    assert list(days_of("loop", shown, 0.0)) == [first, second]
    assert rates_of(shown, [DAY_S - 1]) == {"before": 0.25, "between": 0.3125}


def test_the_plan_of_a_run_reads_back_as_it_was(tmp_path: Path) -> None:
    plan = LoopSettings().plan
    (tmp_path / "plan.toml").write_text(as_toml(plan))
    assert read_plan(tmp_path / "plan.toml") == plan


def test_the_picture_names_every_moment(tmp_path: Path) -> None:
    draw(replace(story(*ORDER), begins_s=900.0), tmp_path / "docs" / "loop.svg")
    drawn = (tmp_path / "docs" / "loop.svg").read_text()
    assert drawn.startswith("<svg")
    assert all(f"<!-- {what} -->" in drawn for what in ORDER)
