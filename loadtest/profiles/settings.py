"""The profiles that a scenario can name."""

from typing import Annotated, Literal

from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt

from loadtest.profiles.schedule import Segment
from recsys.core.settings import FrozenModel


class ConstantProfile(FrozenModel):
    """The same rate all the time."""

    kind: Literal["constant"] = "constant"
    rate_per_s: PositiveFloat = 50.0
    """Requests per second."""
    duration_s: PositiveFloat = 30.0
    """How long."""

    def segments(self) -> tuple[Segment, ...]:
        """Return its only segment."""
        return (Segment(self.duration_s, self.rate_per_s, self.rate_per_s),)


class SoakProfile(FrozenModel):
    """A constant rate for long: what leaks shows."""

    kind: Literal["soak"] = "soak"
    rate_per_s: PositiveFloat = 50.0
    """Requests per second."""
    duration_s: PositiveFloat = 600.0
    """How long."""

    def segments(self) -> tuple[Segment, ...]:
        """Return its only segment."""
        return (Segment(self.duration_s, self.rate_per_s, self.rate_per_s),)


class RampProfile(FrozenModel):
    """From one rate to another in a straight line, then stay."""

    kind: Literal["ramp"] = "ramp"
    from_per_s: NonNegativeFloat = 0.0
    """Requests per second at the beginning."""
    rate_per_s: PositiveFloat = 100.0
    """Requests per second at the end."""
    duration_s: PositiveFloat = 30.0
    """How long the way takes."""
    hold_s: NonNegativeFloat = 0.0
    """How long to stay there."""

    def segments(self) -> tuple[Segment, ...]:
        """Return the way, and the stay if there is one."""
        way = Segment(self.duration_s, self.from_per_s, self.rate_per_s)
        return (way, Segment(self.hold_s, self.rate_per_s, self.rate_per_s)) if self.hold_s else (way,)


class StepProfile(FrozenModel):
    """Several constant rates, one after the other."""

    kind: Literal["step"] = "step"
    rates_per_s: Annotated[tuple[NonNegativeFloat, ...], Field(min_length=1)] = (50.0, 100.0, 200.0)
    """Requests per second of each step."""
    step_s: PositiveFloat = 10.0
    """How long each step lasts."""

    def segments(self) -> tuple[Segment, ...]:
        """Return a segment per step."""
        return tuple(Segment(self.step_s, rate, rate) for rate in self.rates_per_s)


class SpikeProfile(FrozenModel):
    """A constant rate, for a while many times as much, then as before: what recovers, and how soon."""

    kind: Literal["spike"] = "spike"
    rate_per_s: PositiveFloat = 50.0
    """Requests per second before and after."""
    times: PositiveFloat = 5.0
    """How many times as much during the spike."""
    before_s: PositiveFloat = 10.0
    """How long before."""
    spike_s: PositiveFloat = 10.0
    """How long the spike lasts."""
    after_s: PositiveFloat = 20.0
    """How long after it."""

    def segments(self) -> tuple[Segment, ...]:
        """Return before, spike, after."""
        high = self.rate_per_s * self.times
        return (
            Segment(self.before_s, self.rate_per_s, self.rate_per_s),
            Segment(self.spike_s, high, high),
            Segment(self.after_s, self.rate_per_s, self.rate_per_s),
        )


class ClosedProfile(FrozenModel):
    """No rate: so many connections, each asks again as soon as it is answered."""

    kind: Literal["closed"] = "closed"
    connections: PositiveInt = 64
    """Requests under way at any time, over all workers."""
    duration_s: PositiveFloat = 30.0
    """For how long new ones are begun."""

    def segments(self) -> tuple[Segment, ...]:
        """Return one segment without a rate."""
        return (Segment(self.duration_s, 0.0, 0.0),)


Profile = Annotated[
    ConstantProfile | SoakProfile | RampProfile | StepProfile | SpikeProfile | ClosedProfile,
    Field(discriminator="kind"),
]


def duration_of(profile: Profile) -> float:
    """Return how long new requests begin, in seconds."""
    return sum(segment.duration_s for segment in profile.segments())


def described(profile: Profile) -> str:
    """Return a profile in words.

    >>> described(ConstantProfile(rate_per_s=200, duration_s=10))
    'open loop, constant 200/s for 10 s'
    """
    if isinstance(profile, ClosedProfile):
        return f"closed loop, {profile.connections} connections for {profile.duration_s:g} s"
    peaks = [f"{segment.to_per_s:g}" for segment in profile.segments()]
    rates = ", ".join(peak for n, peak in enumerate(peaks) if n == 0 or peak != peaks[n - 1])
    return f"open loop, {profile.kind} {rates}/s for {duration_of(profile):g} s"
