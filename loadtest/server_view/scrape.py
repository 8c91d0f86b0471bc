"""Reads figures in the Prometheus text format over HTTP."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import httpx
from prometheus_client.parser import text_string_to_metric_families

from recsys.core.clock import Clock
from recsys.core.errors import InputError, UnavailableError

Labels = tuple[tuple[str, str], ...]
_TIMEOUT_S = 3.0


@dataclass(frozen=True, slots=True)
class Figures:
    """All figures of one moment."""

    at_s: float
    """Monotonic seconds."""
    values: Mapping[tuple[str, Labels], float] = field(default_factory=dict)
    """Name and sorted labels -> value."""

    def of(self, name: str) -> dict[Labels, float]:
        """Return every value of that name; nothing when it is not there."""
        return {labels: value for (found, labels), value in self.values.items() if found == name}


def figures_of(text: str, at_s: float) -> Figures:
    """Return the figures of a page.

    Raises:
        InputError: it is not in the Prometheus text format.
    """
    try:
        samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    except (ValueError, KeyError, IndexError) as error:
        raise InputError(f"/metrics: not in the Prometheus text format: {error}") from error
    return Figures(
        at_s, {(sample.name, tuple(sorted(sample.labels.items()))): sample.value for sample in samples}
    )


class Scraper:
    """Asks one service for its figures."""

    def __init__(self, url: str, headers: Mapping[str, str], *, clock: Clock, verify: bool = True) -> None:
        self._url = url.rstrip("/") + "/metrics"
        self._client = httpx.Client(headers=dict(headers), timeout=_TIMEOUT_S, verify=verify)
        self._clock = clock

    def read(self) -> Figures:
        """Return the figures of now.

        Raises:
            UnavailableError: there are none, or none that can be read.
        """
        try:
            answer = self._client.get(self._url)
            at_s = self._clock()
            if answer.status_code != httpx.codes.OK:
                raise UnavailableError("/metrics", f"status {answer.status_code}")
            return figures_of(answer.text, at_s)
        except httpx.HTTPError as error:
            raise UnavailableError("/metrics", f"{type(error).__name__}: {error}") from error
        except InputError as error:
            raise UnavailableError("/metrics", str(error)) from error

    def close(self) -> None:
        """Close its connection."""
        self._client.close()
