"""``marquee serve``: the graph on this machine, until Ctrl-C."""

import json
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.console import Console

from deployments.autoscaling.settings import AutoscalingSettings, Bounds
from deployments.cli.traffic_option import TrafficOption, traffic_address
from deployments.control.control import ControllerThread
from deployments.control.local import in_a_line, local_controller, local_outcomes
from deployments.faults import read_faults
from deployments.launcher import running_graph
from deployments.overload_settings import OverloadSettings, WhenFull
from deployments.settings import (
    BatchSettings,
    CacheSettings,
    ExposureSettings,
    GraphArgs,
    PrivacySettings,
    Replicas,
)
from deployments.traffic_stores import open_traffic_store
from recsys.cli.places import EventLogOption, RegistryBesideOption
from recsys.core.clock import unix_clock
from recsys.core.errors import NotFoundError
from recsys.eventlog.exposure_writer import ExposureConfig
from recsys.eventlog.replay import replay
from recsys.registry.open import absolute, open_registry
from recsys.rollout.traffic import first_document
from recsys.state.open import open_user_state
from recsys.streams.address import check_address

app = typer.Typer(pretty_exceptions_enable=False)

DEFAULT_HOME = Path(".marquee")
DEFAULT_PORT = 8000
PseudonymiseOption = Annotated[
    bool,
    typer.Option(
        "--pseudonymise/--own-names",
        help="Keep users by keyed hashes of their ids; the key: MARQUEE_PRIVACY_KEY, or events.key in HOME.",
    ),
]

_WHO = "marquee"
_LOOK_EVERY_S = 2.0


@app.command(name="serve")
def main(
    *,
    registry: RegistryBesideOption = None,
    home: Annotated[
        Path, typer.Option(envvar="MARQUEE_HOME", help="Where events and user state lie.")
    ] = DEFAULT_HOME,
    traffic: TrafficOption = None,
    state: Annotated[
        str | None, typer.Option(help="User state, sqlite:////path or redis://host:port/0; HOME/state.db.")
    ] = None,
    event_log: EventLogOption = None,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.")] = DEFAULT_PORT,
    routers: Annotated[int, typer.Option(min=1, help="Router processes.")] = 2,
    per_stage: Annotated[int, typer.Option(min=1, help="Recall and ranking processes per lane.")] = 1,
    autoscale_to: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Grow to so many recall and ranking processes per lane; --per-stage is the least.",
        ),
    ] = None,
    in_flight: Annotated[int, typer.Option(min=1, help="Batches under way at once in a router.")] = 3,
    cache: Annotated[bool, typer.Option(help="Keep lists for seconds; off: compute all afresh.")] = True,
    exposures: Annotated[bool, typer.Option(help="Take down what is served, under HOME/exposures.")] = True,
    exposure_topic: Annotated[
        str | None,
        typer.Option(help="kafka://HOST:PORT/PREFIX: publish what is served there, too; see marquee ingest."),
    ] = None,
    pseudonymise: PseudonymiseOption = False,
    exposure_age: Annotated[
        float, typer.Option(min=0.1, help="Seconds until what is served is on the disk, at the latest.")
    ] = ExposureConfig().max_age_s,
    when_full: Annotated[
        WhenFull, typer.Option(help="What those get whom there is no time for: 503, or the popular list.")
    ] = WhenFull.SHED,
    max_wait: Annotated[
        float,
        typer.Option(min=0.01, help="Seconds that a recommendation may wait; beyond, there is no time."),
    ] = OverloadSettings().max_wait_s,
    faults: Annotated[
        Path | None, typer.Option(help="TOML file, a table per bundle: what its stages do wrong on purpose.")
    ] = None,
    ray_metrics_port: Annotated[
        int | None, typer.Option(min=1, max=65_535, help="Port of Ray's own figures; any when absent.")
    ] = None,
    control: Annotated[bool, typer.Option(help="Walk rollouts from here; see marquee rollout.")] = True,
    as_json: Annotated[bool, typer.Option("--json", help="Print one line of JSON when it answers.")] = False,
) -> None:
    """Serve the bundles that the traffic document names; the first time, the one in channel stable."""
    args = graph_args(
        home,
        registry=registry,
        traffic=traffic,
        state=state,
        exposures=exposures,
        pseudonymise=pseudonymise,
        event_log=event_log,
    )
    args = args.model_copy(
        update={
            "router": Replicas(replicas=routers),
            "recall": Replicas(replicas=per_stage),
            "ranking": Replicas(replicas=per_stage),
            "autoscaling": _autoscaling(routers, per_stage, autoscale_to),
            "batch": BatchSettings(max_in_flight=in_flight),
            "overload": OverloadSettings(when_full=when_full, max_wait_s=max_wait),
            "cache": CacheSettings(enabled=cache),
            "exposures": _exposures(args.exposures.folder, exposure_topic, exposure_age),
            "faults": {} if faults is None else read_faults(faults),
        }
    )
    begin_traffic(args)
    serve_until_stopped(
        args, host=host, port=port, as_json=as_json, control=control, ray_metrics_port=ray_metrics_port
    )


