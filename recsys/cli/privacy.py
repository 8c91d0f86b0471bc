"""``marquee privacy``: let a person leave, prove it, and keep nothing longer than it may be kept."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from recsys.cli.places import (
    EventLogOption,
    EventsOption,
    LakeOption,
    RegistryOption,
    StateOption,
    events_at_home,
    exposures_at_home,
)
from recsys.core.clock import unix_clock
from recsys.core.errors import DataFormatError, FieldError, UnavailableError
from recsys.core.pseudonyms import Pseudonyms, door_key_for, rotate_key, tombstone_of
from recsys.eventlog.exposure import key_for
from recsys.eventlog.exposure_files import exposure_files
from recsys.eventlog.reader import read_erasures
from recsys.lake.open import is_lake
from recsys.privacy import erasure
from recsys.privacy.names import Names, names_of, shown_as
from recsys.privacy.places import Asking, ExposuresPlace, LogPlace, Place, StatePlace, SumsPlace
from recsys.privacy.retention import RetentionConfig, enforce
from recsys.registry.open import open_registry
from recsys.training.leaving import bundles_before

app = typer.Typer(no_args_is_help=True, help="Let a person leave, and prove it.")

_CLOCK_SKEW_S = 300.0  # clients' clocks may be so far ahead, and their events with them
_SETTLED_S = 60.0  # after which no router holds what it showed before: ExposureConfig.max_age_s, and more

WhoArgument = Annotated[
    str, typer.Argument(metavar="USER_ID", help="As clients send it; - reads it from stdin.")
]
ExposuresOption = Annotated[
    Path,
    typer.Option(
        "--exposures",
        default_factory=exposures_at_home,
        show_default="exposures at home",
        help="Where the exposures are.",
    ),
]
KeyOption = Annotated[
    Path | None,
    typer.Option("--key", help="Keys of the door; else MARQUEE_PRIVACY_KEY, else beside the event log."),
]
ExposuresKeyOption = Annotated[
    Path | None,
    typer.Option(help="Keys of the exposures; else MARQUEE_EXPOSURES_KEY, else beside the exposures."),
]


@app.command()
def erase(
    user_id: WhoArgument,
    *,
    state: StateOption,
    events: EventsOption,
    exposures: ExposuresOption,
    proof: Annotated[Path, typer.Option(help="Where to write what was done; it names nobody.")],
    key: KeyOption = None,
    exposures_key: ExposuresKeyOption = None,
    lake: LakeOption,
    registry: RegistryOption,
    event_log: EventLogOption = None,
) -> None:
    """Erase a person everywhere, search every byte, and write a proof; exit code 1 when something is left.

    It may be repeated, and should be 15 seconds after the last answer to the person: what routers still hold
    in memory comes into a file later. What the person does within the next 5 minutes is refused. Kafka's
    topics name the person until the broker compacts them: check again after two days.
    """
    names = _names(_who(user_id), events, key, exposures, exposures_key)
    at_s = unix_clock() + _CLOCK_SKEW_S
    bundles = list(bundles_before(open_registry(registry), at_s))
    places = _places(state, events, exposures, lake, registry, event_log)
    done = erasure.erase(names, places, at_s=at_s, clock=unix_clock, bundles=bundles)
    done.write(proof)
    for place in done.places:
        typer.echo(f"{place.place}: removed {_removed(place.removed)}; {_left(place.left)}")
    if bundles:
        typer.echo(f"bundles made before, to be retired: {', '.join(bundles)}")
    typer.echo(f"proof: {proof}")
    if not done.complete:
        raise typer.Exit(1)


@app.command()
def check(
    user_id: WhoArgument,
    *,
    state: StateOption,
    events: EventsOption,
    exposures: ExposuresOption,
    key: KeyOption = None,
    exposures_key: ExposuresKeyOption = None,
    lake: LakeOption,
    registry: RegistryOption,
    event_log: EventLogOption = None,
) -> None:
    """Search every byte for a person and change nothing; exit code 1 when they are named."""
    names = _names(_who(user_id), events, key, exposures, exposures_key)
    found = erasure.search(names, _places(state, events, exposures, lake, registry, event_log))
    for place, traces in found.items():
        typer.echo(f"{place}: {_left(traces)}")
    if found:
        raise typer.Exit(1)
    typer.echo("named nowhere")


@app.command()
def finish(
    *,
    state: StateOption,
    events: EventsOption,
    exposures: ExposuresOption,
    exposures_key: ExposuresKeyOption = None,
    lake: LakeOption,
    registry: RegistryOption,
    event_log: EventLogOption = None,
) -> None:
    """Complete what calls of DELETE /users/{id} began: they leave the name in the log. Run it daily.

    Calls of the last minute are left for the next time: routers may still hold answers to those users.
    """
    shown = _shown(exposures, exposures_key)
    settled_s = unix_clock() - _SETTLED_S
    places = _places(state, events, exposures, lake, registry, event_log)
    asked = [place.erasures() for place in places if isinstance(place, Asking)]
    if not asked or events.is_dir():  # with Kafka there may be no files
        asked.append(read_erasures(events))
    people = {
        Names((name,), shown_as((name,), shown)): at_s
        for erasures in asked
        for name, at_s in erasures.items()
        if name != tombstone_of(name) and at_s <= settled_s
    }
    typer.echo(f"{len(people):,} names were left to be removed")
    for place in places if people else ():
        typer.echo(f"{place.name}: removed {_removed(place.erase(people))}")


@app.command()
def retention(
    *,
    events: EventsOption,
    exposures: ExposuresOption,
    events_days: Annotated[
        float | None, typer.Option(min=0.001, help="Remove closed segments of the event log that are older.")
    ] = None,
    exposures_days: Annotated[
        float | None, typer.Option(min=0.001, help="Remove files of exposures that are older.")
    ] = None,
) -> None:
    """Remove what is older than it may be. Run it daily."""
    config = RetentionConfig(events_days=events_days, exposures_days=exposures_days)
    try:
        removed = enforce(config, events=events, exposures=exposures, now_s=unix_clock())
    except OSError as error:
        raise UnavailableError("retention", str(error)) from error
    for place, count in removed.items():
        typer.echo(f"{place}: {count:,} files removed")


@app.command()
def rotate(
    key: Annotated[Path | None, typer.Argument(help="File of keys; by default those of the door.")] = None,
) -> None:
    """Put a new key before the others of a file: names given from the next start on are new ones."""
    path = key or door_key_for(events_at_home())
    typer.echo(f"{path}: {rotate_key(path)} keys; restart what uses it")


def _who(user_id: str) -> str:
    """Return whom it is about, read where no shell's history keeps it if so asked."""
    return sys.stdin.readline().rstrip("\n") if user_id == "-" else user_id


