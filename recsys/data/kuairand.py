"""KuaiRand (Kuaishou short video): one interaction per impression, with what followed.

Looks for ``standard_*.parquet`` or the official ``log_standard_*.csv`` beside ``video_features_basic*.csv``,
and for ``user_history_until_*_last50.parquet``. The ``*_statistic`` files count over the whole month, so they
know the future: they are never read. :func:`load` gives what followed an impression as one kind,
:func:`load_impressions` as a yes or no to each question.

Source: Gao et al., "KuaiRand: An Unbiased Sequential Recommendation Dataset with Randomly Exposed Videos",
CIKM 2022; https://kuairand.com.
"""

from pathlib import Path

import polars as pl

from recsys.core.clock import SECONDS_PER_HOUR
from recsys.core.errors import DataFormatError
from recsys.data.badrows import BadRowCollector, OnBadRow
from recsys.data.columns import Column, Parsed, TimeUnit, identifier, moment, number, parse_rows, text
from recsys.data.impressions import Target
from recsys.data.loaded import Loaded, finish
from recsys.data.repeats import without_exact_repeats, without_repeated_ids
from recsys.data.schema import KIND_DTYPE, Kind
from recsys.data.tables import read_table

_LOGS = ("standard_*.parquet", "log_standard_*.csv")
_RANDOM_LOGS = ("random_*.parquet", "log_random_*.csv")
_HISTORIES = "user_history_until_*_last50.parquet"
_VIDEOS = "video_features_basic*.csv"
_MOST_WATCHED = 2.0  # a share of the video; loops count no further
_BEIJING_S = 8 * SECONDS_PER_HOUR  # upload_dt is a day in Beijing
_VISIBLE = 1.5  # visible_status 0 (every video of KuaiRand-Pure, all of them shown) and 1; above: hidden

_KIND_OF_FLAG = (
    ("is_hate", Kind.DISLIKE),
    ("is_forward", Kind.SHARE),
    ("is_like", Kind.LIKE),
    ("long_view", Kind.WATCH),
    ("is_click", Kind.CLICK),
)
"""The first flag that is set says what followed the impression."""

_FLAGS = tuple(flag for flag, _ in _KIND_OF_FLAG)
_LOG_COLUMNS = ("user_id", "video_id", "time_ms", *_FLAGS, "play_time_ms", "duration_ms", "tab")


def find_logs(path: Path) -> list[Path]:
    """Return the log files of a folder (or of ``data`` within, as the archives unpack), in order of name."""
    for folder in (path, path / "data"):
        logs = next((found for pattern in _LOGS if (found := sorted(folder.glob(pattern)))), [])
        if logs and any(folder.glob(_VIDEOS)):
            return logs
    return []


def load(path: Path, *, on_bad_row: OnBadRow, now_s: float) -> Loaded:
    """Read a KuaiRand folder.

    Histories say in which order a user met the last videos before the log begins, and when the last of them
    was; all of them get this one time, the only one known, and keep their order.

    Args:
        path: the folder.
        on_bad_row: raise or go on.
        now_s: Unix time; impressions from more than a day later are bad rows.

    Raises:
        DataFormatError: the files are not there, or they lack a column.
        BadRowsError: rows were bad and ``on_bad_row`` is ``fail``.
    """
    logs = _logs_at(path)
    collector = BadRowCollector()
    folder = logs[0].parent
    parts = [_history(file, now_s, collector) for file in sorted(folder.glob(_HISTORIES))]
    parts += [_impressions(file, now_s, collector) for file in logs]
    videos = pl.concat([_videos(file, collector) for file in sorted(folder.glob(_VIDEOS))])
    interactions = pl.concat(parts, how="diagonal").sort("time_s", maintain_order=True)
    return finish("kuairand", interactions, videos, collector, on_bad_row)


def load_impressions(path: Path, *, on_bad_row: OnBadRow, now_s: float) -> pl.DataFrame:
    """Read what was shown to whom, the randomly exposed videos with the others where their log is there.

    What followed a randomly exposed video is in no history: :func:`load` reads the standard log alone.

    Args:
        path: the folder.
        on_bad_row: raise or go on.
        now_s: Unix time; impressions from more than a day later are bad rows.

    Returns:
        Schema :data:`recsys.data.impressions.IMPRESSIONS`, in order of time.

    Raises:
        DataFormatError: the files are not there, or they lack a column.
        BadRowsError: rows were bad and ``on_bad_row`` is ``fail``.
    """
    logs = _logs_at(path)
    collector = BadRowCollector()
    at_random = [file for pattern in _RANDOM_LOGS for file in sorted(logs[0].parent.glob(pattern))]
    parts = [
        _log_rows(file, now_s, collector).select(
            "user_id",
            "item_id",
            "time_s",
            pl.format("tab-{}", "context").alias("context"),
            pl.lit(value=file in at_random).alias("at_random"),
            (pl.col("is_click") == 1).alias(Target.CLICK.value),
            (pl.col("long_view") == 1).alias(Target.LONG_VIEW.value),
            (pl.col("is_like") == 1).alias(Target.LIKE.value),
        )
        for file in (*logs, *at_random)
    ]
    if on_bad_row is OnBadRow.FAIL:
        collector.report().raise_if_bad()
    return pl.concat(parts).sort("time_s", maintain_order=True)


def _logs_at(path: Path) -> list[Path]:
    logs = find_logs(path)
    if not logs:
        looked_for = f"KuaiRand ({' or '.join(_LOGS)}, and {_VIDEOS})"
        raise DataFormatError(path, looked_for, "not both" if path.is_dir() else "no folder")
    return logs


