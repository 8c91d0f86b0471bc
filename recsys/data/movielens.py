"""MovieLens: the 100k, 1M (also 10M) and latest/latest-small/20M/25M/32M layouts.

A rating is an interaction of kind ``rating`` whose value is the stars. Tags are genres and the decade of
release, both known before anybody rated. Tags applied by users are written over the whole period of the data,
so a model that knows them knows the future: they are off by default.

Source: Harper and Konstan, "The MovieLens Datasets", TiiS 2015; https://grouplens.org/datasets/movielens/.
"""

from dataclasses import dataclass
from pathlib import Path

import polars as pl
from pydantic import PositiveInt

from recsys.core.errors import DataFormatError
from recsys.core.settings import FrozenModel
from recsys.data.badrows import ROW, BadRowCollector, OnBadRow
from recsys.data.columns import Column, TimeUnit, identifier, moment, number, parse_rows, text
from recsys.data.loaded import Loaded, finish
from recsys.data.repeats import without_repeated_ids
from recsys.data.schema import KIND_DTYPE, Kind
from recsys.data.tables import read_lines, read_table

_GENRES_100K = (
    "unknown",
    "action",
    "adventure",
    "animation",
    "children",
    "comedy",
    "crime",
    "documentary",
    "drama",
    "fantasy",
    "film-noir",
    "horror",
    "musical",
    "mystery",
    "romance",
    "sci-fi",
    "thriller",
    "war",
    "western",
)
_RATING_COLUMNS = ("userId", "movieId", "rating", "timestamp")
_NO_GENRES = ("(no genres listed)", "unknown", "")


class MovieLensConfig(FrozenModel):
    """What becomes of MovieLens."""

    user_tags: bool = False
    """Add tags that users applied (latest, 20M, 25M, 32M). They LEAK THE FUTURE: never for evaluation."""

    min_tag_uses: PositiveInt = 5
    """A user's tag counts for a film once so many users applied it."""


@dataclass(frozen=True, slots=True)
class Layout:
    """One of the shapes MovieLens came in."""

    name: str
    ratings: str
    films: str


LAYOUTS = (
    Layout("latest", "ratings.csv", "movies.csv"),
    Layout("1m", "ratings.dat", "movies.dat"),
    Layout("100k", "u.data", "u.item"),
)


def find_layout(path: Path) -> Layout | None:
    """Return the layout whose files lie in a folder, None when it is no MovieLens."""
    return next(
        (each for each in LAYOUTS if (path / each.ratings).is_file() and (path / each.films).is_file()), None
    )


def load(
    path: Path,
    *,
    on_bad_row: OnBadRow,
    now_s: float,
    config: MovieLensConfig | None = None,
) -> Loaded:
    """Read a MovieLens folder.

    Args:
        path: the folder that holds the files of one layout.
        on_bad_row: raise or go on.
        now_s: Unix time; ratings from more than a day later are bad rows.
        config: whether users' tags count.

    Raises:
        DataFormatError: the files of no layout are there, or they lack a column.
        BadRowsError: rows were bad and ``on_bad_row`` is ``fail``.
    """
    config = config or MovieLensConfig()
    layout = find_layout(path)
    if layout is None:
        wanted = " or ".join(f"{each.ratings} and {each.films}" for each in LAYOUTS)
        raise DataFormatError(path, f"MovieLens ({wanted})", "neither")
    collector = BadRowCollector()
    ratings = parse_rows(
        _raw_ratings(path, layout, collector),
        [
            identifier("user_id", "userId"),
            identifier("item_id", "movieId"),
            number("value", "rating", low=0.0, high=5.0, required=True),
            moment("time_s", "timestamp", TimeUnit.S, now_s=now_s),
        ],
        layout.ratings,
        collector,
    ).with_columns(pl.lit(Kind.RATING.value, dtype=KIND_DTYPE).alias("kind"))
    films = _films(path, layout, collector)
    if config.user_tags and (path / "tags.csv").is_file():
        films = _with_user_tags(films, path / "tags.csv", config.min_tag_uses, collector)
    return finish(f"movielens-{layout.name}", ratings, films, collector, on_bad_row)


def _raw_ratings(path: Path, layout: Layout, collector: BadRowCollector) -> pl.DataFrame:
    file = path / layout.ratings
    if layout.name == "latest":
        return read_table(file, _RATING_COLUMNS, collector)
    return read_lines(file, _RATING_COLUMNS, "::" if layout.name == "1m" else "\t", collector)


def _films(path: Path, layout: Layout, collector: BadRowCollector) -> pl.DataFrame:
    raw = _RAW_FILMS[layout.name](path / layout.films, collector)
    columns: list[Column] = [
        identifier("item_id", "movieId"),
        text("title", "title"),
        text("genres", "genres"),
    ]
    films = without_repeated_ids(parse_rows(raw, columns, layout.films, collector), layout.films, collector)
    year = pl.col("title").str.extract(r"\((\d{4})\)\s*$").cast(pl.Int32())
    decade = pl.format("{}s", year // 10 * 10)
    genres = pl.col("genres").fill_null("").str.to_lowercase().str.split("|")
    return films.select(
        ROW,
        "item_id",
        pl.col("title").str.strip_chars(),
        pl.concat_list(
            genres.list.filter(~pl.element().is_in(_NO_GENRES)),
            pl.when(year.is_null())
            .then(pl.lit([], dtype=pl.List(pl.String())))
            .otherwise(pl.concat_list(decade)),
        ).alias("tags"),
        pl.datetime(year, 1, 1).dt.epoch("s").cast(pl.Float64()).alias("published_s"),
    )


def _films_latest(file: Path, collector: BadRowCollector) -> pl.DataFrame:
    return read_table(file, ("movieId", "title", "genres"), collector)


def _films_1m(file: Path, collector: BadRowCollector) -> pl.DataFrame:
    return read_lines(file, ("movieId", "title", "genres"), "::", collector, encoding="latin-1")


def _films_100k(file: Path, collector: BadRowCollector) -> pl.DataFrame:
    names = ("movieId", "title", "release", "video_release", "url", *_GENRES_100K)
    raw = read_lines(file, names, "|", collector, encoding="latin-1")
    flags = [pl.when(pl.col(genre) == "1").then(pl.lit(genre)) for genre in _GENRES_100K]
    return raw.select(
        ROW, "movieId", "title", pl.concat_str(flags, separator="|", ignore_nulls=True).alias("genres")
    )


_RAW_FILMS = {"latest": _films_latest, "1m": _films_1m, "100k": _films_100k}


def _with_user_tags(
    films: pl.DataFrame, file: Path, min_uses: int, collector: BadRowCollector
) -> pl.DataFrame:
    columns = [identifier("item_id", "movieId"), identifier("user_id", "userId"), identifier("tag", "tag")]
    raw = read_table(file, ("userId", "movieId", "tag"), collector)
    applied = parse_rows(raw, columns, file.name, collector)
    common = (
        applied.with_columns(pl.col("tag").str.to_lowercase().str.strip_chars())
        .group_by("item_id", "tag", maintain_order=True)
        .agg(pl.col("user_id").n_unique().alias("n"))
        .filter(pl.col("n") >= min_uses)
        .group_by("item_id", maintain_order=True)
        .agg(pl.col("tag").alias("applied"))
    )
    collector.note("user tags are in the catalogue: they leak the future, so figures from this data flatter")
    return films.join(common, on="item_id", how="left", maintain_order="left").with_columns(
        pl.concat_list("tags", pl.col("applied").fill_null([])).list.unique(maintain_order=True).alias("tags")
    )
