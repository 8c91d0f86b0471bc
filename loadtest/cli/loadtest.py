"""``marquee loadtest``: load on schedule, and what became of it."""

import shlex
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, NoReturn, TypeVar

import orjson
import typer
from rich.console import Console
from rich.table import Table

from loadtest.cli.flags import mix_fields, parse_share, plan_from, profile_fields, read_headers, read_item_ids
from loadtest.cli.progress import live_view
from loadtest.compare.comparison import compare
from loadtest.compare.show import html_of as comparison_page
from loadtest.compare.show import text_of as comparison_text
from loadtest.engine.plan import Plan
from loadtest.engine.pool import StopFlag, interrupts_to
from loadtest.engine.session import Run, RunTasks, run_here, run_plan
from loadtest.find_limit.run import DEFAULT_MARKS, find_limit
from loadtest.find_limit.search import LimitSearch
from loadtest.marks.grammar import parse_marks
from loadtest.reports.build import report_of
from loadtest.reports.document import Report, read_report, write_report
from loadtest.reports.html import write_html
from loadtest.reports.text import print_report
from loadtest.self_test.measure import measure, names
from loadtest.self_test.server import trivial_server
from recsys.core.clock import unix_clock
from recsys.core.errors import RecsysError

app = typer.Typer(
    no_args_is_help=True, pretty_exceptions_enable=False, help="Load on schedule, and what became of it."
)

T = TypeVar("T")

PASSED, FAILED, UNUSABLE, INVALID = 0, 1, 2, 3
_EXITS = (
    "Exit codes: 0 passed, 1 a mark failed, 2 wrong usage or nothing reached, 3 the load tester was too slow."
)
_WIDTH = 132  # for logs; a terminal has its own

Url = Annotated[str, typer.Argument(help="Of the service, http://host:port.")]
Scenario = Annotated[Path | None, typer.Option(help="A plan in TOML; the flags below change it.")]
Settings = Annotated[
    list[str] | None, typer.Option("--set", help="Any setting of the plan: traffic.visits.think_s=1.5")
]
MixText = Annotated[
    str | None, typer.Option("--mix", help="Weights of calls: recommend=8,similar=1,popular=1")
]
UsersOption = Annotated[int | None, typer.Option(min=1, help="Known users.")]
Cold = Annotated[float | None, typer.Option(min=0, max=1, help="Share of users never seen before.")]
VisitsOption = Annotated[
    float | None, typer.Option(min=0, max=1, help="Share of users who stay: events follow answers. Writes!")
]
ItemsFile = Annotated[Path | None, typer.Option(help="Item ids, one per line; else learned from /popular.")]
TransportName = Annotated[str | None, typer.Option(help="httpx (does everything) or lean (costs little).")]
Workers = Annotated[int | None, typer.Option(min=1, help="Processes that send.")]
Seed = Annotated[int | None, typer.Option(min=0, help="Of schedule and traffic.")]
Header = Annotated[list[str] | None, typer.Option(help="Name: value, sent with every request.")]
Marks = Annotated[str | None, typer.Option("--pass", help="What must hold: p99<50ms, errors=0, degraded<1%")]
Out = Annotated[Path | None, typer.Option(help="Folder for report.json and report.html.")]
RayAddress = Annotated[
    str | None, typer.Option(help="Workers run on this Ray cluster: auto, host:port, ray://host:10001.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print the report as JSON.")]


