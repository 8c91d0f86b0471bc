"""``marquee train``: from a data set to a bundle in the registry."""

import getpass
import json
import resource
from pathlib import Path
from typing import Annotated

import typer
from pydantic import ValidationError

from recsys.cli.data_source import LakeVersionOption, data_source
from recsys.cli.places import RegistryOption
from recsys.cli.progress import steps_shown
from recsys.cli.tracked import TrackOption, tell_of_training
from recsys.core.clock import unix_clock
from recsys.core.errors import DataFormatError, FieldError
from recsys.data.badrows import OnBadRow
from recsys.registry.channels import Channel
from recsys.registry.open import open_registry
from recsys.registry.store import let_channel_name
from recsys.training.gate import GateConfig
from recsys.training.train import find_trained, train, training_key
from recsys.training.two_stage import TrainingConfig

app = typer.Typer(pretty_exceptions_enable=False)


@app.command(name="train")
def main(
    *,
    data: Annotated[str, typer.Option(help="A data set (ours, MovieLens or KuaiRand), or a lake.")],
    registry: RegistryOption,
    config: Annotated[
        Path | None, typer.Option(help="JSON file with settings that differ from the defaults.")
    ] = None,
    channel: Annotated[Channel | None, typer.Option(help="Let this channel name the new bundle.")] = None,
    on_bad_row: Annotated[OnBadRow, typer.Option(help="What to do about rows that cannot be read.")] = (
        OnBadRow.FAIL
    ),
    gate: Annotated[
        bool, typer.Option(help="Refuse to publish what does worse than popularity (fits once more).")
    ] = True,
    lake_version: LakeVersionOption = None,
    again: Annotated[bool, typer.Option("--again", help="Train even if nothing has changed.")] = False,
    track: TrackOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one line of JSON for machines.")] = False,
) -> None:
    """Train recall and ranker on a data set and publish the bundle."""
    settings = read_config(config)
    opened = open_registry(registry)
    source = data_source(data, lake_version)
    key = training_key(source.fingerprint, settings)
    name = None if again else find_trained(opened, key)
    figures: dict[str, object] = {"trained": name is None}
    if name is None:
        with steps_shown() as on_step:
            on_step(f"reading {data}", 0.0)
            now_s = unix_clock()
            dataset = source.load(on_bad_row=on_bad_row, now_s=now_s).dataset
            shown = None
            if settings.targets.weights:
                shown = source.impressions(dataset, on_bad_row=on_bad_row, now_s=now_s)
            done = train(
                dataset,
                opened,
                settings,
                key=key,
                now_s=unix_clock(),
                gate=GateConfig() if gate else None,
                impressions=shown,
                lake_versions=source.lake_versions,
                on_step=on_step,
            )
        name = done.bundle.name
        peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        figures |= {
            "fit_s": round(done.fit_s, 1),
            "write_s": round(done.write_s, 1),
            "peak_mb": round(peak_mb),
        }
    if channel is not None:
        let_channel_name(opened, name, channel, by=getpass.getuser(), now_s=unix_clock())
    tell_of_training(track, opened, name, registry)
    if as_json:
        typer.echo(json.dumps({"bundle": name, **figures}))
    elif figures["trained"]:
        typer.echo(
            f"bundle {name}: fitted in {figures['fit_s']} s, written in {figures['write_s']} s, "
            f"at most {figures['peak_mb']} MiB"
        )
    else:
        typer.echo(f"bundle {name}: nothing has changed since it was trained (--again trains anyway)")


def read_config(path: Path | None) -> TrainingConfig:
    """Return the settings of a JSON file over the defaults.

    Raises:
        DataFormatError: there is no such file.
        FieldError: a key is unknown or a value is out of range; the message names it.
    """
    if path is None:
        return TrainingConfig()
    if not path.is_file():
        raise DataFormatError(path, "a JSON file with training settings", "nothing")
    try:
        return TrainingConfig.model_validate_json(path.read_bytes())
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"]) or str(path)
        raise FieldError(field, repr(first["input"])[:80], first["msg"]) from error
