"""How a lane follows the traffic document, with real bundles in a real registry."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from deployments.lane import BundleHolder, Following, Overlaying
from recsys.core.errors import UnavailableError
from recsys.overlay.change import ItemChange
from recsys.overlay.overlay import NOTHING, Overlay, put_into
from recsys.registry.bundle import BundleReader, BundleWriter
from recsys.registry.local import LocalRegistry
from recsys.registry.reader import open_bundle
from recsys.rollout.traffic import first_document
from recsys.rollout.traffic_file import FileTrafficStore

SCHEMA = "schema-1"


@dataclass
class FakeClock:
    now_s: float = 0.0

    def __call__(self) -> float:
        return self.now_s


@dataclass
class Lane:
    """A lane, the registry it loads from and the document it follows."""

    registry: LocalRegistry
    traffic: FileTrafficStore
    clock: FakeClock
    holder: BundleHolder[str]
    version: int = 0

    def publish(self, words: str, *, schema: str = SCHEMA) -> str:
        def fill(writer: BundleWriter) -> None:
            writer.json("words", words)

        return self.registry.publish(fill, feature_schema=schema, created_s=0.0, meta={}).name

    def want(self, bundle: str) -> None:
        """Let the document name a bundle for lane blue, and let the lane look at it."""
        if self.version == 0:
            document = first_document(bundle, salt="s", updated_s=0.0)
        else:
            lanes = {"blue": bundle, "green": None}
            document = self.traffic.read().successor(updated_s=0.0, updated_by="", lanes=lanes)
        self.traffic.swap(document, expected_version=self.version)
        self.version += 1
        self.holder.refresh()


@pytest.fixture
def lane(tmp_path: Path) -> Lane:
    registry = LocalRegistry(tmp_path / "registry")
    traffic = FileTrafficStore(tmp_path / "traffic.json")
    clock = FakeClock()

    def read(reader: BundleReader) -> str:
        words: str = reader.json("words")
        return words

    holder = BundleHolder(
        "blue",
        read,
        open_bundle=lambda bundle: open_bundle(registry.get(bundle), feature_schema=SCHEMA),
        traffic=traffic,
        clock=clock,
        retry_refused_s=30.0,
    )
    return Lane(registry, traffic, clock, holder)


def flip_a_byte(folder: Path) -> None:
    path = folder / "words.json"
    data = path.read_bytes()
    path.chmod(0o644)
    path.write_bytes(data[:-2] + bytes([data[-2] ^ 1]) + data[-1:])


def remove_a_file(folder: Path) -> None:
    (folder / "words.json").unlink()


def test_a_lane_holds_nothing_while_there_is_no_document_and_nothing_while_it_is_idle(lane: Lane) -> None:
    lane.holder.refresh()
    assert lane.holder.holding().loaded == ()
    idle = BundleHolder(
        "green",
        lambda _: "never",
        open_bundle=lambda bundle: open_bundle(lane.registry.get(bundle), feature_schema=SCHEMA),
        traffic=lane.traffic,
        clock=lane.clock,
        retry_refused_s=30.0,
    )
    lane.want(lane.publish("one"))
    idle.refresh()
    assert (idle.holding().wanted, idle.holding().loaded) == (None, ())


def test_a_lane_loads_what_the_document_names_and_keeps_what_was_before(lane: Lane) -> None:
    one, two, three = (lane.publish(words) for words in ("one", "two", "three"))
    lane.want(one)
    assert lane.holder.get(one) == "one"
    lane.want(two)
    assert (lane.holder.get(one), lane.holder.get(two)) == ("one", "two")
    lane.want(three)
    assert lane.holder.holding().loaded == (two, three)
    with pytest.raises(UnavailableError, match="not loaded"):
        lane.holder.get(one)


def test_a_bundle_that_somebody_still_asks_for_is_loaded_again(lane: Lane) -> None:
    one, two, three = (lane.publish(words) for words in ("one", "two", "three"))
    for bundle in (one, two, three):
        lane.want(bundle)
    with pytest.raises(UnavailableError):
        lane.holder.get(one)
    lane.holder.refresh()
    assert lane.holder.get(one) == "one"
    assert lane.holder.get(three) == "three"


@pytest.mark.parametrize(
    ("harm", "why"), [(flip_a_byte, "differs from its digest"), (remove_a_file, "missing")]
)
def test_a_corrupt_bundle_is_refused_by_name_and_the_lane_keeps_what_it_had(
    lane: Lane, harm: Callable[[Path], None], why: str
) -> None:
    good, bad = lane.publish("good"), lane.publish("bad")
    harm(lane.registry.get(bad))
    lane.want(good)
    lane.want(bad)
    holding = lane.holder.holding()
    assert (holding.wanted, holding.loaded) == (bad, (good,))
    assert bad in holding.refused[bad]
    assert "words.json" in holding.refused[bad]
    assert why in holding.refused[bad]


def test_a_bundle_with_features_of_another_version_is_refused(lane: Lane) -> None:
    other = lane.publish("other", schema="schema-2")
    lane.want(other)
    assert "schema-2" in lane.holder.holding().refused[other]


def test_a_bundle_that_is_not_in_the_registry_is_refused_by_name(lane: Lane) -> None:
    lane.want("f" * 16)
    assert "f" * 16 in lane.holder.holding().refused["f" * 16]


def test_a_bundle_whose_stage_breaks_when_it_is_tried_is_refused(lane: Lane) -> None:
    """A stage answers once while it is loaded; the thread that loads must outlive whatever it raises."""

    def broken(reader: BundleReader) -> str:
        raise IndexError(f"item row 7 of {reader.name} is out of range")

    holder = BundleHolder(
        "blue",
        broken,
        open_bundle=lambda bundle: open_bundle(lane.registry.get(bundle), feature_schema=SCHEMA),
        traffic=lane.traffic,
        clock=lane.clock,
        retry_refused_s=30.0,
    )
    lane.want(bundle := lane.publish("fine"))
    holder.refresh()
    assert "row 7" in holder.holding().refused[bundle]


def test_a_refused_bundle_is_looked_at_again_only_after_a_while(lane: Lane) -> None:
    bad = lane.publish("bad")
    words = lane.registry.get(bad) / "words.json"
    sound = words.read_bytes()
    flip_a_byte(lane.registry.get(bad))
    lane.want(bad)
    words.write_bytes(sound)
    lane.clock.now_s = 29.0
    lane.holder.refresh()
    assert lane.holder.holding().loaded == ()
    lane.clock.now_s = 30.0
    lane.holder.refresh()
    assert (lane.holder.get(bad), lane.holder.holding().refused) == ("bad", {})


def test_a_lane_says_which_process_it_is(lane: Lane) -> None:
    assert lane.holder.holding().pid == os.getpid()


def test_a_follower_looks_before_it_returns_and_then_again(lane: Lane) -> None:
    one = lane.publish("one")
    lane.want(one)
    with Following([lane.holder], poll_s=0.01):
        assert lane.holder.get(one) == "one"


def test_a_document_that_cannot_be_read_is_reported_once_until_it_could(
    lane: Lane, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(3):
        lane.holder.refresh()
    said = [record.message for record in caplog.records]
    assert len(said) == 1
    assert said[0].startswith("lane blue keeps what it has: no traffic document named")


@dataclass
class Followed:
    """An overlay that a test says, and a lane that shouts as often as the overlay holds items."""

    now: Overlay = NOTHING

    def shouting(self, reader: BundleReader, words: str, overlay: Overlay) -> str:
        if "poison" in overlay.items or f"poison of {words}" in overlay.items:
            raise ValueError("cannot be applied")
        return words + "!" * len(overlay.items)


@pytest.fixture
def followed(lane: Lane) -> Followed:
    """Let the lane follow an overlay."""
    one = Followed()
    lane.holder._overlaying = Overlaying(lambda: one.now, one.shouting)
    return one


def overlay_of(*item_ids: str, before: Overlay = NOTHING) -> Overlay:
    changes = [ItemChange(item_id=item_id, since_s=1.0) for item_id in item_ids]
    return put_into(before, changes, [0.0] * len(changes), 10)[0]


def test_a_lane_follows_the_catalogue_with_what_it_holds_and_what_it_loads_later(
    lane: Lane, followed: Followed
) -> None:
    first, second = lane.publish("one"), lane.publish("two")
    lane.want(first)
    assert (lane.holder.get(first), lane.holder.holding().overlay) == ("one", 0)
    followed.now = overlay_of("a")
    lane.holder.refresh()
    assert (lane.holder.get(first), lane.holder.holding().overlay) == ("one!", 1)
    lane.want(second)
    assert [lane.holder.get(bundle) for bundle in (first, second)] == ["one!", "two!"]
    followed.now = overlay_of("b", before=followed.now)
    lane.holder.refresh()
    assert [lane.holder.get(bundle) for bundle in (first, second)] == ["one!!", "two!!"]


def test_a_catalogue_that_cannot_be_applied_leaves_the_one_before_and_refuses_no_bundle(
    lane: Lane, followed: Followed
) -> None:
    first, second = lane.publish("one"), lane.publish("two")
    lane.want(first)
    followed.now = overlay_of("a")
    lane.holder.refresh()
    followed.now = overlay_of("poison", before=followed.now)
    lane.want(second)
    assert [lane.holder.get(bundle) for bundle in (first, second)] == ["one!", "two!"]
    assert lane.holder.holding().overlay == 1
    assert lane.holder.holding().refused == {}


def test_what_an_idle_lane_loads_at_last_follows_what_the_catalogue_became_meanwhile(
    lane: Lane, followed: Followed
) -> None:
    followed.now = overlay_of("a")
    lane.holder.refresh()
    bundle = lane.publish("one")
    lane.want(bundle)
    assert (lane.holder.get(bundle), lane.holder.holding().overlay) == ("one!", 1)


def test_a_bundle_that_cannot_follow_the_catalogue_holds_no_other_back_and_is_not_told_as_following(
    lane: Lane, followed: Followed
) -> None:
    first, second = lane.publish("one"), lane.publish("two")
    lane.want(first)
    followed.now = overlay_of("poison of two")
    lane.holder.refresh()
    assert lane.holder.holding().overlay == 1
    lane.want(second)
    assert [lane.holder.get(bundle) for bundle in (first, second)] == ["one!", "two"]
    assert lane.holder.holding().overlay == 0
    followed.now = overlay_of("a", before=followed.now)
    lane.holder.refresh()
    assert [lane.holder.get(bundle) for bundle in (first, second)] == ["one!!", "two"]
    assert lane.holder.holding().overlay == 0
    assert lane.holder.holding().refused == {}