@app.command(name="run", epilog=_EXITS)
def run_command(
    *,
    url: Url,
    profile: Annotated[str | None, typer.Option(help="constant, ramp, step, spike or soak.")] = None,
    rate: Annotated[str | None, typer.Option(help="Requests per second; several for step and ramp.")] = None,
    duration: Annotated[float | None, typer.Option(min=0.1, help="Seconds.")] = None,
    connections: Annotated[int | None, typer.Option(min=1, help="A closed loop of so many.")] = None,
    scenario: Scenario = None,
    mix: MixText = None,
    users: UsersOption = None,
    cold: Cold = None,
    visits: VisitsOption = None,
    items_file: ItemsFile = None,
    transport: TransportName = None,
    workers: Workers = None,
    seed: Seed = None,
    header: Header = None,
    marks: Marks = None,
    settings: Settings = None,
    ray: RayAddress = None,
    rows: Annotated[Path | None, typer.Option(help="Parquet file for one row per request.")] = None,
    out: Out = None,
    as_json: AsJson = False,
) -> None:
    """Send load as a profile says (30 s at 50/s without one) and report what became of it."""
    flags = {
        "traffic.mix": _usable(mix_fields, mix),
        "traffic.users.n_users": users,
        "traffic.users.cold_share": cold,
        "traffic.visits.share": visits,
        "traffic.items.ids": _usable(read_item_ids, items_file),
        "transport": transport,
        "workers": workers,
        "seed": seed,
        "headers": _usable(read_headers, header or []),
        "marks": marks,
        "keep_rows": True if rows else None,
    }
    given = _usable(profile_fields, profile, rate, duration, connections)
    plan = _usable(plan_from, scenario, flags, given, settings or [])
    judged = _usable(parse_marks, plan.marks)
    stop = StopFlag()
    run = _run(plan, url, stop, "load", ray)
    if rows is not None and run.rows is not None:
        rows.parent.mkdir(parents=True, exist_ok=True)
        run.rows.write_parquet(rows)
    _finish(report_of(run, judged, command=_command()), out, as_json=as_json)


@app.command(name="find-limit", epilog=_EXITS)
def find_limit_command(
    *,
    url: Url,
    start: Annotated[float, typer.Option(min=0.1, help="First rate, requests per second.")] = 50.0,
    growth: Annotated[float, typer.Option(min=1.01, help="From one rate to the next.")] = 1.6,
    precision: Annotated[float, typer.Option(min=0.001, help="Of the limit, as a share.")] = 0.05,
    most_steps: Annotated[int, typer.Option(min=1, help="Rates tried at most.")] = 16,
    step: Annotated[float, typer.Option(min=1, help="Seconds per rate.")] = 10.0,
    rest: Annotated[float, typer.Option(min=0, help="Seconds between rates.")] = 1.0,
    scenario: Scenario = None,
    mix: MixText = None,
    users: UsersOption = None,
    cold: Cold = None,
    transport: TransportName = None,
    workers: Workers = None,
    seed: Seed = None,
    header: Header = None,
    marks: Marks = None,
    settings: Settings = None,
    out: Out = None,
    as_json: AsJson = False,
) -> None:
    """Search for the highest rate at which all marks hold (p99<50ms, errors=0, shed=0, rate>=95%)."""
    flags = {
        "traffic.mix": _usable(mix_fields, mix),
        "traffic.users.n_users": users,
        "traffic.users.cold_share": cold,
        "transport": transport,
        "workers": workers,
        "seed": seed,
        "headers": _usable(read_headers, header or []),
        "marks": marks or DEFAULT_MARKS,
    }
    plan = _usable(plan_from, scenario, flags, None, settings or [])
    _usable(parse_marks, plan.marks)
    stop = StopFlag()
    report = _usable(
        lambda: find_limit(
            plan,
            _usable(LimitSearch, start, growth, precision, most_steps),
            step_s=step,
            run=lambda changed, n: _run(changed, url, stop, f"step {n + 1}"),
            stopped=stop.is_set,
            command=_command(),
            pause=lambda: time.sleep(rest),
        )
    )
    _finish(report, out, as_json=as_json)


def _run(plan: Plan, url: str, stop: StopFlag, title: str, ray: str | None = None) -> Run:
    run_id = f"{int(unix_clock() * 1e3):x}"
    with live_view(plan, Console(stderr=True), title) as view, interrupts_to(stop):
        run_tasks = run_here if ray is None else _on_ray(ray)
        return _usable(
            lambda: run_plan(plan, url, run_id=run_id, stop=stop, look=view.show, run_tasks=run_tasks)
        )


def _on_ray(address: str) -> RunTasks:
    """Return what runs tasks on a cluster; Ray is loaded only for whoever asks for it."""
    if find_spec("ray") is None:
        typer.echo("marquee loadtest: --ray needs Ray, which is not installed here", err=True)
        raise typer.Exit(UNUSABLE)
    from loadtest.engine.ray_pool import on_ray  # noqa: PLC0415 - it takes a second

    return on_ray(address)


