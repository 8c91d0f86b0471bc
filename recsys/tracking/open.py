"""From an address to a place where runs are kept."""

import importlib
import importlib.util
import os
from pathlib import Path

from recsys.core.errors import UnavailableError
from recsys.tracking.run import Tracking

AUTO = "auto"
"""What ``MLFLOW_TRACKING_URI`` says, else a SQLite file at home."""

_NEEDED = ("mlflow", "sqlalchemy", "alembic")
_FILE = "mlflow.db"
_QUIET = {
    "MLFLOW_DISABLE_TELEMETRY": "true",  # it would tell its makers of every use
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",  # where our JSON goes
    "MLFLOW_LOGGING_LEVEL": "WARNING",
}


def open_tracking(address: str, home: Path) -> Tracking:
    """Open a place where runs are kept; nothing is asked of it yet.

    Args:
        address: :data:`AUTO`, or a tracking URI of MLflow.
        home: the folder where the SQLite file is when nothing else is said.

    Raises:
        UnavailableError: the extra is not installed.
    """
    check_installed()
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    client = importlib.import_module("recsys.tracking.mlflow_client")
    tracking: Tracking = client.MlflowTracking(tracking_uri(address, home))
    return tracking


def check_installed() -> None:
    """Look whether the extra is there, without loading it.

    Raises:
        UnavailableError: it is not.
    """
    missing = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise UnavailableError(
            "tracking", f"{', '.join(missing)} is missing; pip install 'marquee-recsys[mlflow]'"
        )


def tracking_uri(address: str, home: Path) -> str:
    """Return the tracking URI that an address means.

    >>> tracking_uri("http://mlflow:5000", Path("/data"))
    'http://mlflow:5000'
    """
    if address != AUTO:
        return address
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{home / _FILE}"
