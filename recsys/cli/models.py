"""Models as the command line names them."""

from collections.abc import Mapping, Sequence
from functools import partial

from recsys.core.errors import NotFoundError
from recsys.data.shown import ShownLog
from recsys.evaluation.model import Fit
from recsys.evaluation.protocols import Progress
from recsys.evaluation.results import WHOLE
from recsys.training.two_stage import TrainingConfig, fit_two_stage

DEFAULTS = "two-stage-defaults"
"""Row name of the two stages with settings as they come, where others are evaluated."""


def chosen_of(models: str | None, known: Sequence[str]) -> tuple[str, ...]:
    """Return the names asked for, between commas, each once; all when nothing was asked for.

    Raises:
        NotFoundError: there is no such model.
    """
    if models is None:
        return tuple(known)
    names = tuple(dict.fromkeys(name.strip() for name in models.split(",")))
    for name in names:
        if name not in known:
            raise NotFoundError("model", name, ", ".join(known))
    return names


def fits_of(
    names: Sequence[str],
    rivals: Mapping[str, Fit],
    settings: Mapping[str, TrainingConfig],
    on_step: Progress,
    shown: ShownLog | None = None,
) -> dict[str, Fit]:
    """Return what fits each of the named models, and the two stages with further settings.

    Args:
        names: as :func:`chosen_of` returns them.
        rivals: what fits the others, by name.
        settings: of the row named ``two-stage``, and of rows under other names, which come last.
        on_step: told what the two stages do.
        shown: impressions that the two stages may learn from.
    """
    ours: dict[str, Fit] = {
        name: partial(fit_two_stage, config=each, shown=shown, on_step=partial(_named, on_step, name))
        for name, each in settings.items()
    }
    asked = {name: ours[name] if name == WHOLE else rivals[name] for name in names}
    return asked | {name: fit for name, fit in ours.items() if name != WHOLE}


def _named(on_step: Progress, model: str, step: str, share: float) -> None:
    on_step(f"{model}: {step}", share)
