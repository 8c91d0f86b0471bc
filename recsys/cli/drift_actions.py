"""What ``marquee drift`` does with what it found: pages, and commands that carry actions out."""

import importlib
import importlib.util
import os
import shlex
import subprocess
from pathlib import Path

from pydantic import ValidationError

from recsys.core.durable import replace_durably
from recsys.core.errors import DataFormatError, FieldError, UnavailableError
from recsys.drift.found import DriftReport
from recsys.drift.policy import Alarm, PolicyConfig
from recsys.drift.watch import CarryOut


def command(text: str) -> CarryOut:
    """Return what runs a command for an alarm; it finds the alarm in ``MARQUEE_DRIFT_*``.

    A process of its own: a retraining would leave its memory with the watcher, and how a rollout is taken
    back (a file, a ConfigMap) is the edges' business.

    Args:
        text: words as a shell would cut them; no shell runs.
    """
    words = shlex.split(text)
    if not words:
        raise FieldError("command", repr(text), "a command")

    def run(alarm: Alarm) -> None:
        facts = {
            "MARQUEE_DRIFT_ALARM": alarm.id,
            "MARQUEE_DRIFT_BUNDLE": alarm.bundle,
            "MARQUEE_DRIFT_WHY": alarm.sentence,
        }
        try:
            subprocess.run(words, check=True, env={**os.environ, **facts})
        except (OSError, subprocess.CalledProcessError) as error:
            raise UnavailableError(words[0], str(error)) from error

    return run


def read_policy(path: Path | None) -> PolicyConfig:
    """Return the settings of a JSON file over the defaults.

    Raises:
        DataFormatError: there is no such file.
        FieldError: a key is unknown or a value is out of range; the message names it.
    """
    if path is None:
        return PolicyConfig()
    if not path.is_file():
        raise DataFormatError(path, "a JSON file with policy settings", "nothing")
    try:
        return PolicyConfig.model_validate_json(path.read_bytes())
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"]) or str(path)
        raise FieldError(field, repr(first["input"])[:80], first["msg"]) from error


def write_page(report: DriftReport, path: Path) -> None:
    """Write the HTML page.

    Raises:
        UnavailableError: matplotlib is not installed.
    """
    if importlib.util.find_spec("matplotlib") is None:
        raise UnavailableError("plotting", "matplotlib is missing; pip install 'marquee-recsys[drift]'")
    text: str = importlib.import_module("recsys.drift.report").html_of(report)
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_durably(path, text.encode())