def _log_rows(file: Path, now_s: float, collector: BadRowCollector) -> pl.DataFrame:
    rows = parse_rows(
        read_table(file, _LOG_COLUMNS, collector),
        [
            identifier("user_id", "user_id"),
            identifier("item_id", "video_id"),
            moment("time_s", "time_ms", TimeUnit.MS, now_s=now_s),
            *(number(flag, flag, low=0.0, high=1.0, required=True) for flag in _FLAGS),
            number("play_time_ms", "play_time_ms", low=0.0),
            number("duration_ms", "duration_ms", low=0.0),
            text("context", "tab"),
        ],
        file.name,
        collector,
    )
    return without_exact_repeats(rows, ("user_id", "item_id", "time_s"), file.name, collector)


def _impressions(file: Path, now_s: float, collector: BadRowCollector) -> pl.DataFrame:
    watched = pl.col("play_time_ms") / pl.col("duration_ms")
    return _log_rows(file, now_s, collector).select(
        "user_id",
        "item_id",
        pl.coalesce(
            *(pl.when(pl.col(flag) == 1).then(pl.lit(each.value)) for flag, each in _KIND_OF_FLAG),
            pl.lit(Kind.IMPRESSION.value),
        )
        .cast(KIND_DTYPE)
        .alias("kind"),
        "time_s",
        pl.when(pl.col("duration_ms") > 0).then(watched.clip(0.0, _MOST_WATCHED)).alias("value"),
        pl.format("tab-{}", "context").alias("context"),
    )


def _history(file: Path, now_s: float, collector: BadRowCollector) -> pl.DataFrame:
    """Unfold the histories; a user's videos from old to new.

    The file marks long views and likes by video, not by impression, so of several impressions of one video
    the latest get the mark. Videos in these lists that fell out of the last 50 watched are older than those.
    """
    lists = ("watch_seq", "like_seq", "long_watch_seq")
    raw = read_table(file, ("user_id", "last_time_ms", *lists), collector)
    users = parse_rows(
        raw,
        [
            identifier("user_id", "user_id"),
            moment("time_s", "last_time_ms", TimeUnit.MS, now_s=now_s),
            *(_row_ids(name) for name in lists),
        ],
        file.name,
        collector,
    )
    liked, long_watched = (_counts(users, name) for name in ("like_seq", "long_watch_seq"))
    watched = _unfolded(users, "watch_seq")
    older = (
        pl.concat([_unfolded(users, "long_watch_seq"), _unfolded(users, "like_seq")])
        .unique(["user_id", "item_id"], keep="first", maintain_order=True)
        .join(watched, on=["user_id", "item_id"], how="anti", maintain_order="left")
    )
    met = pl.concat([older, watched])
    collector.note(
        f"{file.name} has one time per user: {met.height:,} interactions of {users.height:,} users are tied"
    )
    from_end = pl.int_range(pl.len()).reverse().over("user_id", "item_id")
    kind = (
        pl.when(from_end < pl.col("like_seq").fill_null(0))
        .then(pl.lit(Kind.LIKE.value))
        .when(from_end < pl.col("long_watch_seq").fill_null(0))
        .then(pl.lit(Kind.WATCH.value))
        .otherwise(pl.lit(Kind.IMPRESSION.value))
    )
    return (
        met.join(liked, on=["user_id", "item_id"], how="left", maintain_order="left")
        .join(long_watched, on=["user_id", "item_id"], how="left", maintain_order="left")
        .select("user_id", "item_id", kind.cast(KIND_DTYPE).alias("kind"), "time_s")
    )


def _unfolded(users: pl.DataFrame, name: str) -> pl.DataFrame:
    return (
        users.select("user_id", "time_s", pl.col(name).alias("item_id"))
        .explode("item_id")
        .drop_nulls("item_id")
        .with_columns(pl.col("item_id").cast(pl.String()))
    )


def _counts(users: pl.DataFrame, name: str) -> pl.DataFrame:
    return _unfolded(users, name).group_by("user_id", "item_id").agg(pl.len().alias(name))


def _row_ids(name: str) -> Column:
    """A list of ids that must be there and hold no null."""
    raw = pl.col(name)
    reason = pl.when(raw.is_null() | raw.list.contains(None)).then(pl.lit("a list with an id missing"))
    return Column(name, name, lambda _: Parsed(raw, reason))


def _videos(file: Path, collector: BadRowCollector) -> pl.DataFrame:
    rows = parse_rows(
        read_table(
            file,
            ("video_id", "author_id", "upload_dt", "visible_status", "video_duration", "tag"),
            collector,
        ),
        [
            identifier("item_id", "video_id"),
            text("creator_id", "author_id"),
            moment("published_s", "upload_dt", TimeUnit.ISO, now_s=None, required=False),
            number("visible_status", "visible_status", low=0.0),
            number("duration_ms", "video_duration", low=0.0),
            text("tag", "tag"),
        ],
        file.name,
        collector,
    )
    return without_repeated_ids(rows, file.name, collector).select(
        "item_id",
        pl.col("tag")
        .fill_null("")
        .str.extract_all(r"\w+")
        .list.eval(pl.format("tag-{}", pl.element()))
        .alias("tags"),
        "creator_id",
        (pl.col("duration_ms") / 1_000.0).alias("duration_s"),
        (pl.col("published_s") - _BEIJING_S).alias("published_s"),
        (pl.col("visible_status").fill_null(0.0) < _VISIBLE).alias("available"),
    )