def _finish(report: Report, out: Path | None, *, as_json: bool) -> NoReturn:
    """Print and write a report; the exit code is its verdict."""
    if out is not None:
        write_report(report, out / "report.json")
        write_html(report, out / "report.html")
    if as_json:
        typer.echo(orjson.dumps(report.model_dump(mode="json")).decode())
    else:
        console = Console()
        print_report(report, console if console.is_terminal else Console(width=_WIDTH))
    raise typer.Exit(exit_code_of(report))


def exit_code_of(report: Report) -> int:
    """Return the verdict as an exit code."""
    if report.total.good + report.total.shed == 0 and not _any_status(report):
        return UNUSABLE
    if not report.valid:
        return INVALID
    return PASSED if report.passed else FAILED


def _any_status(report: Report) -> bool:
    return any(kind.startswith("status") for kind in report.total.failures)


def _usable(make: Callable[..., T], *arguments: object) -> T:
    """Return what is made; an error of ours is a sentence and exit code 2."""
    try:
        return make(*arguments)
    except RecsysError as error:
        typer.echo(f"marquee loadtest: {error}", err=True)
        raise typer.Exit(UNUSABLE) from error


def _command() -> str:
    return shlex.join(["marquee", *sys.argv[1:]])


@app.command(
    name="compare", epilog="Exit codes: 0, 1 a regression, 2 wrong usage or reports that cannot be read."
)
def compare_command(
    *,
    first: Annotated[Path, typer.Argument(help="report.json of before.")],
    second: Annotated[Path, typer.Argument(help="report.json of now.")],
    fail_above: Annotated[
        str | None, typer.Option(help="How much worse is a regression: 10%. Only beyond noise.")
    ] = None,
    confidence: Annotated[float, typer.Option(min=0.5, max=0.999, help="Of the intervals.")] = 0.99,
    skip: Annotated[float, typer.Option(min=0, help="Seconds at the beginning that are left out.")] = 0.0,
    html: Annotated[Path | None, typer.Option(help="File for the comparison as a page.")] = None,
    as_json: AsJson = False,
) -> None:
    """Tell what differs between two reports, and whether by more than noise."""
    allowed = _usable(parse_share, fail_above)
    before, now = _usable(read_report, first), _usable(read_report, second)
    names = (str(first), str(second))
    found = _usable(
        lambda: compare(before, now, names=names, fail_above=allowed, confidence=confidence, skip_s=skip)
    )
    if html is not None:
        html.parent.mkdir(parents=True, exist_ok=True)
        html.write_text(comparison_page(found, before, now), encoding="utf-8")
    if as_json:
        typer.echo(orjson.dumps(found.model_dump(mode="json")).decode())
    else:
        console = Console()
        (console if console.is_terminal else Console(width=_WIDTH)).print(comparison_text(found))
    raise typer.Exit(FAILED if found.regressed else PASSED)


@app.command(name="self-test")
def self_test_command(
    *,
    seconds: Annotated[float, typer.Option(min=0.5, help="Per loop and transport.")] = 5.0,
    as_json: AsJson = False,
) -> None:
    """Measure what a request costs this tool, and how punctual it is, on this machine."""
    stop = StopFlag()
    with interrupts_to(stop), trivial_server() as url:
        costs = [measure(url, name, seconds, stop=stop) for name in names() if not stop.is_set()]
    if as_json:
        typer.echo(orjson.dumps([asdict(cost) for cost in costs]).decode())
        return
    head = (
        "transport",
        "most per s",
        "cpu us",
        "at per s",
        "late p50 ms",
        "p99 ms",
        "latency p50 ms",
        "p99 ms",
    )
    table = Table(*head, title="one worker against a server that answers at once", title_justify="left")
    for cost in costs:
        values = list(asdict(cost).values())
        table.add_row(
            values[0], *(f"{value:.0f}" if value >= 10 else f"{value:.3f}" for value in values[1:-1])
        )
    console = Console()
    (console if console.is_terminal else Console(width=_WIDTH)).print(table)
