"""Models as the command line names them."""

from collections.abc import Sequence

from recsys.core.errors import NotFoundError


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
