"""People who left: known by a digest alone, so that nothing of theirs comes in again."""

import secrets
from collections.abc import Mapping

import polars as pl

from recsys.core.pseudonyms import Pseudonyms
from recsys.lake.delta import Delta, Snapshot

_KEY = "marquee.userDigestKey"
_KEY_BYTES = 32


class Left:
    """The table ``users``: digests of the people who asked to be forgotten, and up to when.

    The key of the digests is kept with the table, so that it cannot be lost without it; whoever holds the
    lake can therefore ask of an id that they know whether it was erased, and of no other.
    """

    def __init__(self, delta: Delta) -> None:
        self._delta = delta

    def add(self, erased_at_s: Mapping[str, float]) -> None:
        """Remember that nothing of these users up to then may be used or come in again."""
        self._delta.create({_KEY: secrets.token_hex(_KEY_BYTES)})

        def add(snapshot: Snapshot) -> bool:
            digests = map(_digests(snapshot.properties).of, erased_at_s)
            rows = zip(digests, erased_at_s.values(), strict=True)
            frame = pl.DataFrame(list(rows), schema=self._delta.layout.stored, orient="row")
            return self._delta.append(snapshot, frame)

        self._delta.on_newest(add)

    def drop(self, rows: pl.DataFrame, *, user: str = "user_id", time: str = "time_s") -> pl.DataFrame:
        """Leave out the rows that happened before their user left."""
        if not self._delta.exists or not rows.height:
            return rows
        snapshot = self._delta.at()
        until_s = _latest(snapshot.read())
        digests = _digests(snapshot.properties)
        gone = {each: until_s.get(digests.of(each)) for each in rows[user].drop_nulls().unique()}
        gone = {each: at_s for each, at_s in gone.items() if at_s is not None}
        if not gone:
            return rows
        left_at_s = pl.col(user).replace_strict(
            list(gone), list(gone.values()), default=None, return_dtype=pl.Float64()
        )
        return rows.filter((pl.col(time) > left_at_s).fill_null(value=True))


def _latest(rows: pl.DataFrame) -> dict[str, float]:
    latest = rows.group_by("user_digest").agg(pl.col("erased_at_s").max())
    return dict(latest.select("user_digest", "erased_at_s").iter_rows())


def _digests(properties: Mapping[str, str]) -> Pseudonyms:
    return Pseudonyms(bytes.fromhex(properties[_KEY]))
