"""A live run on the terminal: a table of arms while it goes on and at its end."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.live import Live
from rich.table import Table

from loadtest.live.driver import Pulse
from loadtest.live.result import NO_ARM, ArmResult, LiveResult
from loadtest.live.scale import WatchScale

_LOG_EVERY_S = 5.0  # without a terminal: a line now and then


class LiveView:
    """Shows how a run goes."""

    def __init__(self, console: Console, live: Live | None) -> None:
        self._console, self._live = console, live
        self._logged_s = 0.0

    def show(self, pulse: Pulse) -> None:
        """Show it: a table on a terminal, elsewhere a line every few seconds."""
        if self._live is not None:
            title = f"{pulse.at_s:.0f} s, {pulse.n_in_flight} under way (Ctrl-C ends it with a report)"
            self._live.update(arms_table(pulse.arms, title))
        elif pulse.at_s - self._logged_s >= _LOG_EVERY_S:
            self._logged_s = pulse.at_s
            words = "  ".join(_line(arm) for arm in pulse.arms)
            self._console.print(f"{pulse.at_s:.0f} s  {words}", highlight=False, soft_wrap=True)


@contextmanager
def live_view(console: Console) -> Iterator[LiveView]:
    """Show a run while it lasts."""
    if not console.is_terminal:
        yield LiveView(console, None)
        return
    with Live(console=console, transient=True, refresh_per_second=4) as live:
        yield LiveView(console, live)


def arms_table(arms: Sequence[ArmResult], title: str) -> Table:
    """Return a row per arm."""
    table = Table(title=title, title_justify="left")
    table.add_column("arm")
    table.add_column("bundle")
    for name in (
        "answers",
        "failed",
        "degraded",
        "shown",
        "watched",
        "watch rate",
        "true rate",
        "p50 ms",
        "p99 ms",
    ):
        table.add_column(name, justify="right")
    for arm in arms:
        counts = (arm.n_answers, arm.n_failed, arm.n_degraded, arm.n_shown, arm.n_watched)
        table.add_row(
            _name(arm),
            ", ".join(arm.bundles) or "-",
            *(f"{count:,}" for count in counts),
            _rate(arm.watch_rate),
            _rate(arm.true_watch_rate),
            _ms(arm.p50_ms),
            _ms(arm.p99_ms),
        )
    return table


def print_result(result: LiveResult, scale: WatchScale, console: Console) -> None:
    """Print what a run found."""
    console.print(arms_table(result.arms, f"{result.n_asked:,} lists asked for in {result.elapsed_s:.0f} s"))
    who = ", ".join(f"{name} {n:,}" for name, n in sorted(result.visitors.items()))
    events = ", ".join(f"{n:,} {name}" for name, n in sorted(result.events.statuses.items()))
    moves = result.summary()["moves"]
    failed = ", ".join(f"{name} {n:,}" for name, n in sorted(result.failures.items()))
    again = sum(arm.n_met_again for arm in result.arms)
    exhausted = sum(arm.n_exhausted for arm in result.arms)
    for line in (
        f"watch rate of blind lists {scale.blind:.4f}, of the best that could be {scale.best:.4f}",
        f"lists by who asked: {who or 'none'}",
        f"videos met before in this run: {again:,}; short lists, for all others were met: {exhausted:,}",
        f"events: {result.events.n_sent:,} sent; {events or 'nothing came of them'}",
        f"people with a name: {len(result.paths):,}; changes of arm: {moves or 'none'}",
        f"failures: {failed or 'none'}",
    ):
        console.print(line, highlight=False, soft_wrap=True)


def _line(arm: ArmResult) -> str:
    rate = _rate(arm.watch_rate)
    return f"{_name(arm)}: {arm.n_answers:,} answers, {arm.n_failed:,} failed, watch rate {rate}"


def _name(arm: ArmResult) -> str:
    return "(none)" if arm.arm == NO_ARM else arm.arm


def _rate(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def _ms(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"
