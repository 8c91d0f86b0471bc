"""Reads marks: ``p99<50ms, errors=0, degraded<1%, recommend.p95<=30ms, rate>=95%``.

marks  = mark { "," mark }
mark   = [ call "." ] metric sign number [ unit ]
metric = "p" number | "mean" | "max" | "errors" | "shed" | "degraded" | "cached" | "cut" | "rate" | "goodput"
sign   = "<" | "<=" | "=" | "==" | ">=" | ">"
unit   = "us" | "ms" | "s"   of a latency (one is needed)
       | "%"                 of shares: of all requests; of rate and goodput: of the scheduled rate
       | "/s"                of rate and goodput, and may be left out
"""

import math
import operator
import re
from collections.abc import Callable
from dataclasses import dataclass

from recsys.core.errors import FieldError

COUNTS = ("errors", "shed", "degraded", "cached", "cut")
RATES = ("rate", "goodput")
_UNITS_S = {"us": 1e-6, "ms": 1e-3, "s": 1.0}
_SIGNS: dict[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    "=": operator.eq,
    "==": operator.eq,
    ">=": operator.ge,
    ">": operator.gt,
}
_MARK = re.compile(
    r"(?:(?P<call>[a-z_]+)\.)?(?P<metric>p\d+(?:\.\d+)?|[a-z]+)\s*(?P<sign><=|>=|==|[<>=])\s*"
    r"(?P<number>\d+(?:\.\d+)?)\s*(?P<unit>us|ms|s|%|/s)?"
)
_EXPECTED = "marks such as p99<50ms, errors=0, degraded<1%, rate>=95%"


@dataclass(frozen=True, slots=True)
class Mark:
    """One thing that must hold."""

    text: str
    """As it was given."""
    call: str
    """Of which call; empty: of all."""
    metric: str
    percentile: float
    """Of a latency metric ``p..``; 100 of ``max``; NaN of all others."""
    sign: str
    limit: float
    """Seconds of a latency; a share (0.01 for 1 %) where ``is_share``; else a count or a rate per second."""
    is_share: bool

    def holds(self, value: float) -> bool:
        """Return whether a value is on the right side; no value (NaN) never is."""
        return not math.isnan(value) and _SIGNS[self.sign](value, self.limit)

    @property
    def is_latency(self) -> bool:
        """Whether its values are seconds."""
        return self.metric not in COUNTS and self.metric not in RATES


def parse_marks(text: str) -> tuple[Mark, ...]:
    """Return the marks of a text; none of an empty one.

    Raises:
        FieldError: a part is not a mark; the message says which, and why.
    """
    parts = [part.strip() for part in text.split(",")] if text.strip() else []
    return tuple(_mark(part) for part in parts)


def _mark(part: str) -> Mark:
    found = _MARK.fullmatch(part)
    if found is None:
        raise FieldError("--pass", repr(part), _EXPECTED)
    metric, unit = found["metric"], found["unit"] or ""
    percentile = _percentile(metric, part)
    number = float(found["number"])
    if metric in COUNTS or metric in RATES:
        allowed = ("", "%", "/s") if metric in RATES else ("", "%")
        if unit not in allowed:
            raise FieldError("--pass", repr(part), f"{metric} as a number or in %, not in {unit}")
        limit = number / 100 if unit == "%" else number
    else:
        if unit not in _UNITS_S:
            raise FieldError("--pass", repr(part), f"{metric} with a unit of time: us, ms or s")
        limit = number * _UNITS_S[unit]
    return Mark(part, found["call"] or "", metric, percentile, found["sign"], limit, unit == "%")


def _percentile(metric: str, part: str) -> float:
    if metric == "max":
        return 100.0
    if metric[0] == "p" and metric[1:2].isdigit():
        percentile = float(metric[1:])
        if not 0 < percentile <= 100:
            raise FieldError("--pass", repr(part), "a percentile above 0 and up to 100")
        return percentile
    if metric == "mean" or metric in COUNTS or metric in RATES:
        return math.nan
    known = ", ".join(("p50", "p99", "p99.9", "mean", "max", *COUNTS, *RATES))
    raise FieldError("--pass", repr(part), f"a metric of: {known}")
