"""``marquee registry``: look at bundles, verify them, and move the channels that name them."""

import getpass
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import track
from rich.table import Column, Table

from recsys.cli.places import RegistryOption
from recsys.cli.tracked import TrackOption, tell_of_moves
from recsys.core.clock import unix_clock
from recsys.core.errors import BundleError, DataFormatError
from recsys.registry.channels import Channels
from recsys.registry.manifest import Manifest
from recsys.registry.open import open_registry
from recsys.registry.reader import open_bundle
from recsys.registry.store import BundleInfo, Registry
from recsys.tracking.open import AUTO

app = typer.Typer(no_args_is_help=True, help="Bundles, and the channels that name them.")

BUNDLE_HELP = "A channel, a bundle's name, or the beginning of one."
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]
BundleArgument = Annotated[str, typer.Argument(metavar="BUNDLE", help=BUNDLE_HELP)]
ByOption = Annotated[str | None, typer.Option("--by", help="Who asks for it; the user of this computer.")]


@app.command("list")
def list_bundles(*, registry: RegistryOption, as_json: JsonOption = False) -> None:
    """List all bundles, the newest first."""
    opened = _opened(registry)
    channels, infos = opened.channels(), opened.list()
    if as_json:
        _print_json({**_named(channels), "bundles": [_as_row(info, channels) for info in infos]})
        return
    table = Table(Column("bundle", no_wrap=True), "channels", "created (UTC)", "files", "MB", "state")
    for info in infos:
        names = ", ".join(channels.naming(info.name))
        if (manifest := info.manifest) is None:
            table.add_row(info.name, names, "", "", "", info.fault, style="red")
        else:
            size = f"{manifest.n_bytes / 1e6:.1f}"
            table.add_row(
                info.name, names, _date(manifest.created_s), str(len(manifest.files)), size, "readable"
            )
    Console().print(table)


@app.command()
def show(bundle: BundleArgument, *, registry: RegistryOption, as_json: JsonOption = False) -> None:
    """Show what a bundle holds and what is known about it."""
    opened = _opened(registry)
    folder = opened.get(bundle)
    manifest, channels = Manifest.read(folder), opened.channels().naming(folder.name)
    if as_json:
        _print_json({**manifest.model_dump(), "channels": channels, "path": str(folder)})
        return
    console = Console()
    facts = Table("what", Column("value", overflow="fold"), title=f"bundle {manifest.name}")
    facts.add_row("channels", ", ".join(channels) or "none")
    facts.add_row("created (UTC)", _date(manifest.created_s))
    facts.add_row("feature schema", manifest.feature_schema)
    for key, value in manifest.meta.items():
        facts.add_row(key, json.dumps(value))
    files = Table("file", "bytes", "sha256")
    for path, entry in manifest.files.items():
        files.add_row(path, f"{entry.bytes:,}", entry.sha256[:16])
    console.print(facts, files)


@app.command()
def verify(
    bundles: Annotated[list[str] | None, typer.Argument(metavar="[BUNDLE]...", help=BUNDLE_HELP)] = None,
    *,
    registry: RegistryOption,
    as_json: JsonOption = False,
) -> None:
    """Compare every byte of some bundles, or of all, with its digest; exit code 1 when one differs."""
    opened = _opened(registry)
    names = [opened.resolve(ref) for ref in bundles or [info.name for info in opened.list()]]
    progress = Console(stderr=True)
    watched = track(
        names, "verifying", console=progress, transient=True, disable=not progress.is_terminal or as_json
    )
    faults = {name: _fault(opened, name) for name in watched}
    if as_json:
        rows = [{"name": name, "ok": fault is None, "fault": fault} for name, fault in faults.items()]
        _print_json({"bundles": rows})
    else:
        for name, fault in faults.items():
            typer.echo(f"bundle {name}: ok" if fault is None else fault)
    if any(faults.values()):
        raise typer.Exit(1)


