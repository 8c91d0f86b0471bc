"""Where the lake of a test lies: what it does in a folder it does in a bucket of S3 (moto's server)."""

from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture(params=["folder", "bucket"])
def root(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Return the address of a lake that is not there yet."""
    if request.param == "folder":
        return str(tmp_path / "lake")
    pytest.importorskip("obstore", reason="needs the extra objects")
    return f"{request.getfixturevalue('bucket_address')}/lake"


@pytest.fixture
def put() -> Callable[[str, bytes], None]:
    """Write a file past the lake."""

    def write(address: str, content: bytes) -> None:
        if "://" not in address:
            Path(address).write_bytes(content)
            return
        import obstore
        from obstore.store import from_url

        folder, _, name = address.rpartition("/")
        obstore.put(from_url(folder, client_options={"allow_http": True}), name, content)

    return write
