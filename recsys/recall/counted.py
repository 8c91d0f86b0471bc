"""Sums together with what they were counted over, so that any later log costs only what is different in it.

The sums alone cannot be brought up to date: an event that comes late, is taken back, or is erased with its
person changes rows that were counted before. So every life stays with the sums as it was counted (rows of
items, days, and a hash for the user), and :func:`recounted` compares each life with what the new log says of
it: from the first difference on, the old rows are taken back and the new ones added. An item that has become
popular enough to take part joins by the pairs that it is in. The result is what :func:`counted` returns for
the new log, but for rounding.

The sums of pairs are rounded to float32 whenever they have been counted or changed, and kept so: what is
solved is what is on disk, and a round without news gives the same bits. A sum is then off by at most 2^-24 of
its size per change. Sums never travel with a bundle: serving does not need them.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from recsys.core.compiled import compiled
from recsys.core.errors import FieldError
from recsys.core.hashing import hash64_many
from recsys.data.log import InteractionLog
from recsys.recall.moments import N_SUMS, Lives, Moments, add_lives, places_of, settle
from recsys.recall.sequential import SequentialConfig, count_moments, days_of, head_of_log
from recsys.registry.bundle import BundleReader, BundleWriter

COUNTED_SCHEMA: Final = "marquee-counted-1"
"""What a reader of saved sums asks for; no program serves it."""

_SALT = "counted lives"
_RESIDUE = 1e-5  # a sum of a row that counts 1 is 4.6e-3 or more; float32 of 100 is off by 4e-6
_LIVES = ("user_keys", "offsets", "item_rows", "days")


@dataclass(frozen=True, slots=True)
class CountedLives:
    """What was counted: of every user the items in order, and their days."""

    user_keys: NDArray[np.uint64]  # shape (users,), hashes of the ids
    offsets: NDArray[np.int64]  # shape (users + 1,)
    item_rows: NDArray[np.int32]  # shape (positions,), -1: no longer in the catalogue
    days: NDArray[np.int32]  # shape (positions,), since 1970, UTC

    @classmethod
    def of(cls, log: InteractionLog) -> Self:
        """Return what will be counted of a log."""
        return cls(hash64_many(log.user_ids, _SALT), log.offsets, log.item_rows, days_of(log.times_s))

    @property
    def as_of_day(self) -> int:
        """The day of the latest event, since 1970; 0 when there is none."""
        return int(self.days.max(initial=0))


@dataclass(frozen=True, slots=True)
class Counted:
    """Sums and what they were counted over; only :func:`counted` and :func:`recounted` make one."""

    moments: Moments
    lives: CountedLives
    item_ids: tuple[str, ...]  # the catalogue whose rows moments and lives speak of

    def save(self, writer: BundleWriter, config: SequentialConfig) -> None:
        """Write everything; of the sums only pairs that any user had."""
        columns, values, ends = _sparse(self.moments.pairs)
        writer.array("moments/item_rows", self.moments.item_rows)
        writer.array("moments/columns", columns)
        writer.array("moments/values", values)
        writer.array("moments/ends", ends)
        writer.array("moments/own", self.moments.own)
        for name in _LIVES:
            writer.array(f"lives/{name}", getattr(self.lives, name))
        writer.json("item_ids", list(self.item_ids))
        writer.json("config", config.model_dump())

    @classmethod
    def load(cls, reader: BundleReader, config: SequentialConfig) -> Self:
        """Read back what :meth:`save` wrote.

        Raises:
            FieldError: it was counted under settings that make other sums.
        """
        saved = saved_config(reader)
        if _of_sums(saved) != _of_sums(config):
            raise FieldError("recall.sequential", f"{_of_sums(saved)}", f"{_of_sums(config)}")
        item_rows = np.array(reader.array("moments/item_rows"))
        moments = Moments(
            item_rows, np.zeros((len(item_rows), len(item_rows), N_SUMS)), reader.array("moments/own")
        )
        _spread(
            reader.array("moments/columns"),
            reader.array("moments/values"),
            reader.array("moments/ends"),
            moments.pairs,
        )
        lives = CountedLives(*(reader.array(f"lives/{name}") for name in _LIVES))
        return cls(moments, lives, tuple(reader.json("item_ids")))


def saved_config(reader: BundleReader) -> SequentialConfig:
    """Return the settings under which saved sums were counted."""
    return SequentialConfig.model_validate(reader.json("config"))


@dataclass(frozen=True, slots=True)
class Difference:
    """How much of the lives a new log has changed."""

    n_users: int  # whose life is another one now, those who came or went among them
    n_added: int  # rows
    n_removed: int  # rows
    n_joined: int  # items that take part now and did not


def counted(log: InteractionLog, item_ids: Sequence[str], config: SequentialConfig) -> Counted:
    """Count a whole log.

    Args:
        log: positive interactions.
        item_ids: the catalogue that gave the log its rows.
        config: decays, forgetting and who takes part.
    """
    moments = count_moments(log, config)
    settle(moments.pairs, 0.0)
    return Counted(moments, CountedLives.of(log), tuple(item_ids))


def recounted(
    old: Counted, log: InteractionLog, item_ids: Sequence[str], config: SequentialConfig
) -> tuple[Counted, Difference]:
    """Return what :func:`counted` would, by changing what is different; ``old`` stays as it is.

    Args:
        old: counted under settings that make the same sums.
        log: everything that is known by now: longer, shorter, or changed anywhere.
        item_ids: the catalogue that gave the log its rows.
        config: as then; how many items take part may be another.
    """
    lives = CountedLives.of(log)
    before = _in_rows_of(old, item_ids)
    head = head_of_log(log.item_rows, config.row_weights(lives.days, lives.as_of_day), log.n_items, config)
    stay = np.intersect1d(before.moments.item_rows, head, assume_unique=True)
    moments = before.moments.carried(head, _faded(before.lives, lives, config))
    by_day = config.half_life_days is not None
    old_starts, new_starts = _first_differences(before.lives, lives, by_day)
    places = _places_among(stay, head, log.n_items)
    as_of = lives.as_of_day
    _add(moments, before.lives, places, config, as_of, old_starts, -1.0)
    _add(moments, lives, places, config, as_of, new_starts, 1.0)
    joining = ~np.isin(head, stay)
    if joining.any():
        _join(moments, lives, joining, config)
    settle(moments.pairs, _RESIDUE)
    difference = Difference(
        _n_changed(before.lives, old_starts, lives, new_starts),
        int((lives.offsets[1:] - new_starts).sum()),
        int((before.lives.offsets[1:] - old_starts).sum()),
        int(joining.sum()),
    )
    return Counted(moments, lives, tuple(item_ids)), difference


def without_users(old: Counted, user_ids: Sequence[str], config: SequentialConfig) -> tuple[Counted, int]:
    """Return the sums as if these users had never been, their lives gone, and how many of them were there.

    Items that only they made popular enough stay among those that take part, until the next log is counted.
    """
    gone = np.isin(old.lives.user_keys, hash64_many(user_ids, _SALT))
    starts = np.where(gone, old.lives.offsets[:-1], old.lives.offsets[1:])
    moments = old.moments.carried(old.moments.item_rows, 1.0)
    places = places_of(old.moments.item_rows, len(old.item_ids))
    _add(moments, old.lives, places, config, old.lives.as_of_day, starts, -1.0)
    settle(moments.pairs, _RESIDUE)
    kept = np.repeat(~gone, np.diff(old.lives.offsets))
    lengths = np.diff(old.lives.offsets)[~gone]
    lives = CountedLives(
        old.lives.user_keys[~gone],
        np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        old.lives.item_rows[kept],
        old.lives.days[kept],
    )
    return Counted(moments, lives, old.item_ids), int(gone.sum())


def n_in_saved(reader: BundleReader, user_ids: Sequence[str]) -> int:
    """Return how many of these users saved sums were counted over; the sums themselves are not read."""
    return int(np.isin(reader.array("lives/user_keys"), hash64_many(user_ids, _SALT)).sum())


def _of_sums(config: SequentialConfig) -> dict[str, object]:
    return config.model_dump(include={"time_constants_items", "half_life_days"})


def _in_rows_of(old: Counted, item_ids: Sequence[str]) -> Counted:
    """Return it in the rows of another catalogue; items that are gone take no part any more."""
    if old.item_ids == tuple(item_ids):
        return old
    row_of = {item_id: row for row, item_id in enumerate(item_ids)}
    new_rows = np.array([row_of.get(item_id, -1) for item_id in old.item_ids], dtype=np.int32)
    item_rows = new_rows[old.moments.item_rows]
    order = np.argsort(item_rows, kind="stable")
    order = order[item_rows[order] >= 0]
    moments = old.moments
    if not np.array_equal(order, np.arange(len(moments))):
        moments = Moments(item_rows, moments.pairs[np.ix_(order, order)], moments.own[order])
    moments = replace(moments, item_rows=item_rows[order])
    lives = replace(old.lives, item_rows=new_rows[old.lives.item_rows])
    return Counted(moments, lives, tuple(item_ids))


def _faded(before: CountedLives, now: CountedLives, config: SequentialConfig) -> float:
    """Return what a row counted as of the old day counts as of the new one, as a share."""
    return float(config.row_weights(np.array([before.as_of_day], dtype=np.int32), now.as_of_day)[0])


def _places_among(stay: NDArray[np.int32], head: NDArray[np.int32], n_items: int) -> NDArray[np.int32]:
    """Return the places in ``head`` of the items that stay, none for all others; one more for row -1."""
    places = np.full(n_items + 1, len(head), dtype=np.int32)
    places[stay] = np.searchsorted(head, stay)
    return places


def _add(
    moments: Moments,
    lives: CountedLives,
    places: NDArray[np.int32],
    config: SequentialConfig,
    as_of_day: int,
    starts: NDArray[np.int64],
    sign: float,
) -> None:
    rows = Lives(lives.offsets, places[lives.item_rows], config.row_weights(lives.days, as_of_day))
    add_lives(moments, rows, config.decays(), starts=starts, sign=sign)


def _join(
    moments: Moments, lives: CountedLives, joining: NDArray[np.bool_], config: SequentialConfig
) -> None:
    """Add the pairs that joining items are in, out of the lives that have any."""
    places = places_of(moments.item_rows, int(lives.item_rows.max(initial=0)) + 1)
    of_lives = places[lives.item_rows]
    having = np.append(joining, False)[of_lives]
    n_having = np.concatenate([[0], np.cumsum(having)])[lives.offsets]
    starts = np.where(np.diff(n_having) > 0, lives.offsets[:-1], lives.offsets[1:])
    rows = Lives(lives.offsets, of_lives, config.row_weights(lives.days, lives.as_of_day))
    add_lives(moments, rows, config.decays(), starts=starts, only=joining)


def _first_differences(
    before: CountedLives, now: CountedLives, by_day: bool
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return where each old and each new life begins to differ; its end where nothing does."""
    old_starts, new_starts = before.offsets[:-1].copy(), now.offsets[:-1].copy()
    if not len(before.user_keys):
        return old_starts, new_starts
    order = np.argsort(before.user_keys, kind="stable")
    found = np.minimum(np.searchsorted(before.user_keys, now.user_keys, sorter=order), len(order) - 1)
    partner = np.where(before.user_keys[order[found]] == now.user_keys, order[found], -1)
    _walk(
        before.offsets,
        before.item_rows,
        before.days,
        now.offsets,
        now.item_rows,
        now.days,
        partner,
        by_day,
        old_starts,
        new_starts,
    )
    return old_starts, new_starts


