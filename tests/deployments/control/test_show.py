from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console, RenderableType

from deployments.control.local import in_a_line
from deployments.control.show import history_tables, plot_history, summary
from recsys.experiments.guardrails import Guardrail
from recsys.experiments.measurements import Figures, Measurements
from recsys.rollout import transitions
from recsys.rollout.controller import Readiness, Seen, next_document
from recsys.rollout.plan import RolloutPlan, Step
from recsys.rollout.traffic import TrafficDocument, first_document

A, B = "a" * 16, "b" * 16
PLAN = RolloutPlan(
    steps=(Step(share=0.05, min_time=60.0, min_exposures=100),),
    guardrails=(Guardrail(metric="degraded_share", compare="difference", limit=0.01),),
)


def printed(what: RenderableType) -> str:
    text = StringIO()
    Console(file=text, width=140, color_system=None).print(what)
    return text.getvalue()


@pytest.fixture(scope="module")
def taken_back() -> TrafficDocument:
    document = transitions.start(
        first_document(A, salt="s", updated_s=0.0), B, PLAN, rollout_id="r1", now_s=1_000.0, by="ada"
    )
    ready = next_document(document, Seen(Readiness(loaded=True), Measurements()), now_s=1_010.0)
    assert ready is not None
    figures = {"canary": Figures(answers=400, degraded=100), "stable": Figures(answers=9_000)}
    bad = Seen(measured=Measurements(figures=figures, shares=ready.shares))
    back = next_document(ready, bad, now_s=1_050.0)
    assert back is not None
    return back


def test_a_status_says_what_is_and_why(taken_back: TrafficDocument) -> None:
    text = printed(summary(taken_back, 1_350.0))
    assert "rollout r1: aborted for 5 min" in text
    assert "users: stable 100.0%" in text
    assert "degraded_share: bad (25.00% of 400" in text
    first = first_document(A, salt="s", updated_s=0.0)
    assert printed(summary(first, 0.0)).startswith(f"no rollout yet; all users get bundle {A}")


def test_a_status_while_it_ramps_names_the_step_and_the_arms_that_are_killed() -> None:
    document = transitions.start(
        first_document(A, salt="s", updated_s=0.0), B, PLAN, rollout_id="r1", now_s=1_000.0, by="ada"
    )
    ready = next_document(document, Seen(Readiness(loaded=True), Measurements()), now_s=1_010.0)
    assert ready is not None
    killed = transitions.kill(ready, "canary", now_s=1_011.0, by="bob", why="nonsense")
    text = printed(summary(transitions.pause(killed, now_s=1_012.0, by="ada"), 1_020.0))
    assert "ramping, paused" in text
    assert "step 1 of 1: 5.0%, at least 60 s and 100 exposures" in text
    assert "arm canary is killed by bob: nonsense" in text


def test_a_history_lists_every_decision_with_its_numbers(taken_back: TrafficDocument) -> None:
    assert taken_back.rollout is not None
    text = printed(history_tables([taken_back.rollout]))
    assert [word for word in ("start", "step", "abort") if word in text] == ["start", "step", "abort"]
    assert "r1 of bundle bbbbbbbbbbbbbbbb, begun 1970-01-01 (UTC)" in text
    assert "00:17:30" in text
    assert "25.00% of 400, stable 0.00% of 9,000" in text
    assert in_a_line(taken_back).startswith("rollout r1: abort to 0.0%: degraded_share")


def test_a_history_is_drawn(taken_back: TrafficDocument, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    assert taken_back.rollout is not None
    plot_history([taken_back.rollout] * 2, tmp_path / "history.png")
    assert (tmp_path / "history.png").stat().st_size > 10_000
