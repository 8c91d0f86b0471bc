"""``--track``: what a command does is told to a tracking server too."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Annotated

import typer

from recsys.cli.places import home
from recsys.core.clock import monotonic_clock
from recsys.registry.open import absolute
from recsys.registry.store import Registry
from recsys.tracking.bundles import tell_of_bundle, tell_of_channels
from recsys.tracking.open import check_installed, open_tracking
from recsys.tracking.outbox import Outbox
from recsys.tracking.run import Tell, untold


def _checked(track: str | None) -> str | None:
    if track is not None:
        check_installed()  # before anything is done
    return track


TrackOption = Annotated[
    str | None,
    typer.Option(
        "--track",
        envvar="MARQUEE_TRACK",
        metavar="auto|URI",
        callback=_checked,
        help="Tell MLflow: auto (MLFLOW_TRACKING_URI, else a SQLite file beside the registry) or its URI.",
    ),
]


@contextmanager
def telling(track: str | None, *, later: str) -> Iterator[Tell]:
    """Hand out what tells a tracking server; what it never took is said at the end, and is no failure.

    Args:
        track: as the option was given; None: nobody is told.
        later: the command that tells it once the server is there again.
    """
    if track is None:
        yield untold
        return
    outbox = Outbox(open_tracking(track, home()), monotonic_clock, _say)
    try:
        yield outbox.tell
    finally:
        outbox.flush()
        if outbox.fault is not None:
            _say(f"{outbox.fault}; {outbox.n_waiting} thing(s) were not told, later: {later}")


def tell_of_training(track: str | None, registry: Registry, bundle: str, address: str) -> None:
    """Tell of a bundle that was trained, and of the channels that may name it now."""
    where = absolute(address)
    with telling(track, later="marquee train, which trains nothing twice") as tell:
        tell(partial(tell_of_bundle, registry=registry, bundle=bundle, address=where))
        tell(partial(tell_of_channels, registry=registry, address=where))


def tell_of_moves(track: str | None, registry: Registry, address: str) -> None:
    """Tell what the channels name."""
    with telling(track, later="marquee registry track") as tell:
        tell(partial(tell_of_channels, registry=registry, address=absolute(address)))


def _say(sentence: str) -> None:
    typer.echo(f"marquee: {sentence}", err=True)
