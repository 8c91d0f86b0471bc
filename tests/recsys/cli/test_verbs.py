from collections.abc import Mapping
from importlib.metadata import EntryPoint

import pytest
from typer.testing import CliRunner

from recsys.cli.main import Verbs, _hint, app
from recsys.core.errors import UnavailableError

GROUP = "marquee.commands"


@pytest.fixture
def verbs(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """Let there be one verb, whose module is what the test asks for."""
    found: Mapping[str, EntryPoint] = {"fly": EntryPoint("fly", f"{request.param}:app", GROUP)}
    monkeypatch.setattr(Verbs, "_found", staticmethod(lambda: found))


@pytest.mark.parametrize("verbs", ["no_such_library"], indirect=True)
@pytest.mark.usefixtures("verbs")
def test_a_verb_whose_extra_is_missing_is_listed_and_says_so() -> None:
    listed = CliRunner().invoke(app, ["--help"])
    assert listed.exit_code == 0
    assert "Needs no_such_library" in listed.output
    called = CliRunner().invoke(app, ["fly", "--high", "now"])
    assert isinstance(called.exception, UnavailableError)
    assert "no_such_library is not installed; an extra of marquee-recsys brings it" in str(called.exception)


@pytest.mark.parametrize(
    ("missing", "extra"), [("confluent_kafka", "kafka"), ("deltalake", "lake"), ("river", "drift")]
)
def test_the_extra_that_brings_a_library_is_named(missing: str, extra: str) -> None:
    assert _hint(missing) == f"pip install 'marquee-recsys[{extra}]'"


@pytest.mark.parametrize("verbs", ["recsys.no_such_module"], indirect=True)
@pytest.mark.usefixtures("verbs")
def test_a_module_of_ours_that_is_missing_is_a_fault() -> None:
    assert isinstance(CliRunner().invoke(app, ["fly"]).exception, ModuleNotFoundError)
