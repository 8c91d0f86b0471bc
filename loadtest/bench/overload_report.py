"""What an overload found: a table, a line of JSON, a plot."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.table import Table

from loadtest.bench.overload import CONNECTIONS, Fate, Level, Spike

MOST_LATE_MS = 50.0
"""When the 99th percentile of how late this tool sent is above this, what it measured is itself."""


@dataclass(frozen=True, slots=True)
class Found:
    """One policy."""

    policy: str
    capacity_per_s: float  # of a closed loop, before
    levels: Sequence[Level]
    spike: Spike

    @property
    def best_per_s(self) -> float:
        """The most good answers per second at any level."""
        return max(level.rate(Fate.GOOD) for level in self.levels)

    @property
    def kept(self) -> float:
        """Goodput at the highest level, as a share of the best."""
        return max(self.levels, key=lambda level: level.load).rate(Fate.GOOD) / self.best_per_s

    @property
    def tool_kept_up(self) -> bool:
        """Whether requests left when they were due; else the figures say little of the service."""
        return all(level.late_ms <= MOST_LATE_MS for level in self.levels)

    def summary(self) -> dict[str, Any]:
        """Return it for machines."""
        return {
            "capacity_per_s": round(self.capacity_per_s, 1),
            "best_good_per_s": round(self.best_per_s, 1),
            "goodput_kept_at_the_highest_load": round(self.kept, 3),
            "tool_kept_up": self.tool_kept_up,
            "recovery_s": self.spike.recovery_s,
            "failed": sum(level.course.n(Fate.FAILED) for level in self.levels)
            + self.spike.course.n(Fate.FAILED),
            "levels": [_summary(level) for level in self.levels],
        }


def table(found: Sequence[Found], machine: str) -> Table:
    """Return a table for people; rates are per second."""
    shown = Table(
        title=f"Open loop against the capacity of a closed one ({CONNECTIONS} connections); {machine}",
        caption="good: in full within 1 s. Cores: of the service, and of this tool on the same machine.",
    )
    columns = (
        "policy",
        "load",
        "offered",
        *Fate,
        "p50 ms",
        "p99 ms",
        "cores",
        "of tool",
        "it was late",
        "back after",
    )
    for name in columns:
        shown.add_column(str(name), justify="left" if name == "policy" else "right", no_wrap=True)
    for one in found:
        for level in one.levels:
            rates = (f"{level.rate(fate):.0f}" for fate in Fate)
            latency = (f"{level.course.percentile_ms(percentile):.0f}" for percentile in (50, 99))
            cores = (f"{level.server_cores:.2f}", f"{level.client_cores:.2f}", f"{level.late_ms:.0f} ms")
            shown.add_row(
                one.policy, f"{level.load:g}", f"{level.offered_per_s:.0f}", *rates, *latency, *cores, ""
            )
        course = one.spike.course
        counts = (str(course.n(fate)) for fate in Fate)
        latency = (f"{course.percentile_ms(percentile):.0f}" for percentile in (50, 99))
        shown.add_row(
            *(one.policy, "spike", str(len(course.fates)), *counts, *latency, "", "", ""),
            f"{one.spike.recovery_s:g} s",
            end_section=True,
        )
    return shown


def summary(found: Sequence[Found], machine: str) -> dict[str, Any]:
    """Return everything for machines."""
    return {"machine": machine, **{one.policy: one.summary() for one in found}}


def plot(found: Sequence[Found], path: Path) -> None:
    """Draw goodput against load, and each policy's spike over time."""
    from matplotlib.figure import Figure  # noqa: PLC0415 - an extra, and slow to import

    figure = Figure(figsize=(12, 4), layout="constrained")
    first, *others = figure.subplots(1, 1 + len(found))
    for one in found:
        offered = [level.offered_per_s for level in one.levels]
        first.plot(offered, [level.rate(Fate.GOOD) for level in one.levels], "o-", label=one.policy)
    first.plot(offered, offered, ":", color="grey", label="all of it")
    first.set(title="Goodput", xlabel="offered per s", ylabel="good per s", ylim=(0, 1.5 * one.best_per_s))
    first.legend()
    for axes, one in zip(others, found, strict=True):
        for fate, colour in _COLOURS.items():
            begins_s, per_s = one.spike.course.per_s(fate)
            axes.plot(begins_s, per_s, color=colour, label=str(fate))
        axes.axvspan(one.spike.begins_s, one.spike.ends_s, color="0.92", zorder=0)
        axes.set(title=f"Spike, three times as much: {one.policy}", xlabel="s", ylabel="per s")
        axes.legend()
    figure.savefig(path, dpi=110)


_COLOURS: Mapping[Fate, str] = {
    Fate.GOOD: "tab:green",
    Fate.POPULAR: "tab:blue",
    Fate.SHED: "tab:orange",
    Fate.LATE: "tab:purple",
    Fate.FAILED: "tab:red",
}


def _summary(level: Level) -> dict[str, Any]:
    return {
        "load": level.load,
        "offered_per_s": round(level.offered_per_s, 1),
        **{f"{fate}_per_s": round(level.rate(fate), 1) for fate in Fate},
        "p50_ms": round(level.course.percentile_ms(50), 1),
        "p99_ms": round(level.course.percentile_ms(99), 1),
        "server_cores": round(level.server_cores, 2),
        "client_cores": round(level.client_cores, 2),
        "client_late_p99_ms": round(level.late_ms, 1),
    }
