"""What `marquee serve` refuses before it starts anything."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from deployments.cli.serve import app


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--no-exposures", "--exposure-topic", "kafka://127.0.0.1:9092/shop"), "nothing to publish"),
        (("--autoscale-to", "1", "--per-stage", "2"), "1 is below --per-stage (2)"),
    ],
)
def test_flags_that_contradict_each_other(flags: tuple[str, ...], said: str, tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["--home", str(tmp_path), *flags], env={"COLUMNS": "200"})
    assert result.exit_code == 2
    assert said in result.output
    assert list(tmp_path.iterdir()) == []


def test_an_exposure_topic_that_is_no_address(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["--home", str(tmp_path), "--exposure-topic", "127.0.0.1:9092"])
    assert result.exit_code != 0
    assert "kafka://" in str(result.exception)
    assert list(tmp_path.iterdir()) == []
