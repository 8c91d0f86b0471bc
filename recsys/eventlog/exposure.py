"""What was served, and what it takes to learn from it: one row per answer, nothing that names a person.

A row per answer and not per item, because a list is chosen, shown and judged as a whole, and what belongs to
all of it (who asked, who answered, what was missing) is then said once. :func:`impressions` turns it round.
"""

from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import polars as pl

from recsys.core.pseudonyms import key_beside

KEY_VARIABLE = "MARQUEE_EXPOSURES_KEY"
"""Names the file of the key, where that is not beside the exposures: a mounted Secret, for example."""

OF_ITEMS = {
    "item_ids": pl.List(pl.String),
    "scores": pl.List(pl.Float32),
    "sources": pl.List(pl.String),
    "propensities": pl.List(pl.Float32),
}
"""Columns with one entry per item of the list, the top first."""

SCHEMA: dict[str, pl.DataType | type[pl.DataType]] = {
    "request_id": pl.String,
    "served_at_s": pl.Float64,
    "user_pseudonym": pl.String,
    "arm": pl.String,
    "bundle": pl.String,
    "call": pl.String,
    "context": pl.String,
    "n_shown_before": pl.Int32,
    "override": pl.Boolean,
    "cached": pl.Boolean,
    "degraded": pl.List(pl.String),
    **OF_ITEMS,
    "session_pseudonym": pl.String,
    "experiments": pl.List(pl.String),
    "teams": pl.List(pl.String),
    "explored_rank": pl.Int32,
    "choices": pl.List(pl.String),
    "chances": pl.List(pl.Float64),
}
"""Columns of exposures; the fields of :class:`Exposure`, in this order."""


class Exposure(NamedTuple):
    """One answer that left. A tuple and not a frozen dataclass: making one takes a third of the time."""

    request_id: str  # events that follow from the answer name it
    served_at_s: float  # Unix time, UTC: when the request came
    user_pseudonym: str | None  # None: nobody in particular asked
    arm: str
    bundle: str
    call: str  # "recommend"; "popular" was made for nobody and belongs to no arm's results
    context: str | None
    n_shown_before: int  # items of earlier pages: the top of this page has position n_shown_before + 1
    override: bool  # whoever asked chose the arm: leave it out of comparisons
    cached: bool
    degraded: Sequence[str]  # "stage: why"
    item_ids: Sequence[str]  # the top first
    scores: Sequence[float]
    sources: Sequence[str]
    propensities: Sequence[float]  # chance the live policy had of showing each item there, in (0, 1]; or nan
    session_pseudonym: str | None = None  # of a session that nobody is named for
    experiments: Sequence[str] = ()  # "name=arm" of each experiment in which chance dealt the arm
    teams: Sequence[str] = ()  # of an interleaved list: the arm that picked each item
    explored_rank: int | None = None  # which place of this list was drawn by chance, 1 is the top
    choices: Sequence[str] = ()  # what could have stood there; the ranking's own item first
    chances: Sequence[float] = ()  # of the choices, given that this place was drawn; together 1


class Chunk(NamedTuple):
    """Some exposures as columns: those of the answers, and those of their items one after another."""

    answers: pl.DataFrame  # SCHEMA without OF_ITEMS, and n_items
    items: pl.DataFrame  # OF_ITEMS without the lists


def chunk_of(exposures: Sequence[Exposure]) -> Chunk:
    """Return exposures as columns; what holds the interpreter is over after a few microseconds per answer."""
    columns = dict(zip(SCHEMA, zip(*exposures, strict=True), strict=True))
    item_columns = {name: columns.pop(name) for name in OF_ITEMS}
    answers = pl.DataFrame(columns, schema={name: SCHEMA[name] for name in columns}, strict=False)
    n_items = pl.Series("n_items", [len(ids) for ids in item_columns["item_ids"]], dtype=pl.UInt32)
    return Chunk(
        answers.with_columns(n_items),
        pl.DataFrame(
            {name: pl.Series(list(chain.from_iterable(lists))) for name, lists in item_columns.items()},
            schema={name: of.inner for name, of in OF_ITEMS.items()},
        ),
    )


def frame_of(chunks: Sequence[Chunk]) -> pl.DataFrame:
    """Return chunks as one frame of :data:`SCHEMA`.

    Lists are put together here, for all chunks at once and without the interpreter: made from Python's lists
    they would cost four times as much.
    """
    if not chunks:
        return pl.DataFrame(schema=SCHEMA)
    answers = pl.concat([chunk.answers for chunk in chunks]).with_row_index("answer")
    items = pl.concat([chunk.items for chunk in chunks])
    owners = answers.select(pl.col("answer").repeat_by("n_items").explode()).to_series()
    owners = owners.drop_nulls()  # an answer without items has none
    lists = items.insert_column(0, owners).group_by("answer", maintain_order=True).agg(pl.all())
    joined = answers.join(lists, on="answer", how="left", maintain_order="left")
    return joined.with_columns(pl.col(list(OF_ITEMS)).fill_null([])).select(*SCHEMA)


def impressions(exposures: pl.LazyFrame) -> pl.LazyFrame:
    """Return one row per item shown: ``item_id``, ``position`` (1 is the top of all pages), and the rest.

    Args:
        exposures: columns of :data:`SCHEMA`.
    """
    position = pl.int_ranges(1, pl.col("item_ids").list.len() + 1, dtype=pl.Int32) + pl.col("n_shown_before")
    return (
        exposures.filter(pl.col("item_ids").list.len() > 0)
        .with_columns(position=position)
        .explode("position", *OF_ITEMS)
        .rename({"item_ids": "item_id", "scores": "score", "sources": "source", "propensities": "propensity"})
    )


def key_for(folder: Path) -> Path:
    """Return the file of the key for a folder of exposures: what :data:`KEY_VARIABLE` names, or beside it."""
    return key_beside(folder, KEY_VARIABLE)
