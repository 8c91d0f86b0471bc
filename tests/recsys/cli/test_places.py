"""Commands that are not told where things are look into MARQUEE_HOME."""

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from recsys.cli import exposures, registry


@pytest.mark.parametrize(
    ("app", "arguments", "folder"),
    [
        (exposures.app, ["show", "--json"], "exposures"),
        (registry.app, ["list", "--json"], "registry"),
    ],
)
def test_what_is_not_named_is_looked_for_at_home(
    app: typer.Typer, arguments: list[str], folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MARQUEE_REGISTRY", raising=False)
    monkeypatch.setenv("MARQUEE_HOME", "elsewhere")
    nowhere = CliRunner().invoke(app, arguments)
    assert f"elsewhere/{folder}" in str(nowhere.exception)
    (tmp_path / "elsewhere" / folder).mkdir(parents=True)
    found = CliRunner().invoke(app, arguments)
    assert (found.exit_code, type(json.loads(found.output))) == (0, dict)


def test_home_is_a_folder_here_when_nobody_names_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MARQUEE_HOME", raising=False)
    (tmp_path / ".marquee" / "exposures").mkdir(parents=True)
    assert CliRunner().invoke(exposures.app, ["show", "--json"]).exit_code == 0
