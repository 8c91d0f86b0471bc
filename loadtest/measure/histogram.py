"""Latencies in the buckets of an HDR histogram: three digits exact, small, mergeable.

Kept sparse (a bucket's lowest value -> its count), for a run holds thousands of histograms, each of few
buckets; written down in the standard encoding, which other HDR tools read.

Source: Gil Tene, HdrHistogram (hdrhistogram.org).
"""

from collections.abc import Iterable, Sequence

import numpy as np
from hdrh.histogram import HdrHistogram
from numpy.typing import NDArray

HIGHEST_US = 3_600_000_000  # an hour
_DIGITS = 3
_EXACT_BITS = 11  # 2,048 buckets per power of two and its half: what three digits need
_US_PER_S = 1e6


def bucket_us(latency_s: float) -> int:
    """Return the lowest number of microseconds that shares the bucket of ``latency_s``; at least 1.

    >>> bucket_us(0.001), bucket_us(0.100001), bucket_us(-1.0)
    (1000, 99968, 1)
    """
    value_us = int(latency_s * _US_PER_S + 0.5)
    if value_us < 1 << _EXACT_BITS:
        return value_us if value_us > 0 else 1
    if value_us > HIGHEST_US:
        value_us = HIGHEST_US
    shift = value_us.bit_length() - _EXACT_BITS
    return value_us >> shift << shift


def _highest_equivalent(lowest_us: NDArray[np.int64]) -> NDArray[np.int64]:
    bits = np.frexp(lowest_us.astype(np.float64))[1]  # exact: values stay far below 2**53
    shift = np.maximum(bits - _EXACT_BITS, 0)
    width: NDArray[np.int64] = np.left_shift(np.int64(1), shift)
    return lowest_us + width - 1


class Histogram:
    """Counts per bucket.

    >>> histogram = Histogram.of([0.001, 0.002, 0.004])
    >>> histogram.n, histogram.percentile_s(50)
    (3, 0.002)
    """

    __slots__ = ("counts",)

    def __init__(self, counts: dict[int, int] | None = None) -> None:
        self.counts = {} if counts is None else counts  # lowest microseconds of the bucket -> how many

    @classmethod
    def of(cls, latencies_s: Iterable[float]) -> "Histogram":
        """Return the histogram of some latencies."""
        histogram = cls()
        for latency_s in latencies_s:
            histogram.record(latency_s)
        return histogram

    @classmethod
    def merged(cls, histograms: Iterable["Histogram"]) -> "Histogram":
        """Return the histogram of everything that any of them has."""
        merged = cls()
        for histogram in histograms:
            merged.add(histogram)
        return merged

    @classmethod
    def decoded(cls, text: str) -> "Histogram":
        """Return the histogram that :meth:`encoded` wrote down."""
        standard = HdrHistogram.decode(text)
        counts = np.ctypeslib.as_array(standard.counts)
        rows = np.flatnonzero(counts).tolist()
        return cls({max(1, int(standard.get_value_from_index(row))): int(counts[row]) for row in rows})

    def encoded(self) -> str:
        """Return the standard compressed encoding (HDR V2, base64), in microseconds."""
        standard = HdrHistogram(1, HIGHEST_US, _DIGITS)
        for bucket, n in self.counts.items():
            standard.record_value(bucket, n)
        return str(standard.encode().decode())

    def record(self, latency_s: float) -> None:
        """Count one latency."""
        bucket = bucket_us(latency_s)
        self.counts[bucket] = self.counts.get(bucket, 0) + 1

    def add(self, other: "Histogram") -> None:
        """Count what the other has, too."""
        counts = self.counts
        for bucket, n in other.counts.items():
            counts[bucket] = counts.get(bucket, 0) + n

    @property
    def n(self) -> int:
        """How many latencies were counted."""
        return sum(self.counts.values())

    def percentile_s(self, percentile: float) -> float:
        """Return what ``percentile`` per cent do not exceed, in seconds; NaN when nothing was counted."""
        return self.percentiles_s([percentile])[0]

    def percentiles_s(self, percentiles: Sequence[float]) -> list[float]:
        """Return several at once, as HDR tools do: the highest value that shares the bucket."""
        if not self.counts:
            return [float("nan")] * len(percentiles)
        buckets, sums = self._cumulative()
        ranks = np.maximum(np.ceil(np.asarray(percentiles) / 100 * sums[-1] - 1e-9), 1)
        rows = np.searchsorted(sums, ranks)
        return [float(value) for value in _highest_equivalent(buckets[rows]) / _US_PER_S]

    def mean_s(self) -> float:
        """Return the mean in seconds, exact to the bucket; NaN when nothing was counted."""
        if not self.counts:
            return float("nan")
        buckets = np.fromiter(self.counts, np.int64, len(self.counts))
        middles = (buckets + _highest_equivalent(buckets)) / 2
        return float(np.average(middles, weights=list(self.counts.values()))) / _US_PER_S

    def max_s(self) -> float:
        """Return the largest latency in seconds, exact to the bucket; NaN when nothing was counted."""
        return self.percentile_s(100.0)

    def share_within(self, latency_s: float) -> float:
        """Return which share took at most ``latency_s``; NaN when nothing was counted."""
        if not self.counts:
            return float("nan")
        limit = bucket_us(latency_s)
        return sum(n for bucket, n in self.counts.items() if bucket <= limit) / self.n

    def curve(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return latencies in seconds, rising, and the share that each is not exceeded by."""
        if not self.counts:
            return np.empty(0), np.empty(0)
        buckets, sums = self._cumulative()
        return _highest_equivalent(buckets) / _US_PER_S, sums / sums[-1]

    def _cumulative(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        buckets = np.array(sorted(self.counts), dtype=np.int64)
        return buckets, np.cumsum([self.counts[bucket] for bucket in buckets.tolist()])
