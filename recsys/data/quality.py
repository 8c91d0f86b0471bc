"""What spoils learning from a data set, or from a split of it; each is counted, nothing is changed."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from recsys.core.clock import SECONDS_PER_DAY
from recsys.data.log import Vocabulary, encode
from recsys.data.schema import Dataset
from recsys.data.splits import Split, cut_for, global_time, leave_last_out

_N_EXAMPLES = 3


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found."""

    check: str
    what: str  # what is counted
    n: int  # 0: nothing was found
    of: int  # among how many
    examples: tuple[str, ...] = ()


def check_quality(dataset: Dataset, *, now_s: float) -> tuple[Finding, ...]:
    """Run every check on a data set; a check that finds nothing is there with ``n`` 0.

    Args:
        dataset: what a loader returned.
        now_s: Unix time; nothing can have happened later.
    """
    return (
        _repeated(dataset),
        _unknown_items(dataset),
        _untouched_items(dataset),
        _before_publication(dataset),
        _after_now(dataset, now_s),
        _lookalikes("lookalike-users", "users", dataset.interactions["user_id"]),
        _lookalikes("lookalike-items", "items", dataset.items["item_id"]),
        _standing_clock(dataset),
    )


def check_protocols(dataset: Dataset) -> dict[str, tuple[Finding, ...]]:
    """Split a data set by each protocol and look for leaks; nothing when there is nobody to ask.

    Returns:
        Protocol -> findings; ``future-of-others`` under ``leave-last-out`` is in the nature of that protocol.
    """
    log = encode(dataset, Vocabulary(dataset.items["item_id"].to_list()))
    if not len(log.item_rows):
        return {}
    return {
        "leave-last-out": check_leakage(leave_last_out(log)),
        "global-time": check_leakage(global_time(log, cut_for(log))),
    }


def check_leakage(split: Split) -> tuple[Finding, ...]:
    """Look for answers, or a time after the question, in what the models may learn from."""
    return _target_in_train(split), _own_future(split), _future_of_others(split)


def _repeated(dataset: Dataset) -> Finding:
    key = ("user_id", "item_id", "kind", "time_s")
    repeated = dataset.interactions.select(key).filter(~pl.struct(key).is_first_distinct())
    return _finding(
        "repeated",
        "interactions that repeat an earlier one (same user, item, kind and time)",
        repeated.with_columns(pl.col("kind").cast(pl.String())),
        dataset.interactions.height,
        "user {} item {} ({}) at {:.0f} s",
    )


def _unknown_items(dataset: Dataset) -> Finding:
    unknown = dataset.interactions.select("item_id").join(dataset.items, on="item_id", how="anti")
    return _finding(
        "unknown-items",
        "interactions with items that the catalogue lacks (models leave them out)",
        unknown,
        dataset.interactions.height,
        "item {}",
    )


def _untouched_items(dataset: Dataset) -> Finding:
    untouched = dataset.items.select("item_id", "title").join(dataset.interactions, on="item_id", how="anti")
    return _finding(
        "untouched-items",
        "items of the catalogue that nobody met",
        untouched.with_columns(pl.col("title").fill_null("")),
        dataset.items.height,
        "item {} {}",
    )


def _before_publication(dataset: Dataset) -> Finding:
    met = dataset.interactions.select("user_id", "item_id", "time_s").join(
        dataset.items.select("item_id", "published_s").drop_nulls(), on="item_id"
    )
    early = met.filter(pl.col("time_s") < pl.col("published_s"))
    days = ((pl.col("published_s") - pl.col("time_s")) / SECONDS_PER_DAY).round(1)
    return _finding(
        "before-publication",
        "interactions before the item was published",
        early.select("user_id", "item_id", days),
        met.height,
        "user {} met item {} {} days early",
    )


def _after_now(dataset: Dataset, now_s: float) -> Finding:
    late = dataset.interactions.filter(pl.col("time_s") > now_s).select("user_id", "item_id", "time_s")
    return _finding(
        "after-now",
        "interactions later than now",
        late,
        dataset.interactions.height,
        "user {} item {} at {:.0f} s",
    )


def _lookalikes(check: str, what: str, ids: pl.Series) -> Finding:
    known = pl.DataFrame({"id": ids.unique(maintain_order=True)})
    plain = pl.col("id").str.strip_chars().str.to_lowercase().alias("plain")
    alike = known.group_by(plain, maintain_order=True).agg("id").filter(pl.col("id").list.len() > 1)
    return _finding(
        check,
        f"{what} whose ids differ only by spaces around them or by upper and lower case",
        alike.select(pl.col("id").list.eval(pl.format("'{}'", pl.element())).list.join(" and ")),
        known.height,
        "{}",
    )


def _standing_clock(dataset: Dataset) -> Finding:
    users = dataset.interactions.group_by("user_id", maintain_order=True).agg(
        pl.len().alias("n"), (pl.col("time_s").min() == pl.col("time_s").max()).alias("one_time")
    )
    several = users.filter(pl.col("n") > 1)
    return _finding(
        "standing-clock",
        "users with several interactions, all at one time (their order is that of the file)",
        several.filter("one_time").select("user_id", "n"),
        several.height,
        "user {} ({} interactions)",
    )


def _finding(check: str, what: str, found: pl.DataFrame, of: int, template: str) -> Finding:
    examples = tuple(_example(template, row) for row in found.head(_N_EXAMPLES).iter_rows())
    return Finding(check, what, found.height, of, examples)


def _example(template: str, row: Sequence[object]) -> str:
    return template.format(*row).strip()


def _target_in_train(split: Split) -> Finding:
    users = np.repeat(split.test_users, np.diff(split.target_offsets))
    asked = users * max(1, split.full.n_items) + split.target_rows
    train = split.train
    learned = train.user_rows.astype(np.int64) * max(1, train.n_items) + train.item_rows
    both = np.flatnonzero(np.isin(asked, learned))
    examples = tuple(
        f"user {split.full.user_ids[users[at]]} item row {split.target_rows[at]}" for at in both[:_N_EXAMPLES]
    )
    return Finding(
        "target-in-train",
        "answers that the same user has in the training part",
        len(both),
        len(asked),
        examples,
    )


def _own_future(split: Split) -> Finding:
    asked_at = np.full(split.full.n_users, np.inf)
    asked_at[split.test_users] = split.now_s
    users = split.train.user_rows
    late = np.unique(users[split.train.times_s > asked_at[users]])
    examples = tuple(f"user {split.full.user_ids[user]}" for user in late[:_N_EXAMPLES])
    return Finding(
        "own-future",
        "test users with training positions later than their question",
        len(late),
        len(split),
        examples,
    )


def _future_of_others(split: Split) -> Finding:
    times_s = np.sort(split.train.times_s)
    later = len(times_s) - np.searchsorted(times_s, split.now_s, side="right")
    share = float(np.mean(later / max(1, len(times_s)))) if len(split) else 0.0
    return Finding(
        "future-of-others",
        "test users for whom the models learn from other users' later positions",
        int((later > 0).sum()),
        len(split),
        (f"on average {share:.0%} of the training part is later than the question",) if later.any() else (),
    )
