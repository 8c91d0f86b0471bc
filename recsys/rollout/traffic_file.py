"""The traffic document in a file, its predecessors in a folder beside it."""

from pathlib import Path

from recsys.core.durable import locked, replace_durably
from recsys.core.errors import ConflictError, FieldError, NotFoundError
from recsys.rollout.traffic import TrafficDocument
from recsys.rollout.traffic_text import from_text, newer_than, to_text


class FileTrafficStore:
    """A :class:`~recsys.rollout.traffic_store.TrafficStore` for processes that share a file system."""

    def __init__(self, path: Path, *, n_history: int = 100) -> None:
        """Take the file (it may not exist yet) and how many predecessors are kept in ``<path>.history/``."""
        self._path = path
        self._history = path.with_name(f"{path.name}.history")
        self._n_history = n_history
        self._known: tuple[bytes, int] | None = None  # content last parsed, and the version in it

    def read(self) -> TrafficDocument:
        """Return the document as it is now.

        Raises:
            NotFoundError: there is none yet.
            DataFormatError: what is there is no usable traffic document.
        """
        return _read(self._path)

    def changed_since(self, version: int) -> TrafficDocument | None:
        """Return the document if it is newer than ``version``, else None; asking costs one small read.

        The content is compared, not what ``stat`` says: an inode number and a time stamp may come back.

        Raises:
            NotFoundError: the file is gone.
            DataFormatError: it is no usable document, or an older one than ``version``.
        """
        content = _content(self._path)
        if self._known == (content, version):
            return None
        document = from_text(self._path, content)
        newer = newer_than(version, document, self._path)
        self._known = (content, document.version)
        return newer

    def swap(self, new: TrafficDocument, *, expected_version: int) -> None:
        """Replace the document of ``expected_version`` (0: there is none) by the next one.

        Raises:
            ConflictError: there is another version by now.
            FieldError: ``new`` is not version ``expected_version + 1``.
            DataFormatError: what is there is no usable document; put one back from the history.
        """
        if new.version != expected_version + 1:
            raise FieldError("traffic.version", str(new.version), str(expected_version + 1))
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with locked(self._path.with_name(f".{self._path.name}.lock")):
            found = self._current()
            if (found_version := found.version if found else 0) != expected_version:
                raise ConflictError("traffic", f"version {expected_version}", f"version {found_version}")
            if found is not None:
                self._remember(found)
            replace_durably(self._path, to_text(new).encode())

    def history(self) -> list[TrafficDocument]:
        """Return the latest documents, the one in force last."""
        now = self._current()
        past = [_read(path) for path in self._past()]
        return [document for document in past if now and document.version < now.version] + (
            [now] if now else []
        )

    def _current(self) -> TrafficDocument | None:
        return self.read() if self._path.exists() else None

    def _remember(self, document: TrafficDocument) -> None:
        self._history.mkdir(exist_ok=True)
        replace_durably(self._history / f"{document.version:012d}.json", to_text(document).encode())
        for path in self._past()[::-1][self._n_history :]:
            path.unlink()

    def _past(self) -> list[Path]:
        return sorted(self._history.glob("[0-9]*.json"))


def _read(path: Path) -> TrafficDocument:
    return from_text(path, _content(path))


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise NotFoundError("traffic document", str(path)) from error
