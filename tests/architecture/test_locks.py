"""The images get what everybody tests with."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
_PINNED = re.compile(r"^([a-z0-9._-]+)==(\S+)", re.MULTILINE)


def test_the_image_has_the_versions_of_the_lock_file() -> None:
    everywhere, image = pinned("requirements.lock"), pinned("requirements-image.lock")
    image["xgboost"] = image.pop("xgboost-cpu")  # the same, without CUDA
    assert {name: version for name, version in image.items() if everywhere.get(name) != version} == {}


def test_the_image_has_nothing_of_cuda() -> None:
    assert not [name for name in pinned("requirements-image.lock") if name.startswith("nvidia")]


def test_the_image_of_batch_jobs_adds_what_the_other_lacks_in_the_versions_of_the_lock_file() -> None:
    everywhere, image = pinned("requirements.lock"), pinned("requirements-image.lock")
    batch = pinned("requirements-batch.lock")
    assert {name: version for name, version in batch.items() if everywhere.get(name) != version} == {}
    assert batch.keys() & image.keys() == set()
    assert {"optuna", "pandas", "pyarrow"} <= batch.keys()


def pinned(lock: str) -> dict[str, str]:
    return dict(_PINNED.findall((ROOT / lock).read_text()))
