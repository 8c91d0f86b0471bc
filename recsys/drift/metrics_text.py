"""What the watcher knows as text that Prometheus reads, by the textfile collector of its node exporter."""

from collections.abc import Sequence

from recsys.drift.compare import WindowVerdict
from recsys.drift.journal import Memory

METRICS_FILE = "metrics.prom"


def metrics_text(memory: Memory, verdict: WindowVerdict | None, *, looked_s: float) -> str:
    """Return gauges of the latest window and counters of all.

    Args:
        memory: what was kept.
        verdict: of the latest window; None when there was none yet.
        looked_s: Unix time of the look that this follows.
    """
    lines = [
        *_family("marquee_drift_looked_seconds", "gauge", "Unix time of the latest look.", [("", looked_s)]),
        *_family("marquee_drift_windows_total", "counter", "Windows looked at.", [("", memory.n_windows)]),
        *_family("marquee_drift_alarms_total", "counter", "Alarms raised.", [("", memory.n_alarms)]),
        *_family(
            "marquee_drift_alarmed",
            "gauge",
            "1 while a feature is alarmed.",
            [(name, int(run.alarmed)) for name, run in sorted(memory.standing.runs.items())],
        ),
    ]
    if verdict is not None:
        found = verdict.features
        for name, explained, values in (
            (
                "divergence",
                "Divergence from the reference.",
                [(one.feature, one.divergence) for one in found],
            ),
            ("threshold", "Above it a feature has moved.", [(one.feature, one.threshold) for one in found]),
        ):
            lines += _family(f"marquee_drift_{name}", "gauge", explained, values)
        ends = [("", verdict.ends_s)]
        lines += _family("marquee_drift_window_end_seconds", "gauge", "End of the latest window.", ends)
    return "\n".join(lines) + "\n"


def _family(name: str, kind: str, explained: str, values: Sequence[tuple[str, float]]) -> list[str]:
    labels = ((f'{{feature="{feature}"}}' if feature else "", value) for feature, value in values)
    return [
        f"# HELP {name} {explained}",
        f"# TYPE {name} {kind}",
        *(f"{name}{label} {value!r}" for label, value in labels),
    ]