def _names(
    user_id: str, events: Path, key: Path | None, exposures: Path, exposures_key: Path | None
) -> Names:
    door = _keys(key, door_key_for(events))
    return names_of(user_id, door=door, exposures=_shown(exposures, exposures_key))


def _shown(exposures: Path, key: Path | None) -> Pseudonyms | None:
    shown = _keys(key, key_for(exposures))
    if shown is None and exposure_files(exposures):
        raise DataFormatError(key_for(exposures), "the key of the exposures", "no such file")
    return shown


def _keys(named: Path | None, usual: Path) -> Pseudonyms | None:
    """Read keys; None where none are, for nobody makes one in order to erase. One that is named has to be."""
    path = named or usual
    if named is None and not usual.is_file():
        return None
    if not path.is_file():
        raise DataFormatError(path, "the keys of the pseudonyms", "no such file")
    return Pseudonyms.of_file(path)


def _places(
    state: str, events: Path, exposures: Path, lake: str, registry: str, event_log: str | None
) -> list[Place]:
    """Return where people are named; whoever keeps people somewhere else adds it here."""
    places: list[Place] = [
        LogPlace(events),
        StatePlace(state),
        ExposuresPlace(exposures),
        SumsPlace(registry, clock=unix_clock),
    ]
    if is_lake(lake):
        try:
            from recsys.privacy.lake_place import LakePlace  # noqa: PLC0415 - an extra: only who asks needs it
        except ModuleNotFoundError as error:
            raise FieldError("lake", lake, "deltalake: pip install 'marquee-recsys[lake]'") from error
        places.append(LakePlace(lake))
    if event_log is not None:
        try:
            from recsys.privacy.kafka_place import KafkaPlace  # noqa: PLC0415 - an extra, too
        except ModuleNotFoundError as error:
            expected = "confluent-kafka: pip install 'marquee-recsys[kafka]'"
            raise FieldError("event log", event_log, expected) from error
        places.append(KafkaPlace(event_log))
    return places


def _removed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count:,} {what}" for what, count in counts.items())


def _left(traces: Mapping[str, int]) -> str:
    named = ", ".join(f"named {count:,} times in {where}" for where, count in traces.items())
    return named or "nothing is left"
