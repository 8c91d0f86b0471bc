"""What every registry must do: in a folder, and in a bucket of S3 (moto's server, started here)."""

import multiprocessing
import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import obstore
import pytest
from obstore.store import from_url

from recsys.core.errors import ConflictError, CorruptBundleError, DataFormatError, FieldError, NotFoundError
from recsys.registry.bundle import BundleWriter
from recsys.registry.open import open_registry
from recsys.registry.reader import open_bundle
from recsys.registry.store import Registry

N_PROCESSES = 3
N_WINS_EACH = 5


@dataclass
class Place:
    """Where a registry lies, and a way past it."""

    address: str
    cache: Path
    write: Callable[[str, bytes], None]  # path, content
    read: Callable[[str], bytes]

    def open(self, cache: str = "a") -> Registry:
        """Open it as another machine would, if ``cache`` is another."""
        return open_registry(self.address, cache=self.cache / cache)


def folder(root: Path) -> Place:
    def write(path: str, content: bytes) -> None:
        (root / path).write_bytes(content)

    return Place(str(root), root.with_name("unused"), write, lambda path: (root / path).read_bytes())


def bucket(address: str, cache: Path) -> Place:
    store = from_url(address, client_options={"allow_http": True})

    def write(path: str, content: bytes) -> None:
        obstore.put(store, path, content)

    return Place(address, cache, write, lambda path: bytes(obstore.get(store, path).bytes()))


