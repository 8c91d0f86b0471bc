"""What a new user says they like, as a past that every stage understands.

The models look at items and not at tags, so a declared tag stands for the popular items that have it. They
come before anything the user did, so the first clicks outweigh them as they come.
"""

from collections.abc import Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recsys.pipeline.catalogue import Catalogue

ITEMS_PER_TAG = 2


def items_of_tags(catalogue: Catalogue, tags: Sequence[str], *, n_per_tag: int = ITEMS_PER_TAG) -> list[int]:
    """Return the rows of the most popular items that have each of the tags, those of the first tag last.

    No item comes twice: of two tags that name it, it stands for the first; tags that nothing has are passed
    over.

    Args:
        catalogue: of the bundle.
        tags: what the user likes, the dearest first.
        n_per_tag: items that stand for each.
    """
    chosen: list[int] = []
    for tag in tags:
        has = _having(catalogue, tag)
        named = [row for row in catalogue.popular_rows.tolist() if has[row] and row not in chosen]
        chosen += named[:n_per_tag]
    return chosen[::-1]  # the latest of a history counts most


def _having(catalogue: Catalogue, tag: str) -> NDArray[np.bool_]:
    found = catalogue.frame.select(pl.col("tags").list.contains(tag)).to_series().fill_null(value=False)
    has: NDArray[np.bool_] = found.to_numpy().astype(np.bool_)
    return has
