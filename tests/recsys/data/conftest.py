from pathlib import Path

import pytest

_SHARED = Path(__file__).parents[4] / "shared" / "data"


@pytest.fixture
def real_data() -> Path:
    """Folder of the real data sets that lie beside the project."""
    if not _SHARED.is_dir():
        pytest.skip("no ../shared/data beside the project: real data sets are not at hand")
    return _SHARED