@app.command()
def promote(
    bundle: BundleArgument,
    *,
    channel: Annotated[str, typer.Option("--to", help="stable or candidate.")] = "stable",
    expected: Annotated[
        str | None,
        typer.Option(
            help="Only if the channel names this bundle now ('none': names nothing); by default any."
        ),
    ] = None,
    by: ByOption = None,
    track: TrackOption = None,
    registry: RegistryOption,
    as_json: JsonOption = False,
) -> None:
    """Verify a bundle, then let a channel name it; what was stable becomes previous."""
    opened = _opened(registry)
    name = open_bundle(opened.get(bundle), feature_schema=None).name
    seen = opened.channels()
    if expected is None:
        wanted = next((seen.named_by(known) for known in ("stable", "candidate") if known == channel), None)
    else:
        wanted = None if expected == "none" else opened.resolve(expected)
    channels = opened.promote(name, channel, expected=wanted, by=by or _user(), now_s=unix_clock())
    tell_of_moves(track, opened, registry)
    _print_channels(channels, as_json=as_json)


@app.command()
def rollback(
    *,
    expected: Annotated[
        str | None, typer.Option(help="Only if this bundle is stable now; by default any.")
    ] = None,
    by: ByOption = None,
    track: TrackOption = None,
    registry: RegistryOption,
    as_json: JsonOption = False,
) -> None:
    """Verify what was stable before, then swap stable and previous."""
    opened = _opened(registry)
    open_bundle(opened.get("previous"), feature_schema=None)
    leaving = opened.resolve(expected or "stable")
    channels = opened.rollback(expected=leaving, by=by or _user(), now_s=unix_clock())
    tell_of_moves(track, opened, registry)
    _print_channels(channels, as_json=as_json)


@app.command()
def remove(
    bundles: Annotated[list[str], typer.Argument(metavar="BUNDLE...", help=BUNDLE_HELP)],
    *,
    registry: RegistryOption,
    as_json: JsonOption = False,
) -> None:
    """Remove bundles that no channel names; a process that has one open keeps it until it ends."""
    opened = _opened(registry)
    names = [opened.remove(ref) for ref in bundles]
    if as_json:
        _print_json({"removed": names})
    else:
        typer.echo(f"removed: {', '.join(names)}")


@app.command("track")
def track_channels(*, track: TrackOption = AUTO, registry: RegistryOption) -> None:
    """Tell MLflow what the channels name now: after a rollout, or after an outage of MLflow's."""
    tell_of_moves(track, _opened(registry), registry)


@app.command()
def history(*, registry: RegistryOption, as_json: JsonOption = False) -> None:
    """List every move of a channel, the latest first."""
    moves = _opened(registry).channels().moves[::-1]
    if as_json:
        _print_json({"moves": [move.model_dump() for move in moves]})
        return
    names = [Column(header, overflow="fold") for header in ("from", "to")]
    table = Table("version", "when (UTC)", "who", "what", "channel", *names)
    for move in moves:
        table.add_row(
            str(move.version),
            _date(move.at_s),
            move.by,
            move.action,
            move.channel,
            move.from_bundle or "-",
            move.to_bundle or "-",
        )
    Console().print(table)


def _opened(address: str) -> Registry:
    if "://" not in address and not Path(address).is_dir():
        raise DataFormatError(
            address, "a registry, the folder that `marquee train` puts bundles in", "no folder"
        )
    return open_registry(address)


def _fault(registry: Registry, name: str) -> str | None:
    try:
        open_bundle(registry.get(name), feature_schema=None)
    except BundleError as error:
        return str(error)
    return None


def _as_row(info: BundleInfo, channels: Channels) -> dict[str, object]:
    manifest = info.manifest
    return {
        "name": info.name,
        "channels": channels.naming(info.name),
        "fault": info.fault,
        "created_s": manifest and manifest.created_s,
        "feature_schema": manifest and manifest.feature_schema,
        "n_files": manifest and len(manifest.files),
        "n_bytes": manifest and manifest.n_bytes,
    }


def _named(channels: Channels) -> dict[str, object]:
    return channels.model_dump(include={"version", "stable", "candidate", "previous"})


def _print_channels(channels: Channels, *, as_json: bool) -> None:
    if as_json:
        _print_json(_named(channels))
        return
    for channel, bundle in _named(channels).items():
        if channel != "version":
            typer.echo(f"{channel:9} {bundle or '-'}")


def _print_json(value: object) -> None:
    typer.echo(json.dumps(value))


def _date(time_s: float) -> str:
    return datetime.fromtimestamp(time_s, UTC).strftime("%Y-%m-%d %H:%M:%S")


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container whose user has no name
        return "unknown"
