"""How a run goes, on the terminal."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.live import Live
from rich.table import Table

from loadtest.engine.plan import Plan
from loadtest.engine.worker import Pulse
from loadtest.measure.histogram import Histogram
from loadtest.profiles.settings import duration_of

_LOG_EVERY_S = 5.0  # without a terminal: a line now and then
_MS = 1e3


class LiveView:
    """Shows the last word of all workers."""

    def __init__(self, plan: Plan, console: Console, live: Live | None, title: str) -> None:
        self._plan = plan
        self._console = console
        self._live = live
        self._title = title
        self._logged_s = 0.0

    def show(self, pulses: dict[int, Pulse]) -> None:
        """Show it; without a terminal, a line every few seconds."""
        if not pulses:
            return
        if self._live is not None:
            self._live.update(self._table(pulses))
            return
        at_s = max(pulse.at_s for pulse in pulses.values())
        if at_s - self._logged_s >= _LOG_EVERY_S:
            self._logged_s = at_s
            figures = "  ".join(f"{name} {value}" for name, value in self._figures(pulses))
            self._console.print(f"{self._title} {figures}", highlight=False)

    def _table(self, pulses: dict[int, Pulse]) -> Table:
        figures = self._figures(pulses)
        table = Table(title=f"{self._title} (Ctrl-C ends it with a report)", title_justify="left")
        for name, _ in figures:
            table.add_column(name, justify="right")
        table.add_row(*(value for _, value in figures))
        return table

    def _figures(self, pulses: dict[int, Pulse]) -> list[tuple[str, str]]:
        words = list(pulses.values())
        recent = Histogram.merged(pulse.recent for pulse in words)
        at_s = max(pulse.at_s for pulse in words)
        achieved = sum(pulse.recent.n / pulse.recent_s for pulse in words)
        return [
            ("time", f"{at_s:.0f}/{duration_of(self._plan.profile):.0f} s"),
            ("asked/s", self._asked(at_s)),
            ("answered/s", f"{achieved:.0f}"),
            ("p50 ms", f"{_MS * recent.percentile_s(50):.3g}"),
            ("p99 ms", f"{_MS * recent.percentile_s(99):.3g}"),
            ("good", str(sum(pulse.n_good for pulse in words))),
            ("shed", str(sum(pulse.n_shed for pulse in words))),
            ("errors", str(sum(pulse.n_failed for pulse in words))),
            ("in flight", str(sum(pulse.in_flight for pulse in words))),
            ("waiting", str(sum(pulse.waiting for pulse in words))),
        ]

    def _asked(self, at_s: float) -> str:
        """Return the rate that the schedule has right now."""
        for segment in self._plan.profile.segments():
            if at_s <= segment.duration_s:
                way = at_s / segment.duration_s
                rate = segment.from_per_s + way * (segment.to_per_s - segment.from_per_s)
                return f"{rate:.0f}" if rate else "-"
            at_s -= segment.duration_s
        return "-"


@contextmanager
def live_view(plan: Plan, console: Console, title: str) -> Iterator[LiveView]:
    """Show a run while it lasts: a table on a terminal, lines elsewhere."""
    if not console.is_terminal:
        yield LiveView(plan, console, None, title)
        return
    with Live(console=console, transient=True, refresh_per_second=4) as live:
        yield LiveView(plan, console, live, title)
