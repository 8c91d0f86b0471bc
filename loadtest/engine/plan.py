"""Everything that makes a run what it is; a scenario file holds the same."""

import tomllib
from pathlib import Path
from typing import Literal

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt, ValidationError

from loadtest.profiles.schedule import Arrivals
from loadtest.profiles.settings import ConstantProfile, Profile
from loadtest.traffic.settings import TrafficSettings
from loadtest.transports.target import Limits
from recsys.core.errors import DataFormatError, FieldError
from recsys.core.settings import FrozenModel

_MOST_BLOCKS = 300  # of time in a report: a soak gets longer ones


class Plan(FrozenModel):
    """A run, but for the address."""

    profile: Profile = Field(default_factory=ConstantProfile)
    """When requests are due."""
    arrivals: Arrivals = Arrivals.POISSON
    """How they are spread at a given rate."""
    traffic: TrafficSettings = TrafficSettings()
    """Who asks what."""
    transport: Literal["httpx", "lean"] = "httpx"
    """``httpx`` does everything; ``lean`` plain HTTP/1.1 alone, at a fraction of the processor time."""
    limits: Limits = Limits()
    """Connections and timeouts."""
    headers: dict[str, str] = Field(default_factory=dict)
    """Sent with every request."""
    workers: PositiveInt = 1
    """Processes that send."""
    seed: NonNegativeInt = 0
    """Of the schedule and the traffic."""
    keep_rows: bool = False
    """Whether a row per request is kept."""
    drain_s: NonNegativeFloat = 15.0
    """How long the last answers are waited for."""
    most_lateness_s: PositiveFloat = 0.02
    """When the 99th percentile of how late requests left is above this, the run is not valid."""
    scrape_every_s: PositiveFloat = 5.0
    """How often the service's own metrics are read."""
    marks: str = ""
    """What must hold for the run to pass, such as ``p99<50ms, errors=0``."""

    def block_s(self, duration_s: float) -> float:
        """Return the length of the blocks of time in which results are kept, in whole seconds."""
        return float(max(1, -(-int(duration_s) // _MOST_BLOCKS)))


def read_scenario(path: Path) -> Plan:
    """Return the plan of a TOML file.

    Raises:
        DataFormatError: there is no such file, or it is not TOML.
        FieldError: a setting is unknown or out of its range.
    """
    try:
        found = tomllib.loads(path.read_text())
    except OSError as error:
        raise DataFormatError(path, "a scenario in TOML", error.strerror or type(error).__name__) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise DataFormatError(path, "a scenario in TOML", str(error)) from error
    return plan_of(found, source=str(path))


def plan_of(fields: dict[str, object], *, source: str) -> Plan:
    """Return the plan of given fields.

    Raises:
        FieldError: a setting is unknown or out of its range.
    """
    try:
        return Plan.model_validate(fields)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise FieldError(f"{source}: {where}", repr(first["input"])[:80], first["msg"]) from error
