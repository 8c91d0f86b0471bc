"""Load over time: how many requests arrive in each second, and which share of them goes to lane green."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_MINUTE = 60


@dataclass(frozen=True, slots=True)
class Trace:
    """One story, second by second."""

    name: str
    what: str
    rate_per_s: NDArray[np.float64]  # shape (seconds,)
    green_share: NDArray[np.float64]  # shape (seconds,), in [0, 1]; as the traffic document says


def traces() -> tuple[Trace, ...]:
    """Return all stories; none has any chance in it."""
    return (
        _all_blue("constant", "200/s for half an hour", np.full(30 * _MINUTE, 200.0)),
        _all_blue("diurnal", "a day in two hours: 40/s at night, 400/s in the evening", _diurnal()),
        _all_blue("spike", "50/s, and 500/s for one minute", _spike()),
        _all_blue("flash crowd", "50/s to 600/s within 20 s, then slowly back", _flash_crowd()),
        _all_blue("sawtooth", "100/s to 400/s in two minutes, back at once, ten times", _sawtooth()),
        _switch_over(),
    )


def _all_blue(name: str, what: str, rate_per_s: NDArray[np.float64]) -> Trace:
    return Trace(name, what, rate_per_s, np.zeros_like(rate_per_s))


def _diurnal() -> NDArray[np.float64]:
    day = np.arange(120 * _MINUTE) / (120 * _MINUTE)
    return np.asarray(220.0 - 180.0 * np.cos(2 * np.pi * day))


def _spike() -> NDArray[np.float64]:
    rate_per_s = np.full(20 * _MINUTE, 50.0)
    rate_per_s[5 * _MINUTE : 6 * _MINUTE] = 500.0
    return rate_per_s


def _flash_crowd() -> NDArray[np.float64]:
    since_s = np.arange(40 * _MINUTE) - 5 * _MINUTE
    rise = np.clip(since_s / 20.0, 0.0, 1.0)
    decay = np.exp(-np.clip(since_s - 20.0, 0.0, None) / (8 * _MINUTE))
    return np.asarray(50.0 + 550.0 * rise * decay)


def _sawtooth() -> NDArray[np.float64]:
    return np.tile(np.linspace(100.0, 400.0, 2 * _MINUTE), 10)


def _switch_over() -> Trace:
    """A rollout at 300/s: the bundle is there from the third minute, then users come in four steps."""
    share = np.repeat([0.0, 0.05, 0.25, 0.5, 1.0, 1.0], 5 * _MINUTE)
    return Trace(
        "switch-over",
        "300/s move to lane green in steps: 5, 25, 50, 100 %",
        np.full(share.size, 300.0),
        share,
    )
