"""The documents before the one in force, packed into a ConfigMap of their own."""

import base64
import gzip
import logging
import zlib
from collections.abc import Mapping
from contextlib import suppress

from deployments.kubernetes.config_map import ConfigMap
from recsys.core.errors import ConflictError, DataFormatError, RecsysError
from recsys.rollout.traffic import TrafficDocument
from recsys.rollout.traffic_text import from_text, to_text

_log = logging.getLogger(__name__)

MAX_BYTES = 700_000
"""Of all packed documents; a ConfigMap may have 1 MiB."""
_TRIES = 3

Entries = Mapping[str, str]
"""``<version>.json.gz`` -> the packed document in base 64, as ``binaryData`` has it."""


class PackedHistory:
    """Keeps the latest predecessors of a document.

    Args:
        config_map: what they are kept in; made with the first.
        n_kept: at most so many.
        max_bytes: at most so long together.
    """

    def __init__(self, config_map: ConfigMap, *, n_kept: int, max_bytes: int = MAX_BYTES) -> None:
        self._config_map = config_map
        self._n_kept = n_kept
        self._max_bytes = max_bytes

    def remember(self, document: TrafficDocument) -> None:
        """Add a document that is about to be replaced; to fail at that is no reason to leave it in force."""
        try:
            for _ in range(_TRIES):
                with suppress(ConflictError):  # somebody else added one, most likely the same
                    return self._add(document)
            _log.warning("%s: others were faster; version %d is left out", self._where, document.version)
        except RecsysError as error:
            _log.warning("version %d is left out of the history: %s", document.version, error)

    def all(self) -> list[TrafficDocument]:
        """Return what is remembered, the oldest first.

        Raises:
            DataFormatError: an entry is no packed document.
            UnavailableError: the API server cannot be reached, or does not let us.
        """
        found = self._config_map.read()
        entries = (found.binary_data if found is not None else None) or {}
        return [unpacked(f"{self._where} {key}", entries[key]) for key in sorted(entries)]

    @property
    def _where(self) -> str:
        return str(self._config_map.address)

    def _add(self, document: TrafficDocument) -> None:
        found = self._config_map.read()
        before = (found.binary_data if found is not None else None) or {}
        after = with_entry(before, document, n_kept=self._n_kept, max_bytes=self._max_bytes)
        if after != before:
            self._config_map.write(found, binary_data=after)


def with_entry(entries: Entries, document: TrafficDocument, *, n_kept: int, max_bytes: int) -> dict[str, str]:
    """Return the entries with a document added and the oldest left out where there is no room.

    Entries of its version or later are of an earlier life of the document, before it was deleted: they go,
    lest they be taken for the newest. A document that is there already changes nothing.

    Args:
        entries: what was kept so far.
        document: to be added.
        n_kept: at most so many.
        max_bytes: at most so long together, packed.
    """
    key, packed = f"{document.version:012d}.json.gz", _packed(document)
    if entries.get(key) == packed:
        return dict(entries)
    earlier = {name: entry for name, entry in entries.items() if name < key}
    kept: dict[str, str] = {}
    n_bytes = 0
    for name, entry in sorted({**earlier, key: packed}.items(), reverse=True)[:n_kept]:
        n_bytes += len(base64.b64decode(entry))
        if n_bytes > max_bytes:
            break
        kept[name] = entry
    return dict(sorted(kept.items()))


def unpacked(where: str, entry: str) -> TrafficDocument:
    """Return the document in an entry.

    Raises:
        DataFormatError: it is no packed document.
    """
    try:
        text = gzip.decompress(base64.b64decode(entry))
    except (ValueError, OSError, EOFError, zlib.error) as error:
        raise DataFormatError(where, "a packed traffic document", str(error)) from error
    return from_text(where, text)


def _packed(document: TrafficDocument) -> str:
    return base64.b64encode(gzip.compress(to_text(document).encode(), mtime=0)).decode()
