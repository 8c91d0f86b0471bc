"""From an address to a lake, without loading what only a lake needs before there is one."""

import importlib
import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING

from recsys.core.errors import DataFormatError, UnavailableError
from recsys.lake.layout import LAYOUTS
from recsys.lake.place import place_of

if TYPE_CHECKING:
    from recsys.lake.lake import Lake

_LOG = "_delta_log"


def is_lake(root: str | Path) -> bool:
    """Return whether there is one of the tables; in a folder, needs no library.

    Raises:
        FieldError: it is the address of something else.
        UnavailableError: a bucket cannot be reached or refuses, or obstore is not installed.
    """
    place = place_of(root)
    return any(place.has(f"{each.name}/{_LOG}") for each in LAYOUTS)


def open_lake(root: str | Path, *, make: bool = False) -> "Lake":
    """Open a lake.

    Args:
        root: the folder, or ``s3://bucket/prefix``.
        make: whether it may be missing: the first batch makes it then.

    Raises:
        FieldError: it is the address of something else.
        UnavailableError: an extra is not installed; or see :func:`is_lake`.
        DataFormatError: there is no lake.
    """
    if importlib.util.find_spec("deltalake") is None:
        raise UnavailableError("lake", "deltalake is missing; pip install 'marquee-recsys[lake]'")
    if not make and not is_lake(root):
        found = "no such table" if place_of(root).exists else "no such folder"
        raise DataFormatError(root, f"a lake (events/{_LOG})", found)
    opened: Lake = importlib.import_module("recsys.lake.lake").Lake(root)
    return opened


def absolute_address(root: str | Path) -> str:
    """Return the address of a lake, or of a folder, that means the same everywhere on this machine."""
    return str(root) if "://" in str(root) else str(Path(root).absolute())
