"""``marquee drift``: has the world moved away from what a bundle was made of?"""

import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Final

import polars as pl
import typer
from rich.console import Console
from rich.table import Table

from recsys.cli.drift_actions import command, read_policy, write_page
from recsys.cli.drift_sources import between, duration_s, events_of, events_since, window_of
from recsys.cli.places import EventsOption, RegistryOption, home
from recsys.core.clock import unix_clock
from recsys.core.durable import replace_durably
from recsys.core.errors import FieldError
from recsys.drift.compare import CheckConfig, WindowVerdict, compare_events, compare_served, joined
from recsys.drift.found import DriftReport, date_of
from recsys.drift.journal import Journal
from recsys.drift.metrics_text import METRICS_FILE, metrics_text
from recsys.drift.policy import Action
from recsys.drift.profile import Reference, load_reference
from recsys.drift.rows import whole_windows
from recsys.drift.served import served_lists
from recsys.drift.streams import stream_changes
from recsys.drift.watch import Watcher
from recsys.registry.open import open_registry
from recsys.registry.reader import open_bundle

app = typer.Typer(no_args_is_help=True, help="Has the world moved away from what a bundle was made of?")

_USUAL: Final = CheckConfig()
_ROUNDING: Final = 1e-9  # windows; an end that is no whole number of windows by rounding alone is one
BundleOption = Annotated[str, typer.Option(help="A bundle's name, the beginning of one, or a channel.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]
RateOption = Annotated[
    float,
    typer.Option("--false-alarms", min=1e-6, max=0.99, help="Windows called moved by accident, per week."),
]
LeastOption = Annotated[
    float, typer.Option("--least", min=0.0, max=1.0, help="Divergence in bits that matters at all.")
]


@app.command()
def profile(
    bundle: Annotated[str, typer.Argument(help="A bundle's name, the beginning of one, or a channel.")],
    *,
    registry: RegistryOption,
    as_json: JsonOption = False,
) -> None:
    """Show the reference profile that a bundle carries."""
    reference = reference_of(registry, bundle)
    known = reference.profile
    if as_json:
        typer.echo(known.model_dump_json())
        return
    console = Console()
    facts = Table("what", "value", title=f"drift profile of bundle {reference.bundle}")
    facts.add_row("from (UTC)", date_of(known.first_s))
    facts.add_row("until (UTC)", date_of(known.until_s))
    facts.add_row("windows", f"{known.n_windows} of {known.window_s / 3600:g} h")
    facts.add_row("events", f"{known.n_events:,}")
    facts.add_row("users per window", f"{known.users_per_window:,.1f}")
    table = Table("feature", "group", "bins", "values", "most frequent")
    for one in known.features:
        top = max(zip(one.counts, one.bins.labels, strict=True))
        share = f"{top[1]} {top[0] / sum(one.counts):.1%}"
        table.add_row(one.name, one.group, str(one.bins.n), f"{sum(one.counts):,.0f}", share)
    console.print(facts, table)


@app.command()
def check(
    *,
    registry: RegistryOption,
    bundle: BundleOption = "stable",
    data: Annotated[str | None, typer.Option(help="Events of a data set.")] = None,
    log: Annotated[Path | None, typer.Option(help="Events of an event log, a folder.")] = None,
    exposures: Annotated[
        Path | None, typer.Option(help="What was served, too: a folder of exposures.")
    ] = None,
    window: Annotated[
        str | None, typer.Option(help="1d, 6h, ...: as the profile's, or nothing is comparable.")
    ] = None,
    since: Annotated[
        str | None, typer.Option(help="Date or moment, UTC; by default where the reference ends.")
    ] = None,
    until: Annotated[str | None, typer.Option(help="Date or moment, UTC; by default the end.")] = None,
    false_alarms: RateOption = _USUAL.false_alarms_per_week,
    least: LeastOption = _USUAL.least_divergence,
    html: Annotated[Path | None, typer.Option(help="Write a page with plots here.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Compare each whole window with the bundle's profile; exit code 1 when one has moved."""
    reference = reference_of(registry, bundle)
    window_of(window, reference.profile)
    config = CheckConfig(false_alarms_per_week=false_alarms, least_divergence=least)
    known = reference.profile
    interactions = between(events_of(data, log, unix_clock()), since, until, default_since_s=known.until_s)
    verdicts = compared(reference, interactions, exposures, config)
    changes = () if html is None and not as_json else tuple(stream_changes(reference, interactions))
    report = DriftReport(
        bundle=reference.bundle, profile=known, config=config, windows=tuple(verdicts), changes=changes
    )
    if html is not None:
        write_page(report, html)
    if as_json:
        typer.echo(report.model_dump_json(exclude={"profile"}))
    else:
        _print(verdicts)
    if report.n_moved:
        raise typer.Exit(1)


@app.command()
def watch(
    *,
    registry: RegistryOption,
    bundle: BundleOption = "stable",
    events: EventsOption,
    data: Annotated[str | None, typer.Option(help="A lake, to read events from there instead.")] = None,
    exposures: Annotated[
        Path | None, typer.Option(help="What was served, too: a folder of exposures.")
    ] = None,
    folder: Annotated[
        Path | None, typer.Option("--state", help="Where it remembers; drift in MARQUEE_HOME or .marquee.")
    ] = None,
    policy: Annotated[
        Path | None, typer.Option(help="JSON file with policy settings that differ from the defaults.")
    ] = None,
    retrain: Annotated[str | None, typer.Option(help="Command that retrains.")] = None,
    rollback: Annotated[str | None, typer.Option(help="Command that takes the bundle back.")] = None,
    every: Annotated[str, typer.Option(help="How often to look: 30m, 1h.")] = "10m",
    grace: Annotated[str, typer.Option(help="How long late events are waited for.")] = "15m",
    once: Annotated[bool, typer.Option("--once", help="Look once and end.")] = False,
    false_alarms: RateOption = _USUAL.false_alarms_per_week,
    least: LeastOption = _USUAL.least_divergence,
) -> None:
    """Look at every window once it is over, raise alarms and act on them; restarts forget nothing."""
    kept = folder or home() / "drift"
    actions = {
        action: command(text)
        for action, text in ((Action.RETRAIN, retrain), (Action.ROLLBACK, rollback))
        if text is not None
    }
    journal = Journal(kept)
    watcher = Watcher(journal, read_policy(policy), actions)
    config = CheckConfig(false_alarms_per_week=false_alarms, least_divergence=least)
    every_s, grace_s = duration_s("--every", every), duration_s("--grace", grace)
    latest: WindowVerdict | None = None
    with journal.alone():
        since = events_since(data, events)
        watcher.finish()
        while True:
            reference = reference_of(registry, bundle)
            verdicts = _over(journal, reference, since, exposures, config, unix_clock() - grace_s)
            for alarm in watcher.take(reference.bundle, verdicts):
                typer.echo(f"{date_of(alarm.at_s)} {alarm.action.value}: {alarm.sentence}")
            latest = verdicts[-1] if verdicts else latest  # figures of it stay until the next one is over
            text = metrics_text(journal.read(), latest, looked_s=unix_clock())
            replace_durably(kept / METRICS_FILE, text.encode())
            if once:
                return
            time.sleep(every_s)


def _over(
    journal: Journal,
    reference: Reference,
    since: Callable[[float], pl.DataFrame],
    exposures: Path | None,
    config: CheckConfig,
    until_s: float,
) -> list[WindowVerdict]:
    """Return the verdicts of the windows that are over and were not looked at yet."""
    window_s = reference.profile.window_s
    from_s = max(reference.profile.until_s, journal.read().standing.judged_until_s or 0.0)
    first = math.ceil(from_s / window_s - _ROUNDING)
    windows = range(first, max(first, int(until_s // window_s)))
    return _verdicts(reference, since(windows.start * window_s), exposures, config, windows)


def compared(
    reference: Reference, interactions: pl.DataFrame, exposures: Path | None, config: CheckConfig
) -> list[WindowVerdict]:
    """Return the verdicts of the whole windows of interactions, and of what was served in them.

    Raises:
        FieldError: the interactions cover no whole window.
    """
    window_s = reference.profile.window_s
    whole = whole_windows(interactions, window_s)
    if not whole:
        raise FieldError("events", f"{interactions.height} events", "a whole window of them")
    return _verdicts(reference, interactions, exposures, config, whole)


def _verdicts(
    reference: Reference,
    interactions: pl.DataFrame,
    exposures: Path | None,
    config: CheckConfig,
    windows: range,
) -> list[WindowVerdict]:
    """Return the verdicts of these windows: of the events in them and, where there are any, of the lists."""
    since_s, until_s = (number * reference.profile.window_s for number in (windows.start, windows.stop))
    inside = pl.col("time_s").is_between(since_s, until_s, closed="left")
    verdicts = compare_events(reference, interactions.filter(inside), config)
    if exposures is None:
        return verdicts
    lists = served_lists(exposures, reference.bundle, since_s=since_s, until_s=until_s)
    return joined(verdicts, compare_served(reference, lists, config))


def reference_of(registry: str, bundle: str) -> Reference:
    """Return the reference of a verified bundle."""
    opened = open_registry(registry)
    return load_reference(open_bundle(opened.get(bundle), feature_schema=None))


def _print(verdicts: list[WindowVerdict]) -> None:
    table = Table("window (UTC)", "events", "users", "feature", "divergence", "threshold", "PSI", "how")
    for verdict in verdicts:
        first = [date_of(verdict.begins_s), f"{verdict.n_events:,}", f"{verdict.n_users:,}"]
        if not verdict.moved:
            table.add_row(*first, "-" if verdict.features else "too few to tell")
        for moved in verdict.moved:
            psi = "" if moved.psi is None else f"{moved.psi:.3f}"
            figures = (f"{moved.divergence:.4f}", f"{moved.threshold:.4f}", psi)
            table.add_row(*first, moved.feature, *figures, moved.how)
            first = ["", "", ""]
    Console().print(table)
    n_moved = sum(bool(verdict.moved) for verdict in verdicts)
    typer.echo(f"{len(verdicts)} windows, {n_moved} moved")
