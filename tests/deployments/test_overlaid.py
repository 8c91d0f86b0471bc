"""A router whose catalogue changes while it answers."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Protocol

import numpy as np
import pytest

from deployments.cache import AnswerCache
from deployments.lane import Holding
from deployments.overlaid import CatalogueFollower, Effects, showcase_by
from deployments.question import Answer, Question
from deployments.service import Service
from deployments.settings import CacheSettings
from deployments.showcase import Showcase
from recsys.core.clock import monotonic_clock
from recsys.core.errors import UnavailableError
from recsys.overlay.change import ItemChange
from recsys.overlay.follower import OverlayFollower
from recsys.overlay.overlay import NOTHING, Overlay, put_into
from recsys.overlay.sqlite import SqliteOverlay
from recsys.registry.bundle import BundleReader

question = partial(replace, Question(request_id="r", now_s=1_000_000.0, top_n=3))


class Holder(Protocol):
    def refresh(self) -> None: ...


class Replica(Protocol):
    service: Service
    holders: list[Holder]


def told(*changes: ItemChange, before: Overlay = NOTHING) -> Overlay:
    stamped = [one.model_copy(update={"since_s": before.version + 1.0}) for one in changes]
    return put_into(before, stamped, [10.0] * len(stamped), 10)[0]


def by(showcase: Showcase, overlay: Overlay) -> Showcase:
    reader: BundleReader = None  # type: ignore[assignment]  # the router needs nothing more of the bundle
    return showcase_by(reader, showcase, overlay)


@pytest.fixture
def gone(showcase: Showcase) -> Showcase:
    """Return the showcase once the most popular item is gone."""
    return by(showcase, told(ItemChange(item_id="i3", available=False)))


def answered(replica: Replica, **fields: object) -> Answer:
    return asyncio.run(replica.service.router.answer(question(**fields)))


def ids(answer: Answer) -> list[str]:
    return [item.item_id for item in answer.items]


@pytest.mark.parametrize("recall", ["well", "down"])
def test_what_is_gone_is_in_no_list_though_recall_has_not_heard_of_it_yet(
    replica_of: Callable[..., Replica], gone: Showcase, showcase: Showcase, recall: str
) -> None:
    replica = replica_of(recall=recall)
    service = replica.service
    assert service.traffic.in_force is not None
    before = ids(answered(replica, top_n=8))
    lanes = {"blue": gone}
    object.__setattr__(service.traffic.in_force, "lanes", lanes)
    after = ids(answered(replica, top_n=8))
    assert "i3" in before or recall == "well"
    assert "i3" not in after
    assert len(after) == 8
    assert "i3" not in [item.item_id for item in service.router.popular(question(top_n=8)).items]


def test_a_list_that_was_cached_before_the_catalogue_changed_is_not_given_again(
    replica_of: Callable[..., Replica], gone: Showcase
) -> None:
    replica = replica_of(cache=AnswerCache(CacheSettings(), monotonic_clock))
    assert ids(replica.service.router.popular(question()))[0] == "i3"
    assert replica.service.router.popular(question()).cached
    assert replica.service.traffic.in_force is not None
    object.__setattr__(replica.service.traffic.in_force, "lanes", {"blue": gone})
    after = replica.service.router.popular(question())
    assert (ids(after)[0], after.cached) == ("i1", False)


def test_nothing_is_made_anew_when_the_bundle_says_the_same(showcase: Showcase) -> None:
    assert by(showcase, told(ItemChange(item_id="unheard-of", available=False))) is showcase


def test_a_cursor_remembers_items_that_came_late(showcase: Showcase) -> None:
    made = by(showcase, told(ItemChange(item_id="late")))
    row = made.catalogue.items.row("late")
    assert row == 12
    shown = np.frombuffer(made.packed_hash(row) + bytes(3), dtype="<u8")
    assert made.rows_of_hashes(shown).tolist() == [row]


def test_the_first_change_counts_at_once_and_those_that_follow_are_gathered(tmp_path: Path) -> None:
    class Clock:
        now_s = 0.0

        def __call__(self) -> float:
            return self.now_s

    clock = Clock()
    with SqliteOverlay(tmp_path / "o.db") as store:
        follower = CatalogueFollower(OverlayFollower(lambda: store, clock), 5.0, clock)

        def change(since_s: float) -> int:
            store.put([ItemChange(item_id="a", since_s=since_s)], [0.0])
            follower.refresh()
            return follower.in_force.version

        assert change(1.0) == 1
        clock.now_s = 1.0
        assert change(2.0) == 1
        clock.now_s = 4.9
        assert change(3.0) == 1
        clock.now_s = 5.0
        follower.refresh()
        assert follower.in_force.version == 3


def test_while_the_overlay_cannot_be_read_what_was_known_stays() -> None:
    def opened() -> SqliteOverlay:
        raise UnavailableError("catalogue overlay", "not there")

    follower = OverlayFollower(opened, lambda: 7.0)
    assert follower.refresh() is NOTHING
    assert follower.read_s is None


def test_an_effect_is_measured_once_when_the_last_process_follows() -> None:
    observed: list[float] = []
    effects = Effects(lambda: 12.0, observed.append)
    overlay = told(ItemChange(item_id="a"), ItemChange(item_id="b"))
    later = told(ItemChange(item_id="a"), before=overlay)
    holdings = {version: Holding("blue", None, (), {}, 1, overlay=version) for version in range(3)}
    effects.look(NOTHING, [holdings[0], holdings[0]])
    effects.look(overlay, [holdings[1], holdings[0]])
    assert observed == []
    effects.look(overlay, [holdings[1], holdings[1]])
    assert observed == [2.0, 2.0]
    effects.look(later, [holdings[2], holdings[0]])  # one that has just started
    effects.look(later, [holdings[2], holdings[2]])
    effects.look(later, [holdings[2], holdings[2]])
    assert observed == [2.0, 2.0, 2.0]
