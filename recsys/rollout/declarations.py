"""What was declared of each experiment before its first user, a file each; it outlives the experiment."""

from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError

from recsys.core.durable import replace_durably
from recsys.core.errors import DataFormatError, NotFoundError
from recsys.core.settings import FrozenModel
from recsys.experiments.design import ExperimentDesign
from recsys.rollout.traffic import Experiment


class Declaration(FrozenModel):
    """An experiment as it was declared, and when it ended."""

    format: Literal["marquee-experiment"] = "marquee-experiment"
    experiment: Experiment
    """What the traffic document deals, or dealt."""
    design: ExperimentDesign
    """How it is judged."""
    declared_by: str
    stopped_s: float | None = Field(default=None, ge=0)
    """Unix time; None while it goes on."""
    stopped_by: str | None = None


class Declarations:
    """A folder of declarations; who writes holds :attr:`lock`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @property
    def lock(self) -> Path:
        """The file to lock while one declares or stops; makes the folder."""
        self._folder.mkdir(parents=True, exist_ok=True)
        return self._folder / ".lock"

    def find(self, name: str) -> Declaration | None:
        """Return a declaration; None when there is none.

        Raises:
            DataFormatError: the file is no declaration.
        """
        path = self._path(name)
        try:
            return Declaration.model_validate_json(path.read_bytes())
        except FileNotFoundError:
            return None
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"]) or "content"
            raise DataFormatError(path, "a declaration", f"{where}: {first['msg']}") from error

    def get(self, name: str) -> Declaration:
        """Return a declaration.

        Raises:
            NotFoundError: there is none.
            DataFormatError: the file is no declaration.
        """
        found = self.find(name)
        if found is None:
            raise NotFoundError("experiment", name, ", ".join(self.names()))
        return found

    def names(self) -> list[str]:
        """Return the names of all experiments."""
        return sorted(path.stem for path in self._folder.glob("[!.]*.json"))

    def all(self) -> list[Declaration]:
        """Return all declarations, from old to new."""
        return sorted((self.get(name) for name in self.names()), key=lambda one: one.experiment.started_s)

    def put(self, declaration: Declaration) -> None:
        """Write a declaration in the place of the one of this name."""
        path = self._path(declaration.experiment.name)
        replace_durably(path, declaration.model_dump_json(indent=2).encode() + b"\n")

    def remove(self, name: str) -> None:
        """Forget a declaration of what never began."""
        self._path(name).unlink(missing_ok=True)

    def _path(self, name: str) -> Path:
        return self._folder / f"{Path(name).name}.json"
