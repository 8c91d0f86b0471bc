"""What ``marquee tune`` prints at its end."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from recsys.evaluation.results import MAIN_METRIC
from tuning.document import SweepReport, figures_of, gain
from tuning.journal import Outcome


def facts_of(report: SweepReport, folder: Path) -> dict[str, object]:
    """Return what machines want to know of a sweep."""
    pair = None if report.final is None else gain(report.final)
    return {
        "folder": str(folder),
        "bundle": report.bundle,
        "n_trials": report.n_trials,
        **{outcome.value: sum(step.count(outcome) for step in report.steps) for outcome in Outcome},
        "minutes": round(report.minutes, 2),
        "validation": {objective.value: value for objective, value in report.measures.items()},
        "test": None if report.final is None else figures_of(report.final),
        "gain": None if pair is None else {"value": pair.value, "low": pair.low, "high": pair.high},
        "changed": report.changed,
    }


def sentence_of(facts: Mapping[str, Any]) -> str:
    """Return the same for people."""
    validation = ", ".join(f"{name} {value:.4g}" for name, value in facts["validation"].items())
    counts = f"{facts['stopped']} stopped early, {facts['failed']} failed"
    lines = [
        f"{facts['n_trials']} trials in {facts['minutes']:.1f} minutes ({counts})",
        f"the choice on validation: {validation}",
    ]
    if facts["gain"] is not None:
        test, pair = facts["test"][MAIN_METRIC], facts["gain"]
        lines.append(
            f"on the test, asked once: {MAIN_METRIC} {test:.4f}, against the defaults "
            f"{pair['value']:+.4f} [{pair['low']:+.4f}, {pair['high']:+.4f}]"
        )
    if facts["bundle"] is not None:
        lines.append(f"bundle {facts['bundle']}: fitted on all data")
    lines.append(f"report: {facts['folder']}/report.html, settings: {facts['folder']}/best.json")
    return "\n".join(lines)
