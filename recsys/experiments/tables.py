"""The tables that an analysis reads, and their reduction to moments.

**User table**, one row per user:

| column | what |
|---|---|
| ``arm`` | the arm of the first exposure |
| ``<metric>`` | the user's numerator; 0 and not null for users of whom nothing came |
| ``<metric>:of`` | denominator, where the metric is a ratio |
| ``<metric>:before`` | the figure from before the first exposure, null where there is none; may be left out |
| each segment | a label from before the first exposure; null is a segment of its own |

**Day table**, one row per user and day since their first exposure (0 is the first): ``user``, ``arm``,
``day``, ``<metric>``, ``<metric>:of``. Days that have not come to their end for a user are left out.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from recsys.core.errors import FieldError
from recsys.experiments.design import ExperimentDesign, Metric
from recsys.experiments.moments import Moments, moments_by_group

ARM, USER, DAY = "arm", "user", "day"
NO_LABEL = "(none)"


def denominator_of(metric: str) -> str:
    """Return the name of the column with a ratio's denominator."""
    return f"{metric}:of"


def before_of(metric: str) -> str:
    """Return the name of the column with the figure from before."""
    return f"{metric}:before"


def check_table(table: pl.DataFrame, design: ExperimentDesign, columns: Sequence[str]) -> None:
    """Refuse a table that lacks a column or has users of unknown arms.

    Raises:
        FieldError: it does.
    """
    missing = [name for name in (ARM, *columns) if name not in table.columns]
    if missing:
        raise FieldError("table", f"no column {missing[0]!r} among {table.columns}", "all columns")
    unknown = table.filter(~pl.col(ARM).is_in(list(design.arms)).fill_null(value=False))
    if unknown.height:
        raise FieldError(ARM, repr(unknown[ARM][0]), f"one of {', '.join(design.arms)}")


def users_by_arm(users: pl.DataFrame, design: ExperimentDesign) -> dict[str, int]:
    """Return how many users each arm has, also those with none."""
    counts = dict(users.group_by(ARM).len().iter_rows())
    return {arm: int(counts.get(arm, 0)) for arm in design.arms}


def moments_by_arm(users: pl.DataFrame, metric: Metric, arms: Sequence[str]) -> dict[str, Moments]:
    """Reduce the user table of one metric, arm by arm."""
    found = _reduced(users, metric, _rows_of(users, arms), len(arms))
    return dict(zip(arms, found, strict=True))


def moments_by_label(
    users: pl.DataFrame, metric: Metric, arms: Sequence[str], column: str
) -> Mapping[str, Mapping[str, Moments]]:
    """Reduce the user table of one metric: label of a segment's column -> arm -> moments, labels sorted."""
    labels = users[column].cast(pl.String).fill_null(NO_LABEL)
    names = labels.unique().sort().to_list()
    label_rows = _places(labels, names)
    groups = label_rows * len(arms) + _rows_of(users, arms)
    found = _reduced(users, metric, groups, len(names) * len(arms))
    return {
        name: dict(zip(arms, found[row * len(arms) : (row + 1) * len(arms)], strict=True))
        for row, name in enumerate(names)
    }


def numbers(table: pl.DataFrame, column: str) -> NDArray[np.float64] | None:
    """Return a column as numbers, nan for null; None when the table has no such column."""
    if column not in table.columns:
        return None
    return table[column].cast(pl.Float64).fill_null(float("nan")).to_numpy()


def _rows_of(users: pl.DataFrame, arms: Sequence[str]) -> NDArray[np.int64]:
    return _places(users[ARM].cast(pl.String), arms)


def _places(column: pl.Series, names: Sequence[str]) -> NDArray[np.int64]:
    """Return the row in ``names`` of each value."""
    rows = column.replace_strict(names, list(range(len(names))), return_dtype=pl.Int64)
    return rows.to_numpy().astype(np.int64)  # of an empty table polars makes objects


def _reduced(users: pl.DataFrame, metric: Metric, groups: NDArray[np.int64], n_groups: int) -> list[Moments]:
    numerator = numbers(users, metric.name)
    if numerator is None:
        raise FieldError("table", f"columns {users.columns}", f"a column {metric.name!r}")
    denominator, before = numbers(users, denominator_of(metric.name)), numbers(users, before_of(metric.name))
    return moments_by_group(groups, n_groups, numerator, denominator, before)
