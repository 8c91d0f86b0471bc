"""What data must be before a bundle is made of them without anybody looking."""

from pydantic import Field, NonNegativeFloat

from recsys.core.errors import InputError
from recsys.core.settings import FrozenModel
from recsys.data.quality import check_quality
from recsys.data.schema import Dataset


class DataRefusedError(InputError):
    """The data look so wrong that no bundle is made of them."""

    def __init__(self, check: str, found: float, limit: float, example: str) -> None:
        super().__init__(check, found, limit, example)

    def __str__(self) -> str:
        check, found, limit, example = self.args
        shown = f", for example {example}" if example else ""
        return f"the data are refused: {check} is {found:.3g}, at most {limit:.3g} is allowed{shown}"


class DataChecks(FrozenModel):
    """Shares above which data are refused; names are those of ``marquee data check``."""

    most: dict[str, NonNegativeFloat] = Field(
        default_factory=lambda: {
            "repeated": 0.2,
            "unknown-items": 0.2,
            "after-now": 0.001,  # clocks of clients run ahead
            "standing-clock": 0.9,
        }
    )
    """Share of what a check looked at."""

    most_lost: float = Field(default=0.2, ge=0.0, le=1.0)
    """Share of the positions of the bundle before that may be gone: people leave, but not all at once."""


def check_data(
    dataset: Dataset, checks: DataChecks, *, n_before: int | None, n_now: int, now_s: float
) -> None:
    """Refuse data that look wrong.

    Args:
        dataset: interactions and catalogue.
        checks: what is allowed.
        n_before: positions that the bundle before was made of; None: there was none.
        n_now: positions of now.
        now_s: Unix time.

    Raises:
        DataRefusedError: too much of it is wrong, or too much is gone.
    """
    for finding in check_quality(dataset, now_s=now_s):
        share, limit = finding.n / max(1, finding.of), checks.most.get(finding.check, 1.0)
        if share > limit:
            raise DataRefusedError(
                f"the share of {finding.what}", share, limit, next(iter(finding.examples), "")
            )
    lost = 0.0 if not n_before else 1.0 - n_now / n_before
    if lost > checks.most_lost:
        raise DataRefusedError(
            "the share of positions gone since the last bundle", lost, checks.most_lost, ""
        )
