"""From a folder to a lake, without loading what only a lake needs before there is one."""

import importlib
import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING

from recsys.core.errors import DataFormatError, UnavailableError
from recsys.lake.layout import LAYOUTS

if TYPE_CHECKING:
    from recsys.lake.lake import Lake

_LOG = "_delta_log"


def is_lake(root: Path) -> bool:
    """Return whether a folder has one of the tables; needs no library."""
    return any((root / each.name / _LOG).is_dir() for each in LAYOUTS)


def open_lake(root: Path, *, make: bool = False) -> "Lake":
    """Open a lake.

    Args:
        root: the folder.
        make: whether it may be missing: the first batch makes it then.

    Raises:
        UnavailableError: the extra is not installed.
        DataFormatError: there is no lake.
    """
    if importlib.util.find_spec("deltalake") is None:
        raise UnavailableError("lake", "deltalake is missing; pip install 'marquee-recsys[lake]'")
    if not make and not is_lake(root):
        found = "no such table" if root.is_dir() else "no such folder"
        raise DataFormatError(root, f"a lake (events/{_LOG})", found)
    opened: Lake = importlib.import_module("recsys.lake.lake").Lake(root)
    return opened
