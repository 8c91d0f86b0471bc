"""Objects in a bucket of S3, Google Cloud Storage or Azure, and the errors of all three as ours."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError, PreconditionError
from obstore.store import from_url

from recsys.core.errors import FieldError, UnavailableError

if TYPE_CHECKING:
    from obstore import UpdateVersion
    from obstore.store import ClientConfig, RetryConfig

_EXPECTED: Final = "s3://bucket/prefix, gs://bucket/prefix or az://account/container/prefix"
_ENDPOINT: Final = "AWS_ENDPOINT_URL"
_RETRIES: "RetryConfig" = {"max_retries": 3, "retry_timeout": timedelta(seconds=20)}
_TIMEOUTS: Final = {"connect_timeout": "5s", "timeout": "60s"}


class Bucket:
    """Objects below one address. Every method raises UnavailableError when it cannot be reached or refuses.

    Args:
        address: ``s3://bucket/prefix`` and the like. Who asks, and of which server, stands in the usual
            environment variables of the provider (``AWS_ACCESS_KEY_ID``, ``AWS_ENDPOINT_URL``, ...) or comes
            from the machine.
        part: what lies there, as errors call it.

    Raises:
        FieldError: no such address is possible.
    """

    def __init__(self, address: str, *, part: str = "registry") -> None:
        self.address = address
        self._part = part
        try:
            self._store = from_url(address, client_options=_client(), retry_config=_RETRIES)
        except (BaseError, ValueError) as error:
            raise FieldError(part, f"{address!r} ({_first_line(error)})", _EXPECTED) from error

    def paths(self, prefix: str) -> list[str]:
        """Return the paths of all objects below a prefix."""
        with self._reaching():
            return [one["path"] for page in obstore.list(self._store, prefix) for one in page]

    def has(self, prefix: str) -> bool:
        """Return whether there is an object below a prefix."""
        with self._reaching():
            return any(page for page in obstore.list(self._store, prefix, chunk_size=1))

    def read(self, path: str) -> "tuple[bytes, UpdateVersion] | None":
        """Return an object and what tells this version of it from others; None when there is none."""
        with self._reaching():
            try:
                found = obstore.get(self._store, path)
            except FileNotFoundError:
                return None
            version: UpdateVersion = {}
            if found.meta["e_tag"] is not None:
                version["e_tag"] = found.meta["e_tag"]
            if found.meta["version"] is not None:
                version["version"] = found.meta["version"]
            return bytes(found.bytes()), version

    def download(self, path: str, target: Path) -> bool:
        """Write an object into a file; return whether there is one."""
        with self._reaching():
            try:
                found = obstore.get(self._store, path)
            except FileNotFoundError:
                return False
            with target.open("wb") as file:
                for chunk in found.stream():
                    file.write(chunk)
        return True

    def put(self, path: str, source: Path) -> None:
        """Upload a file, in parts when it is large."""
        with self._reaching():
            obstore.put(self._store, path, source)

    def delete(self, paths: list[str]) -> None:
        """Remove objects; those that are not there are no error."""
        with self._reaching(), suppress(FileNotFoundError):
            obstore.delete(self._store, paths)

    def swap(self, path: str, data: bytes, version: "UpdateVersion | None") -> bool:
        """Replace an object if it is of this version (None: if there is none); return whether it was."""
        with self._reaching():
            try:
                obstore.put(self._store, path, data, mode="create" if version is None else version)
            except (AlreadyExistsError, PreconditionError):
                return False
        return True

    @contextmanager
    def _reaching(self) -> Iterator[None]:
        try:
            yield
        except BaseError as error:
            raise UnavailableError(f"{self._part} {self.address}", _first_line(error)) from error


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]


def storage_options() -> dict[str, str]:
    """Return how other libraries (deltalake, Polars) are to reach S3; the rest they read as we do.

    The server is named, for Polars keeps connections by what it was told.
    """
    options = _TIMEOUTS | {"allow_http": str(_is_unencrypted()).lower()}
    endpoint = os.environ.get(_ENDPOINT)
    return options | {"aws_endpoint_url": endpoint} if endpoint else options


def _client() -> "ClientConfig":
    return {
        "connect_timeout": _TIMEOUTS["connect_timeout"],
        "timeout": _TIMEOUTS["timeout"],
        "allow_http": _is_unencrypted(),
    }


def _is_unencrypted() -> bool:
    return os.environ.get(_ENDPOINT, "").startswith("http://")  # whoever says so wants it
