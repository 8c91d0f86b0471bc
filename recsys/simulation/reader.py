"""The world behind a data set folder: drawn again from what the folder says of itself."""

from pathlib import Path

import orjson
from pydantic import ValidationError

from recsys.core.errors import DataFormatError
from recsys.data.folder import DESCRIPTION
from recsys.simulation.scenario import Scenario
from recsys.simulation.world import World, make_world


def world_of(folder: Path) -> World:
    """Return the world that :func:`recsys.simulation.writer.simulate` played into a folder.

    Raises:
        DataFormatError: the folder does not say which scenario and seed made it.
    """
    path = folder / DESCRIPTION
    try:
        facts = orjson.loads(path.read_bytes())
        return make_world(Scenario.model_validate(facts["scenario"]), int(facts["seed"]))
    except (OSError, ValueError, TypeError, KeyError, ValidationError) as error:
        found = f"{type(error).__name__}: {error}"
        raise DataFormatError(path, "the scenario and the seed of a simulated data set", found) from error
