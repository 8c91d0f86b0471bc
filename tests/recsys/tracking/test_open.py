import importlib.util
from pathlib import Path

import pytest

from recsys.core.errors import UnavailableError
from recsys.tracking.open import AUTO, open_tracking, tracking_uri


def test_auto_means_what_mlflow_is_told_and_else_a_file_at_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert tracking_uri(AUTO, tmp_path) == f"sqlite:///{tmp_path}/mlflow.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://mlflow:5000")
    assert tracking_uri(AUTO, tmp_path) == "http://mlflow:5000"
    assert tracking_uri("sqlite:///other.db", tmp_path) == "sqlite:///other.db"


def test_without_the_extra_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "mlflow" else found(name))
    with pytest.raises(UnavailableError, match=r"mlflow is missing; pip install 'marquee-recsys\[mlflow\]'"):
        open_tracking(AUTO, tmp_path)
