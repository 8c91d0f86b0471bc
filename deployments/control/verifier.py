"""Whether a bundle may be brought to users: its files looked at before anything begins."""

from collections.abc import Callable
from typing import Final

from recsys.core.clock import Clock
from recsys.core.errors import BundleError

_RETRY_S: Final = 30.0


class Verifier:
    """Looks at a bundle once when it is sound, and every 30 s when it is not: reading all of it takes time.

    Args:
        verify: raises BundleError for a bundle that must not be served.
        clock: seconds.
    """

    def __init__(self, verify: Callable[[str], None], *, clock: Clock) -> None:
        self._verify = verify
        self._clock = clock
        self._sound: set[str] = set()
        self._faults: dict[str, tuple[float, BundleError]] = {}

    def check(self, bundle: str) -> None:
        """Return when the bundle is sound.

        Raises:
            BundleError: it must not be served.
            NotFoundError: the registry does not hold it.
            OSError: it cannot be read.
        """
        if bundle in self._sound:
            return
        found_s, fault = self._faults.get(bundle, (0.0, None))
        if fault is not None and self._clock() - found_s < _RETRY_S:
            raise fault
        try:
            self._verify(bundle)
        except BundleError as error:
            self._faults[bundle] = self._clock(), error
            raise
        self._sound.add(bundle)