@compiled
def _walk(
    old_offsets: NDArray[np.int64],
    old_items: NDArray[np.int32],
    old_days: NDArray[np.int32],
    new_offsets: NDArray[np.int64],
    new_items: NDArray[np.int32],
    new_days: NDArray[np.int32],
    partner: NDArray[np.intp],
    by_day: bool,
    old_starts: NDArray[np.int64],
    new_starts: NDArray[np.int64],
) -> None:
    for user in range(len(partner)):
        if partner[user] < 0:
            continue
        old, new = old_offsets[partner[user]], new_offsets[user]
        old_end, new_end = old_offsets[partner[user] + 1], new_offsets[user + 1]
        if old_starts[partner[user]] != old:
            continue  # two users with one hash: the second is new
        while old < old_end and new < new_end and old_items[old] == new_items[new]:
            if by_day and old_days[old] != new_days[new]:
                break
            old, new = old + 1, new + 1
        old_starts[partner[user]], new_starts[user] = old, new


def _n_changed(
    before: CountedLives,
    old_starts: NDArray[np.int64],
    now: CountedLives,
    new_starts: NDArray[np.int64],
) -> int:
    changed = before.user_keys[old_starts < before.offsets[1:]]
    return len(np.union1d(changed, now.user_keys[new_starts < now.offsets[1:]]))


def _sparse(
    pairs: NDArray[np.float64],
) -> tuple[NDArray[np.int32], NDArray[np.float32], NDArray[np.int64]]:
    """Return columns, values and the end of every row, of the pairs that have a sum."""
    columns, values = [], []
    for row in pairs:
        (there,) = np.nonzero(row.any(axis=1))
        columns.append(there.astype(np.int32))
        values.append(row[there].astype(np.float32))
    ends = np.cumsum([len(row) for row in columns], dtype=np.int64)
    if not columns:
        return np.zeros(0, np.int32), np.zeros((0, N_SUMS), np.float32), ends
    return np.concatenate(columns), np.concatenate(values), ends


@compiled
def _spread(
    columns: NDArray[np.int32],
    values: NDArray[np.float32],
    ends: NDArray[np.int64],
    pairs: NDArray[np.float64],
) -> None:
    start = 0
    for row in range(len(ends)):
        for at in range(start, ends[row]):
            for which in range(values.shape[1]):
                pairs[row, columns[at], which] = values[at, which]
        start = ends[row]
