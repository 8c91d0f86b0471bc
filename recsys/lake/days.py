"""The day of a row, and how many days one batch may touch."""

import polars as pl

from recsys.lake.layout import DAY

_END_S = 253_402_300_800.0  # the year 10,000: what others can print as a date ends before it


def with_day(rows: pl.DataFrame, time: str, *, max_days: int) -> pl.DataFrame:
    """Add the column ``day``: the UTC date of ``time``.

    It is null for times before 1970, from the year 10,000 on, or not finite; and, when the batch speaks of
    more than ``max_days`` days, for all but the busiest of them (ties: the later). So neither a wrong clock
    nor a file of twenty years makes thousands of tiny files; whoever reads by day takes the null day along.

    Args:
        rows: with a column ``time``.
        time: Unix time in seconds.
        max_days: bound on the different days that are not null.

    >>> times = pl.DataFrame({"time_s": [0.0, 86_399.9, 86_400.0, -1.0]})
    >>> [str(day) for day in with_day(times, "time_s", max_days=9)["day"]]
    ['1970-01-01', '1970-01-01', '1970-01-02', 'None']
    """
    time_s = pl.col(time)
    usable = time_s.is_finite() & (time_s >= 0.0) & (time_s < _END_S)
    seconds = pl.when(usable).then(time_s).floor().cast(pl.Int64(), strict=False)
    dated = rows.with_columns(pl.from_epoch(seconds, "s").dt.date().alias(DAY))
    busiest = (
        dated.select(DAY)
        .drop_nulls()
        .group_by(DAY)
        .len()
        .sort("len", DAY, descending=True)
        .head(max_days)[DAY]
        .to_list()
    )
    return dated.with_columns(pl.when(pl.col(DAY).is_in(busiest)).then(DAY))
