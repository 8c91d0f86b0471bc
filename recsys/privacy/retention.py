"""How long what is kept of everybody is kept, by place."""

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from pydantic import PositiveFloat

from recsys.core.clock import SECONDS_PER_DAY
from recsys.core.settings import FrozenModel
from recsys.eventlog.exposure_files import Retention
from recsys.eventlog.segment import is_open, segment_paths

_ANY_SIZE = 1 << 62


class RetentionConfig(FrozenModel):
    """Periods, in days; None: for ever."""

    events_days: PositiveFloat | None = None
    """Of segments of the event log, from the last entry on. A user state that is lost comes back from what is
    left, so keep longer than a history is useful, or keep a lake."""

    exposures_days: PositiveFloat | None = None
    """Of files of exposures; routers keep to their own setting, this one is for when none runs."""


def enforce(config: RetentionConfig, *, events: Path, exposures: Path, now_s: float) -> Mapping[str, int]:
    """Remove what is older than its period; return how many files of each place.

    Args:
        config: the periods.
        events: folder of the event log; may be missing. A segment that a writer holds stays.
        exposures: folder of the exposures; may be missing.
        now_s: Unix time.

    Raises:
        OSError: a folder cannot be read or changed.
    """
    removed = {"event log": 0, "exposures": 0}
    if config.events_days is not None:
        removed["event log"] = _remove_segments(events, now_s - config.events_days * SECONDS_PER_DAY)
    if config.exposures_days is not None:
        kept = Retention(exposures, keep_days=config.exposures_days, keep_bytes=_ANY_SIZE)
        removed["exposures"] = kept.enforce(now_s)
    return removed


def _remove_segments(folder: Path, until_s: float) -> int:
    """Remove the closed segments that were last written to before a time."""
    n_removed = 0
    for path in segment_paths(folder):
        with suppress(FileNotFoundError):  # somebody else was faster
            if path.stat().st_mtime < until_s and not is_open(path):
                path.unlink()
                n_removed += 1
    return n_removed
