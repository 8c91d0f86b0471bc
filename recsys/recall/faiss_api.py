"""The few FAISS classes whose shipped type stubs are wrong or missing, behind signatures that hold.

faiss-cpu 1.15 declares itself typed, but its stubs lack ``SearchParametersHNSW`` and the keyword arguments
that its Python layer adds. Everything else of FAISS is used directly.
"""

from pathlib import Path
from typing import Any, cast

import faiss
import numpy as np
from numpy.typing import NDArray

_untyped: Any = faiss


def bitmap_selector(open_rows: NDArray[np.bool_]) -> faiss.IDSelector:
    """Return a selector that lets the marked vectors through; it keeps the bitmap alive."""
    return cast("faiss.IDSelector", _untyped.IDSelectorBitmap(np.packbits(open_rows, bitorder="little")))


def graph_parameters(effort: int, selector: faiss.IDSelector | None = None) -> faiss.SearchParameters:
    """Return search parameters of an HNSW graph that looks at ``effort`` candidates."""
    return cast("faiss.SearchParameters", _untyped.SearchParametersHNSW(sel=selector, efSearch=effort))


def mapped_graph(path: Path) -> faiss.IndexHNSW:
    """Read a graph whose vectors and links stay in the file, so that replicas on a node share the pages."""
    return cast("faiss.IndexHNSW", _untyped.read_index(str(path), _untyped.IO_FLAG_MMAP_IFC))
