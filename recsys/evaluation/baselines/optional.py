"""Baselines whose packages come with the extra ``baselines``: a row without them says so."""

import importlib
import importlib.util
from dataclasses import dataclass

import polars as pl

from recsys.core.errors import UnavailableError
from recsys.data.log import InteractionLog
from recsys.evaluation.model import Fit, Model


@dataclass(frozen=True, slots=True)
class OptionalFit:
    """A fit that is imported when it is first used, so that nobody else needs its packages."""

    name: str
    packages: tuple[str, ...]
    module: str  # has ``fit``, a Fit

    def __call__(self, train: InteractionLog, items: pl.DataFrame) -> Model:
        """Fit with the default settings.

        Raises:
            UnavailableError: a package is missing, or what the fit itself raises.
        """
        missing = [package for package in self.packages if importlib.util.find_spec(package) is None]
        if missing:
            are = "is" if len(missing) == 1 else "are"
            why = f"{' and '.join(missing)} {are} missing; pip install 'marquee-recsys[baselines]'"
            raise UnavailableError(self.name, why)
        fit: Fit = importlib.import_module(self.module).fit
        return fit(train, items)
