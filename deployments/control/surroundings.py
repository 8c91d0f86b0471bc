"""What a controller finds around it, beside the service."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field

from deployments.control.steward import Reports, Wishes


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """Nothing, unless said otherwise: a controller alone, on one machine."""

    wishes: Wishes | None = None  # what values want
    reports: Reports | None = None  # who tells people
    lease: AbstractContextManager[object] = field(default_factory=nullcontext)  # given back at the end
    leads: Callable[[], bool] = lambda: True
    owner: Mapping[str, object] | None = None  # reference to the Kubernetes object whose all is
