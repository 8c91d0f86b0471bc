import multiprocessing
from collections.abc import Callable
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

import pytest

from recsys.core.errors import (
    ConflictError,
    CorruptBundleError,
    DataFormatError,
    FieldError,
    NotFoundError,
)
from recsys.registry.bundle import BundleWriter
from recsys.registry.local import LocalRegistry
from recsys.registry.reader import open_bundle
from recsys.registry.store import Registry

N_PROCESSES = 4
N_WINS_EACH = 10


def titled(*titles: str) -> Callable[[BundleWriter], None]:
    def fill(writer: BundleWriter) -> None:
        writer.json("titles", titles)

    return fill


def publish(registry: Registry, *titles: str, created_s: float = 0.0) -> str:
    return registry.publish(titled(*titles), feature_schema="f1", created_s=created_s, meta={}).name


@pytest.fixture
def registry(tmp_path: Path) -> LocalRegistry:
    return LocalRegistry(tmp_path / "registry")


def test_what_was_published_is_found_by_name_prefix_and_channel(registry: LocalRegistry) -> None:
    name = publish(registry, "Heat")
    registry.promote(name, "stable", expected=None, by="ada", now_s=0.0)
    for ref in (name, name[:4], "stable"):
        assert registry.resolve(ref) == name
        assert open_bundle(registry.get(ref), feature_schema="f1").json("titles") == ["Heat"]


def test_a_prefix_of_several_bundles_is_refused_with_their_names(registry: LocalRegistry) -> None:
    names = [publish(registry, str(n)) for n in range(17)]  # 17 names, 16 first digits
    first_digits = [name[0] for name in names]
    shared = next(digit for digit in first_digits if first_digits.count(digit) > 1)
    with pytest.raises(FieldError) as refused:
        registry.resolve(shared)
    assert all(name in str(refused.value) for name in names if name[0] == shared)


@pytest.mark.parametrize("ref", ["", "zz", "stable", "../bundles"])
def test_a_ref_that_names_nothing_is_refused(registry: LocalRegistry, ref: str) -> None:
    publish(registry, "Heat")
    with pytest.raises(NotFoundError):
        registry.get(ref)


def test_the_newest_bundle_is_listed_first_and_a_broken_one_last(registry: LocalRegistry) -> None:
    old = publish(registry, "Heat", created_s=1.0)
    new = publish(registry, "Alien", created_s=2.0)
    broken = publish(registry, "Brazil", created_s=3.0)
    (registry.get(broken) / "manifest.json").unlink()
    listed = registry.list()
    assert [info.name for info in listed] == [new, old, broken]
    assert [info.fault for info in listed] == [None, None, f"bundle {broken}: manifest.json: missing"]


def test_a_bundle_under_the_name_of_another_is_refused(registry: LocalRegistry) -> None:
    heat, alien = publish(registry, "Heat"), publish(registry, "Alien")
    held = registry.get(alien)
    (held / "titles.json").unlink()
    (held / "manifest.json").write_bytes((registry.get(heat) / "manifest.json").read_bytes())
    with pytest.raises(CorruptBundleError, match=f"bundle {alien}: manifest.json: belongs to bundle {heat}"):
        registry.get(alien)


def test_a_registry_that_does_not_exist_is_empty_and_stays_away(registry: LocalRegistry) -> None:
    assert registry.list() == []
    assert registry.channels().version == 0
    with pytest.raises(NotFoundError):
        registry.resolve("stable")
    assert not registry.root.exists()


def test_channels_survive_in_the_folder(registry: LocalRegistry) -> None:
    heat, alien = publish(registry, "Heat"), publish(registry, "Alien")
    registry.promote(heat, "stable", expected=None, by="ada", now_s=1.0)
    registry.promote(alien[:6], "stable", expected=heat, by="bob", now_s=2.0)
    after = registry.rollback(expected=alien, by="ada", now_s=3.0)
    assert LocalRegistry(registry.root).channels() == after
    assert (after.version, after.stable, after.previous) == (3, heat, alien)
    assert [(move.by, move.at_s) for move in after.moves if move.channel == "stable"] == [
        ("ada", 1.0),
        ("bob", 2.0),
        ("ada", 3.0),
    ]


def test_a_bundle_that_does_not_exist_is_not_promoted(registry: LocalRegistry) -> None:
    with pytest.raises(NotFoundError):
        registry.promote("0" * 16, "stable", expected=None, by="ada", now_s=0.0)
    assert registry.channels().version == 0


def test_no_rollback_to_a_bundle_that_is_gone(registry: LocalRegistry) -> None:
    heat, alien = publish(registry, "Heat"), publish(registry, "Alien")
    registry.promote(heat, "stable", expected=None, by="ada", now_s=0.0)
    before = registry.promote(alien, "stable", expected=heat, by="ada", now_s=0.0)
    registry.get(heat).rename(registry.root / "elsewhere")
    with pytest.raises(NotFoundError, match=heat):
        registry.rollback(expected=alien, by="ada", now_s=0.0)
    assert registry.channels() == before


@pytest.mark.parametrize("content", ["", "{", '{"version": -1}', '{"stabel": null}', '{"stable": "../x"}'])
def test_channels_changed_by_hand_are_refused(registry: LocalRegistry, content: str) -> None:
    publish(registry, "Heat")
    (registry.root / "channels.json").write_text(content)
    with pytest.raises(DataFormatError, match=r"channels\.json: looked for the channels of a registry"):
        registry.channels()


def win_promotions(root: Path, bundles: tuple[str, str]) -> None:
    """Promote whatever is not stable until it has worked often enough."""
    registry, n_won = LocalRegistry(root), 0
    while n_won < N_WINS_EACH:
        found = registry.channels().stable
        other = bundles[found == bundles[0]]
        with suppress(ConflictError):
            registry.promote(other, "stable", expected=found, by="ada", now_s=0.0)
            n_won += 1


def test_of_many_processes_exactly_one_makes_each_version(registry: LocalRegistry) -> None:
    bundles = publish(registry, "Heat"), publish(registry, "Alien")
    with multiprocessing.get_context("spawn").Pool(N_PROCESSES) as pool:
        pool.starmap(win_promotions, [(registry.root, bundles)] * N_PROCESSES)
    channels = registry.channels()
    assert channels.version == N_PROCESSES * N_WINS_EACH
    stable_moves = [move for move in channels.moves if move.channel == "stable"]
    assert [move.version for move in stable_moves] == list(range(1, channels.version + 1))
    assert all(later.from_bundle == sooner.to_bundle for sooner, later in pairwise(stable_moves))
