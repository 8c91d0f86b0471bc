import json
from pathlib import Path

import polars as pl
import pytest
from typer.testing import CliRunner, Result

from recsys.cli.catalogue import app
from recsys.core.errors import DataFormatError, NotFoundError, UnavailableError
from recsys.data.schema import Dataset
from recsys.overlay.overlay import CAPACITY
from recsys.ranking.boosting import BoostingConfig
from recsys.registry.local import LocalRegistry
from recsys.training.cross_fit import CrossFitConfig
from recsys.training.train import train
from recsys.training.two_stage import TrainingConfig


def call(folder: Path, *arguments: str, said: str | None = None) -> Result:
    state = f"sqlite:///{folder / 'state.db'}"
    return CliRunner().invoke(app, [*arguments, "--state", state, "--json"], input=said)


def answer(folder: Path, *arguments: str, said: str | None = None) -> object:
    result = call(folder, *arguments, said=said)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_items_are_put_changed_shown_and_taken_out(tmp_path: Path) -> None:
    first, later = (json.dumps({"item_id": "v1", "title": title}) for title in ("Tides", "Tides II"))
    assert answer(tmp_path, "put", "-", said=f"{first}\n\n") == {"new": 1}
    assert answer(tmp_path, "put", "-", said=later) == {"changed": 1}
    assert answer(tmp_path, "remove", "v2") == {"new": 1}
    shown = answer(tmp_path, "show")
    assert isinstance(shown, dict)
    assert [(item["item_id"], item["available"]) for item in shown["items"]] == [("v2", False), ("v1", True)]
    assert shown["items"][1]["title"] == "Tides II"


def test_nothing_is_put_when_a_line_is_wrong_and_the_line_is_named(tmp_path: Path) -> None:
    lines = '{"item_id": "v1"}\n{"item_id": "v2", "colour": "red"}'
    result = call(tmp_path, "put", "-", said=lines)
    assert isinstance(result.exception, DataFormatError)
    assert "line 2: colour" in str(result.exception)
    assert answer(tmp_path, "show") == {"version": 0, "items": []}


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    assert isinstance(call(tmp_path, "put", str(tmp_path / "none.jsonl")).exception, NotFoundError)


def test_what_does_not_fit_is_left_out_and_counted(tmp_path: Path) -> None:
    lines = "\n".join(json.dumps({"item_id": f"v{row}"}) for row in range(CAPACITY + 2))
    result = call(tmp_path, "put", "-", said=lines)
    assert isinstance(result.exception, UnavailableError)
    assert "full: 2 items left out" in str(result.exception)


@pytest.mark.slow
def test_prune_forgets_what_the_bundles_say_as_well(simulated: Dataset, tmp_path: Path) -> None:
    config = TrainingConfig(
        boosting=BoostingConfig(n_trees=2), cross_fit=CrossFitConfig(max_questions=200), n_candidates=20
    )
    registry = LocalRegistry(tmp_path / "registry")
    bundle = train(simulated, registry, config, key="1", now_s=0.0).bundle.name
    registry.promote(bundle, "stable", expected=None, by="test", now_s=0.0)
    known = simulated.items.filter(pl.col("available")).row(0, named=True)
    same = {name: value for name, value in known.items() if value is not None}
    answer(tmp_path, "put", "-", said="\n".join(json.dumps(item) for item in (same, {"item_id": "new"})))
    pruned = answer(tmp_path, "prune", "--registry", str(registry.root))
    assert pruned == {"bundles": [bundle], "removed": 1}
    shown = answer(tmp_path, "show")
    assert isinstance(shown, dict)
    assert [item["item_id"] for item in shown["items"]] == ["new"]
