from functools import partial
from pathlib import Path

import numpy as np
import pytest

from recsys.core.errors import ConflictError
from recsys.core.hashing import hash64_many
from recsys.data.log import InteractionLog
from recsys.recall.counted import counted
from recsys.recall.sequential import SequentialConfig
from recsys.registry.bundle import BundleWriter
from recsys.registry.local import LocalRegistry
from recsys.registry.open import open_registry
from recsys.registry.store import Registry
from recsys.training.kept_sums import keep_sums, open_sums, sums_of
from recsys.training.leaving import bundles_before, subtract

CONFIG = SequentialConfig(min_events=1)
ITEMS = ["i0", "i1", "i2"]


def log_of(**lives: list[int]) -> InteractionLog:
    n = sum(map(len, lives.values()))
    return InteractionLog(
        np.cumsum([0, *map(len, lives.values())]).astype(np.int64),
        np.array([item for life in lives.values() for item in life], dtype=np.int32),
        np.zeros(n),
        np.zeros(n, dtype=np.int16),
        tuple(lives),
        (),
        len(ITEMS),
    )


@pytest.fixture
def sums(tmp_path: Path) -> Registry:
    return open_sums(tmp_path)


def test_who_leaves_is_subtracted_from_all_sums_and_no_file_knows_them_any_more(
    sums: Registry, tmp_path: Path
) -> None:
    everybody = log_of(petra=[0, 1, 0, 1], bob=[1, 2, 1], eve=[0, 2])
    for bundle in ("b1", "b2"):
        keep_sums(sums, counted(everybody, ITEMS, CONFIG), CONFIG, bundle=bundle, now_s=1.0)
    done = subtract(sums, ["petra", "nobody"], now_s=2.0)
    assert {(one.bundle, one.n_users) for one in done} == {("b1", 1), ("b2", 1)}
    never_there = counted(log_of(bob=[1, 2, 1], eve=[0, 2]), ITEMS, CONFIG)
    for bundle in ("b1", "b2"):
        left = sums_of(sums, bundle, CONFIG)
        assert left is not None
        assert np.allclose(left.moments.pairs, never_there.moments.pairs, atol=1e-7)
        assert left.lives.item_rows.tolist() == [1, 2, 1, 0, 2]
    pseudonym = hash64_many(["petra"], "counted lives").tobytes()
    kept = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    assert kept
    assert not any(pseudonym in content or b"petra" in content for content in kept)


def test_sums_in_a_bucket_are_kept_and_changed_like_those_in_a_folder(
    bucket_address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MARQUEE_CACHE", str(tmp_path))
    sums = open_sums(f"{bucket_address}/registry")
    keep_sums(sums, counted(log_of(petra=[0, 1], bob=[1, 2]), ITEMS, CONFIG), CONFIG, bundle="b", now_s=1.0)
    (done,) = subtract(sums, ["petra"], now_s=2.0)
    assert done.n_users == 1
    left = sums_of(sums, "b", CONFIG)
    assert left is not None
    assert left.lives.item_rows.tolist() == [1, 2]
    assert [info.name for info in sums.list()] == [done.sums]
    assert open_registry(f"{bucket_address}/registry").list() == []  # sums are no bundles


def test_to_subtract_again_changes_nothing(sums: Registry) -> None:
    keep_sums(sums, counted(log_of(petra=[0, 1], bob=[1, 2]), ITEMS, CONFIG), CONFIG, bundle="b", now_s=1.0)
    (once,) = subtract(sums, ["petra"], now_s=2.0)
    assert once.sums != once.before
    (again,) = subtract(sums, ["petra"], now_s=3.0)
    assert (again.sums, again.before, again.n_users) == (once.sums, once.sums, 0)
    assert subtract(sums, [], now_s=4.0)[0].sums == once.sums


def write_moment(writer: BundleWriter, made_s: float) -> None:
    writer.json("made", made_s)


def test_bundles_made_before_are_named_until_they_are_removed(tmp_path: Path) -> None:
    registry = LocalRegistry(tmp_path)
    names = []
    for made_s in (1.0, 2.0, 3.0):
        fill = partial(write_moment, made_s=made_s)
        names.append(registry.publish(fill, feature_schema="f", created_s=made_s, meta={}).name)
    registry.promote(names[0], "stable", expected=None, by="me", now_s=4.0)
    assert bundles_before(registry, 3.0) == {names[1]: (), names[0]: ("stable",)}
    registry.remove(names[1])
    assert bundles_before(registry, 3.0) == {names[0]: ("stable",)}
    with pytest.raises(ConflictError):
        registry.remove(names[0])
