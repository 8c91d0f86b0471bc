"""Where a person may be known, and how each place forgets them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

import polars as pl

from recsys.core.clock import Clock
from recsys.core.errors import UnavailableError
from recsys.eventlog.exposure_reader import FOR_EVER, forget_exposures, scan_exposures
from recsys.eventlog.redact import naming, redact
from recsys.privacy.names import Names
from recsys.privacy.search import files_under, long_enough, traces
from recsys.state.open import open_user_state
from recsys.state.sqlite import SqliteUserState
from recsys.state.store import UserStateStore
from recsys.training.kept_sums import open_sums
from recsys.training.leaving import subtract, users_in_sums


class Place(Protocol):
    """Somewhere users are named."""

    @property
    def name(self) -> str:
        """What a proof calls it."""
        ...

    @property
    def address(self) -> str:
        """Where it is; no secrets."""
        ...

    def erase(self, people: Mapping[Names, float]) -> Mapping[str, int]:
        """Remove everything of some people, of each up to a Unix time; return how much of what."""
        ...

    def traces(self, names: Names) -> Mapping[str, int]:
        """Return where a person is still named -> how many times."""
        ...


@runtime_checkable
class Containing(Protocol):
    """A store whose bytes are on a server: :class:`recsys.state.redis.RedisUserState`, an extra."""

    def containing(self, texts: Sequence[str]) -> int:
        """Return how many keys and values hold one of these texts."""
        ...


@runtime_checkable
class Asking(Protocol):
    """A place where people ask to leave."""

    def erasures(self) -> Mapping[str, float]:
        """Return who asked -> the Unix time up to which they are to be forgotten."""
        ...


class StatePlace:
    """User state, in SQLite or Redis.

    Of a SQLite file every byte is searched, of Redis every key and value; the files that a Redis server keeps
    are its own (docs/privacy.md).

    Args:
        url: as :func:`recsys.state.open.open_user_state` takes it.
    """

    name = "user state"

    def __init__(self, url: str) -> None:
        self._url = url
        self.address = url.rpartition("@")[2]  # without a password

    def erase(self, people: Mapping[Names, float]) -> Mapping[str, int]:
        """Leave tombstones, hashes of the names, in place of the users."""
        if self._missing():
            return {"users": 0}
        n_known = 0
        with open_user_state(self._url) as store:
            for names, at_s in people.items():
                found = store.read(names.inside)
                n_known += sum(bool(state.item_ids or state.seen) for state in found)
                for name in names.inside:
                    store.erase(name, at_s)
            if isinstance(store, SqliteUserState) and any(self._in_store(store, names) for names in people):
                store.scrub()  # what SQLite left behind when it moved rows from page to page
        return {"users": n_known}

    def traces(self, names: Names) -> Mapping[str, int]:
        """Search the files, or the server."""
        if self._missing():
            return {}
        with open_user_state(self._url) as store:
            return self._in_store(store, names)

    def _missing(self) -> bool:
        """Return whether there is no such file; opening would make it."""
        path = self._url.removeprefix("sqlite:///")
        return path != self._url and not Path(path).exists()

    def _in_store(self, store: UserStateStore, names: Names) -> Mapping[str, int]:
        n_named = store.named(names.inside)
        if isinstance(store, SqliteUserState):
            found = traces(store.files, names.inside)
            return found or ({self.address: n_named} if n_named else {})
        if isinstance(store, Containing):
            n_named = max(n_named, store.containing(long_enough(names.inside)))
        return {self.address: n_named} if n_named else {}


class LogPlace:
    """The event log.

    Args:
        folder: where the segments are; may be missing.
    """

    name = "event log"

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.address = str(folder)

    def erase(self, people: Mapping[Names, float]) -> Mapping[str, int]:
        """Overwrite what names them."""
        try:
            done = redact(
                self._folder, {name: at_s for names, at_s in people.items() for name in names.inside}
            )
        except OSError as error:
            raise UnavailableError(self.name, str(error)) from error
        return {"events": done.n_events, "erasures": done.n_erasures, "damaged": done.n_damaged}

    def traces(self, names: Names) -> Mapping[str, int]:
        """Search the bytes, and of names that are too short for that what is marked as a user's."""
        marked = naming(self._folder, dict.fromkeys(names.inside, 0.0))
        found = {str(path): count for path, count in marked.items()}
        return found | traces(files_under(self._folder), names.inside)


class ExposuresPlace:
    """The files of what was served.

    Args:
        folder: where the days are; may be missing.
    """

    name = "exposures"

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.address = str(folder)

    def erase(self, people: Mapping[Names, float]) -> Mapping[str, int]:
        """Write the files anew without their rows."""
        try:
            until_s = {name: at_s for names, at_s in people.items() for name in names.shown}
            n_rows = forget_exposures(self._folder, until_s)
        except OSError as error:
            raise UnavailableError(self.name, str(error)) from error
        return {"answers": n_rows}

    def traces(self, names: Names) -> Mapping[str, int]:
        """Search bytes and columns for the pseudonyms and, for good measure, for all other names."""
        found = traces(files_under(self._folder), [*names.shown, *names.inside])
        erased = scan_exposures(self._folder, erased_at_s=dict.fromkeys(names.shown, FOR_EVER))
        n_rows = _height(scan_exposures(self._folder)) - _height(erased)
        return found or ({self.address: n_rows} if n_rows else {})


class SumsPlace:
    """The sums that recall is refreshed from; see :mod:`recsys.training.leaving`.

    They hold lives under a hash of the user's name inside, never the name.

    Args:
        registry: address of the bundles, beside which the sums are kept.
        clock: Unix time.
    """

    name = "sums of recall"

    def __init__(self, registry: str, *, clock: Clock) -> None:
        self.address = registry
        self._clock = clock

    def erase(self, people: Mapping[Names, float]) -> Mapping[str, int]:
        """Subtract them whole; what they did after the erasure comes back with the next refresh."""
        everybody = [name for names in people for name in names.inside]
        done = subtract(open_sums(self.address), everybody, now_s=self._clock())
        return {"lives": sum(one.n_users for one in done)}

    def traces(self, names: Names) -> Mapping[str, int]:
        """Look for the hashes of their names."""
        return users_in_sums(open_sums(self.address), names.inside)


def _height(answers: pl.LazyFrame) -> int:
    return int(answers.select(pl.len()).collect().item())