def _exposures(folder: Path | None, topic: str | None, age_s: float) -> ExposureSettings:
    if topic is not None and folder is None:
        raise typer.BadParameter("--no-exposures leaves nothing to publish", param_hint="--exposure-topic")
    return ExposureSettings(
        folder=folder,
        files=ExposureConfig(max_age_s=age_s),
        topic=None if topic is None else check_address(topic),
    )


def _autoscaling(routers: int, least: int, most: int | None) -> AutoscalingSettings | None:
    if most is None:
        return None
    if most < least:
        raise typer.BadParameter(f"{most} is below --per-stage ({least})", param_hint="--autoscale-to")
    stage = Bounds(least=least, most=most)
    return AutoscalingSettings(router=Bounds(least=routers, most=routers), recall=stage, ranking=stage)


def graph_args(
    home: Path,
    *,
    registry: str | None = None,
    traffic: str | None = None,
    state: str | None = None,
    exposures: bool = True,
    pseudonymise: bool = False,
    event_log: str | None = None,
) -> GraphArgs:
    """Return the settings of a graph whose files lie in one folder."""
    home = home.absolute()
    return GraphArgs(
        registry=absolute(registry or str(home / "registry")),
        traffic=traffic_address(traffic, home),
        state_url=state or f"sqlite:///{home / 'state.db'}",
        event_log=event_log or home / "events",
        exposures=ExposureSettings(folder=home / "exposures" if exposures else None),
        privacy=PrivacySettings(pseudonymise=pseudonymise),
    )


def begin_traffic(args: GraphArgs, *, follow: bool = False) -> str:
    """Write a first traffic document for the bundle in channel stable; return the bundle that users get.

    Args:
        args: where registry and document are.
        follow: bring a document that is there to the bundle in channel stable, unless a rollout is under way.

    Raises:
        NotFoundError: no bundle is in channel stable.
    """
    traffic = open_traffic_store(args.traffic)
    try:
        document = traffic.read()
    except NotFoundError:
        bundle = open_registry(args.registry).resolve("stable")
        document = first_document(bundle, salt="marquee", updated_s=unix_clock(), updated_by=_WHO)
        traffic.swap(document, expected_version=0)
    served = document.bundle_of(document.arms[0])
    busy = document.rollout is not None and document.rollout.under_way
    if not follow or busy or len(document.arms) > 1:
        return served
    wanted = open_registry(args.registry).resolve("stable")
    if wanted != served:
        lanes = {**document.lanes, document.arms[0].lane: wanted}
        changed = document.successor(updated_s=unix_clock(), updated_by=_WHO, lanes=lanes)
        traffic.swap(changed, expected_version=document.version)
    return wanted


def serve_until_stopped(
    args: GraphArgs,
    *,
    host: str,
    port: int,
    as_json: bool,
    control: bool = True,
    ray_metrics_port: int | None = None,
    on_ready: Callable[[str], None] = lambda _: None,
) -> None:
    """Run the graph until Ctrl-C or SIGTERM.

    Args:
        args: of the graph.
        host: where it listens.
        port: likewise.
        as_json: say where it answers in a line of JSON.
        control: walk rollouts too.
        ray_metrics_port: where Ray's own figures are; anywhere when absent.
        on_ready: is told where it answers.
    """
    console = Console(stderr=True)
    catch_up(args, console)
    with suppress(KeyboardInterrupt), stoppable(), ExitStack() as stack:
        with console.status("starting the graph: router, and recall and ranking per lane"):
            running = stack.enter_context(
                running_graph(args, host=host, port=port, ray_metrics_port=ray_metrics_port)
            )
        typer.echo(json.dumps({"address": running.address}) if as_json else f"serving at {running.address}")
        on_ready(running.address)
        if control:
            controller = local_controller(
                open_traffic_store(args.traffic),
                args.registry,
                running.address,
                outcomes=local_outcomes(args.exposures, args.event_log),
            )
            stack.enter_context(
                ControllerThread(
                    controller,
                    every_s=_LOOK_EVERY_S,
                    on_decision=lambda document: console.print(in_a_line(document)),
                )
            )
        running.wait()
    console.print("stopped")


def catch_up(args: GraphArgs, console: Console) -> None:
    """Apply the event log to the user state: after a crash it may have missed some."""
    if not isinstance(args.event_log, Path) or not args.event_log.is_dir():
        return  # what Kafka has, ``marquee ingest`` applies
    with open_user_state(args.state_url) as state:
        fates = replay(args.event_log, state, on_damage=lambda damage: console.print(f"event log: {damage}"))
    if fates:
        console.print("event log: " + ", ".join(f"{count} {fate}" for fate, count in sorted(fates.items())))


@contextmanager
def stoppable() -> Iterator[None]:
    """Let SIGTERM end a block as Ctrl-C does, and Ctrl-C too where a shell began us with it switched off."""

    def stop(*_: object) -> NoReturn:
        raise KeyboardInterrupt

    before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