@pytest.fixture(params=["folder", "bucket"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    if request.param == "folder":
        return folder(tmp_path / "registry")
    return bucket(f"{request.getfixturevalue('bucket_address')}/registry", tmp_path)


@pytest.fixture
def registry(place: Place) -> Registry:
    return place.open()


def titled(*titles: str) -> Callable[[BundleWriter], None]:
    def fill(writer: BundleWriter) -> None:
        writer.json("titles", titles)
        writer.array("deep/numbers", np.arange(1_000_000.0))  # 8 MB: more than one part of an upload

    return fill


def small(*titles: str) -> Callable[[BundleWriter], None]:
    return lambda writer: writer.json("titles", titles)


def publish(registry: Registry, *titles: str, created_s: float = 0.0) -> str:
    return registry.publish(small(*titles), feature_schema="f1", created_s=created_s, meta={}).name


def test_what_was_published_is_found_by_name_prefix_and_channel(place: Place, registry: Registry) -> None:
    name = registry.publish(titled("Heat"), feature_schema="f1", created_s=0.0, meta={}).name
    registry.promote(name, "stable", expected=None, by="ada", now_s=0.0)
    elsewhere = place.open("b")
    for ref in (name, name[:4], "stable"):
        assert elsewhere.resolve(ref) == name
        opened = open_bundle(elsewhere.get(ref), feature_schema="f1")
        assert opened.json("titles") == ["Heat"]
        assert opened.array("deep/numbers").sum() == 999_999 * 1_000_000 / 2


def test_equal_content_is_one_bundle(place: Place, registry: Registry) -> None:
    first = registry.publish(small("Heat"), feature_schema="f1", created_s=1.0, meta={})
    again = place.open("b").publish(small("Heat"), feature_schema="f1", created_s=2.0, meta={})
    assert (first.name, first.is_new, again.is_new) == (again.name, True, False)
    assert [info.name for info in registry.list()] == [first.name]


def test_a_prefix_of_several_bundles_is_refused_with_their_names(registry: Registry) -> None:
    names = [publish(registry, str(n)) for n in range(17)]  # 17 names, 16 first digits
    first_digits = [name[0] for name in names]
    shared = next(digit for digit in first_digits if first_digits.count(digit) > 1)
    with pytest.raises(FieldError) as refused:
        registry.resolve(shared)
    assert all(name in str(refused.value) for name in names if name[0] == shared)


@pytest.mark.parametrize("ref", ["", "zz", "stable", "../bundles"])
def test_a_ref_that_names_nothing_is_refused(registry: Registry, ref: str) -> None:
    publish(registry, "Heat")
    with pytest.raises(NotFoundError):
        registry.get(ref)


def test_the_newest_bundle_is_listed_first_and_a_broken_one_last(place: Place, registry: Registry) -> None:
    old = publish(registry, "Heat", created_s=1.0)
    new = publish(registry, "Alien", created_s=2.0)
    broken = publish(registry, "Brazil", created_s=3.0)
    place.write(f"bundles/{broken}/manifest.json", b"{")
    listed = registry.list()
    assert [info.name for info in listed] == [new, old, broken]
    assert [info.fault is None for info in listed] == [True, True, False]
    assert f"bundle {broken}: manifest.json: not JSON" in str(listed[2].fault)


def test_a_bundle_under_the_name_of_another_is_refused(place: Place, registry: Registry) -> None:
    heat, alien = publish(registry, "Heat"), publish(registry, "Alien")
    place.write(f"bundles/{alien}/manifest.json", place.read(f"bundles/{heat}/manifest.json"))
    with pytest.raises(CorruptBundleError, match=f"bundle {alien}: manifest.json: belongs to bundle {heat}"):
        place.open("b").get(alien)


def test_a_bundle_that_is_removed_is_gone_and_the_others_stay(place: Place, registry: Registry) -> None:
    heat, alien = publish(registry, "Heat"), publish(registry, "Alien")
    opened = open_bundle(registry.get(heat), feature_schema="f1")
    assert registry.remove(heat[:8]) == heat
    assert [info.name for info in place.open("b").list()] == [alien]
    with pytest.raises(NotFoundError):
        registry.get(heat)
    with pytest.raises(NotFoundError):
        registry.remove(heat)
    assert opened.name == heat
    assert publish(registry, "Heat") == heat  # and it can come again
    assert registry.get(heat).is_dir()


def test_a_bundle_that_a_channel_names_is_not_removed(registry: Registry) -> None:
    heat = publish(registry, "Heat")
    registry.promote(heat, "candidate", expected=None, by="ada", now_s=0.0)
    with pytest.raises(ConflictError, match="candidate"):
        registry.remove("candidate")
    assert registry.resolve("candidate") == heat


def test_a_registry_in_which_nothing_was_written_is_empty(registry: Registry) -> None:
    assert registry.list() == []
    assert registry.channels().version == 0
    with pytest.raises(NotFoundError):
        registry.resolve("stable")


def test_channels_are_those_of_the_place_with_every_move(place: Place, registry: Registry) -> None:
    heat, alien = publish(registry, "Heat"), publish(registry, "Alien")
    registry.promote(heat, "stable", expected=None, by="ada", now_s=1.0)
    registry.promote(alien[:6], "stable", expected=heat, by="bob", now_s=2.0)
    after = registry.rollback(expected=alien, by="ada", now_s=3.0)
    assert place.open("b").channels() == after
    assert (after.version, after.stable, after.previous) == (3, heat, alien)
    assert [(move.by, move.at_s) for move in after.moves if move.channel == "stable"] == [
        ("ada", 1.0),
        ("bob", 2.0),
        ("ada", 3.0),
    ]


def test_who_has_seen_another_bundle_in_the_channel_does_not_move_it(registry: Registry) -> None:
    heat, alien = publish(registry, "Heat"), publish(registry, "Alien")
    before = registry.promote(heat, "stable", expected=None, by="ada", now_s=1.0)
    with pytest.raises(ConflictError):
        registry.promote(alien, "stable", expected=None, by="bob", now_s=2.0)
    with pytest.raises(ConflictError):
        registry.rollback(expected=alien, by="bob", now_s=2.0)
    assert registry.channels() == before


def test_a_bundle_that_does_not_exist_is_not_promoted(registry: Registry) -> None:
    with pytest.raises(NotFoundError):
        registry.promote("0" * 16, "stable", expected=None, by="ada", now_s=0.0)
    assert registry.channels().version == 0


@pytest.mark.parametrize("content", ["", "{", '{"version": -1}', '{"stabel": null}', '{"stable": "../x"}'])
def test_channels_changed_by_hand_are_refused(place: Place, registry: Registry, content: str) -> None:
    name = publish(registry, "Heat")
    place.write("channels.json", content.encode())
    with pytest.raises(DataFormatError, match=r"channels\.json: looked for the channels of a registry"):
        registry.channels()
    assert registry.resolve(name[:6]) == name  # who names a bundle does not need them


def win_promotions(address: str, cache: Path, bundles: tuple[str, str]) -> None:
    """Promote whatever is not stable until it has worked often enough."""
    registry, n_won = open_registry(address, cache=cache / str(os.getpid())), 0
    while n_won < N_WINS_EACH:
        found = registry.channels().stable
        other = bundles[found == bundles[0]]
        with suppress(ConflictError):
            registry.promote(other, "stable", expected=found, by="ada", now_s=0.0)
            n_won += 1


def test_of_many_processes_exactly_one_makes_each_version(place: Place, registry: Registry) -> None:
    bundles = publish(registry, "Heat"), publish(registry, "Alien")
    with multiprocessing.get_context("spawn").Pool(N_PROCESSES) as pool:
        pool.starmap(win_promotions, [(place.address, place.cache, bundles)] * N_PROCESSES)
    channels = registry.channels()
    assert channels.version == N_PROCESSES * N_WINS_EACH
    stable_moves = [move for move in channels.moves if move.channel == "stable"]
    assert [move.version for move in stable_moves] == list(range(1, channels.version + 1))
    assert all(later.from_bundle == sooner.to_bundle for sooner, later in pairwise(stable_moves))
