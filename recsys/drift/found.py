"""Everything that a check found."""

from datetime import UTC, datetime

from recsys.core.settings import FrozenModel
from recsys.drift.compare import CheckConfig, WindowVerdict
from recsys.drift.profile import Profile


class Change(FrozenModel):
    """A change that a detector found; see :mod:`recsys.drift.change_points`."""

    detector: str
    at_s: float
    """When the user came at whom it was found, Unix time."""
    before: float
    """Mean of the stream until then."""
    after: float
    """Mean of the stream from then on."""


class StreamChange(Change):
    """One in a stream of engagement."""

    feature: str


class DriftReport(FrozenModel):
    """What :func:`recsys.drift.report.html_of` draws, and what ``--json`` prints."""

    bundle: str
    profile: Profile
    config: CheckConfig
    windows: tuple[WindowVerdict, ...]
    changes: tuple[StreamChange, ...] = ()

    @property
    def n_moved(self) -> int:
        """Windows in which anything has moved."""
        return sum(bool(window.moved) for window in self.windows)


def date_of(time_s: float) -> str:
    """Return a moment as people read it, UTC.

    >>> date_of(90_000.0)
    '1970-01-02 01:00'
    """
    return datetime.fromtimestamp(time_s, UTC).strftime("%Y-%m-%d %H:%M")
