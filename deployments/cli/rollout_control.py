"""``marquee rollout control``: a controller by itself, on one machine or on Kubernetes."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from deployments.cli.serve import graph_args
from deployments.cli.traffic_option import TrafficOption
from deployments.control.control import Controller
from deployments.control.local import in_a_line, local_controller, local_outcomes
from deployments.control.sources import counters_from
from deployments.control.steward import Steward
from deployments.control.surroundings import Surroundings
from deployments.control.verifier import Verifier
from deployments.kubernetes.address import SCHEME, ConfigMapAddress
from deployments.settings import GraphArgs
from deployments.traffic_stores import open_traffic_store
from recsys.cli.places import EventLogOption, RegistryBesideOption
from recsys.core.clock import unix_clock
from recsys.core.errors import FieldError
from recsys.ranking.matrix import FEATURE_SCHEMA
from recsys.registry.open import open_registry
from recsys.registry.reader import open_bundle
from recsys.rollout.traffic import TrafficDocument
from recsys.rollout.traffic_store import TrafficStore


def control(
    *,
    url: Annotated[str, typer.Option(envvar="MARQUEE_URL", help="Of the service.")] = "http://127.0.0.1:8000",
    home: Annotated[
        Path, typer.Option(envvar="MARQUEE_HOME", help="Where the service keeps its files.")
    ] = Path(".marquee"),
    traffic: TrafficOption = None,
    registry: RegistryBesideOption = None,
    event_log: EventLogOption = None,
    prometheus: Annotated[
        str | None, typer.Option(help="Ask this Prometheus for the counters, not the service.")
    ] = None,
    selector: Annotated[str, typer.Option(help="Labels of the service in Prometheus.")] = "",
    pods: Annotated[
        str | None,
        typer.Option(help="HOST:PORT of all pods: add up their counters, without a Prometheus."),
    ] = None,
    every: Annotated[float, typer.Option(min=0.1, help="Seconds between two looks.")] = 2.0,
    wanted: Annotated[
        str | None, typer.Option(help=f"Follow what values want: {SCHEME}://NAMESPACE/NAME.")
    ] = None,
    report: Annotated[
        str | None, typer.Option(help=f"Tell how it stands, with Events: {SCHEME}://NAMESPACE/NAME.")
    ] = None,
    lease: Annotated[
        str | None, typer.Option(help="Lead only while holding this Lease: NAMESPACE/NAME.")
    ] = None,
    owner: Annotated[
        str | None,
        typer.Option(help="The Deployment whose all is that is made on Kubernetes: NAMESPACE/NAME."),
    ] = None,
) -> None:
    """Run a controller by itself; `marquee serve` runs one already. Several do no harm."""
    args = graph_args(home, registry=registry, traffic=traffic, event_log=event_log)
    around = _surroundings(wanted=wanted, report=report, lease=lease, owner=owner)
    store = open_traffic_store(args.traffic, owner=around.owner)
    controller = local_controller(
        store,
        args.registry,
        url,
        counters=counters_from(url, prometheus=prometheus, selector=selector, pods=pods),
        outcomes=local_outcomes(args.exposures, args.event_log),
    )
    steward = _steward(controller, store, args, around)
    with until_told() as stopped, around.lease:
        steward.run(stopped, every_s=every, leads=around.leads)


@contextmanager
def until_told() -> Iterator[threading.Event]:
    """Give an event that SIGTERM and Ctrl-C set, so that a turn that has begun comes to its end."""
    stopped = threading.Event()
    numbers = (signal.SIGTERM, signal.SIGINT)
    before = {number: signal.signal(number, lambda *_: stopped.set()) for number in numbers}
    try:
        yield stopped
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _steward(controller: Controller, store: TrafficStore, args: GraphArgs, around: Surroundings) -> Steward:
    console = Console()
    registry = open_registry(args.registry)

    def verify(bundle: str) -> None:
        open_bundle(registry.get(bundle), feature_schema=FEATURE_SCHEMA)  # every digest

    def say(document: TrafficDocument) -> None:
        console.print(in_a_line(document))

    return Steward(
        controller,
        store,
        registry,
        wishes=around.wishes,
        verifier=Verifier(verify, clock=unix_clock),
        reports=around.reports,
        clock=unix_clock,
        on_write=say,
    )


def _surroundings(**given: str | None) -> Surroundings:
    """Open what is on Kubernetes."""
    addresses = {name: _address(name, text) for name, text in given.items() if text is not None}
    if not addresses:
        return Surroundings()
    try:
        from deployments.kubernetes.surroundings import Addresses, open_surroundings  # noqa: PLC0415 - an extra
    except ModuleNotFoundError as error:
        expected = "the client of Kubernetes: pip install 'marquee-recsys[kubernetes]'"
        raise FieldError(", ".join(addresses), "no module kubernetes", expected) from error
    return open_surroundings(Addresses(**addresses), clock=unix_clock)


def _address(option: str, text: str) -> ConfigMapAddress:
    """Read NAMESPACE/NAME, with or without ``configmap://``."""
    try:
        return ConfigMapAddress.parse(text if "://" in text else f"{SCHEME}://{text}")
    except FieldError as error:
        raise FieldError(f"--{option}", error.got, error.expected) from error
