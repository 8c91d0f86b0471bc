from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployments.cache import AnswerCache, Key, Kind, Round, key_of
from deployments.cursor import item_hashes
from deployments.question import Answer, Degradation, Question, SessionItem, ShownItem
from deployments.settings import CacheSettings
from deployments.showcase import Showcase
from deployments.traffic import Route, Routed
from recsys.pipeline.filters import Filters
from recsys.state.store import EMPTY, UserState

question = partial(replace, Question(request_id="r", now_s=0.0, user_id="ada"))
KNOWN = UserState(("i1",), np.array([1.0]), frozenset({"i1"}), None, None, b"v1")
BASE = Key(
    Kind.UNCHANGED, "ada", b"v1", "b", "stable", 10, 0, None, 0.0,
    explain=False, exclude_ids=(), session=(), shown=b"",
)  # fmt: skip


def item(item_id: str = "i1") -> ShownItem:
    return ShownItem(item_id, 1.0, 1, "svd")


def answer(*item_ids: str, degraded: tuple[Degradation, ...] = ()) -> Answer:
    return Answer("r", [item(item_id) for item_id in item_ids], "stable", "b", "c", list(degraded))


@dataclass
class Clock:
    now_s: float = 0.0

    def __call__(self) -> float:
        return self.now_s


def made(**settings: float) -> tuple[AnswerCache, Clock]:
    clock = Clock()
    return AnswerCache(CacheSettings.model_validate(settings), clock), clock


def keyed(**changed: object) -> Key:
    return BASE._replace(**changed)  # type: ignore[arg-type]  # any field


def test_a_list_is_found_until_it_is_too_old_counted_from_before_its_state_was_read() -> None:
    cache, clock = made(ttl_s=10.0)
    clock.now_s = 3.0
    cache.put(BASE, answer("i1"), as_of_s=1.0)
    clock.now_s = 10.9
    found = cache.get(BASE)
    assert found is not None
    assert [item.item_id for item in found.items] == ["i1"]
    clock.now_s = 11.0
    assert cache.get(BASE) is None


def test_what_is_too_old_leaves_memory() -> None:
    cache, clock = made(ttl_s=10.0)
    cache.put(BASE, answer("i1"), as_of_s=0.0)
    cache.put(keyed(top_n=3), answer("i1"), as_of_s=5.0)
    clock.now_s = 10.0
    cache.expire()
    assert cache.n_entries == 1
    clock.now_s = 15.0
    cache.expire()
    assert (cache.n_entries, cache.n_bytes) == (0, 0)


def test_a_newer_list_outlives_the_one_that_it_replaced() -> None:
    cache, clock = made(ttl_s=10.0)
    cache.put(BASE, answer("i1"), as_of_s=0.0)
    cache.put(BASE, answer("i2"), as_of_s=5.0)
    clock.now_s = 10.0
    cache.expire()
    found = cache.get(BASE)
    assert found is not None
    assert found.items[0].item_id == "i2"


def test_the_list_used_longest_ago_makes_room() -> None:
    cache, _ = made(max_entries=2)
    first, second, third = keyed(top_n=1), keyed(top_n=2), keyed(top_n=3)
    cache.put(first, answer("i1"), 0.0)
    cache.put(second, answer("i1"), 0.0)
    assert cache.get(first) is not None
    cache.put(third, answer("i1"), 0.0)
    assert [cache.get(key) is not None for key in (first, second, third)] == [True, False, True]


operations = st.lists(
    st.tuples(
        st.sampled_from(["put", "get", "forget", "wait"]),
        st.sampled_from(["ada", "bob", None]),
        st.integers(1, 4),
        st.integers(0, 30),
    ),
    max_size=60,
)


@given(operations)
def test_it_never_holds_more_than_it_may_and_never_gives_what_is_old_or_forgotten(
    steps: list[tuple[str, str | None, int, int]],
) -> None:
    cache, clock = made(max_entries=4, max_bytes=12_000, ttl_s=10.0)
    put_at_s: dict[Key, float] = {}
    for step, user_id, top_n, size in steps:
        key = keyed(user_id=user_id, top_n=top_n)
        if step == "put":
            cache.put(key, answer(*[f"i{number}" for number in range(size)]), clock.now_s)
            put_at_s[key] = clock.now_s
        elif step == "forget" and user_id is not None:
            cache.forget(user_id)
            put_at_s = {key: at_s for key, at_s in put_at_s.items() if key.user_id != user_id}
        elif step == "wait":
            clock.now_s += size / 5
        elif cache.get(key) is not None:
            assert clock.now_s - put_at_s[key] < 10.0
        assert cache.n_entries <= 4
        assert 0 <= cache.n_bytes <= 12_000
    clock.now_s += 11.0
    cache.expire()
    assert (cache.n_entries, cache.n_bytes) == (0, 0)


def test_a_list_larger_than_all_room_is_not_kept() -> None:
    cache, _ = made(max_bytes=2_000)
    cache.put(BASE, answer(*[f"i{number}" for number in range(100)]), 0.0)
    assert cache.n_entries == 0


def test_what_clients_make_long_is_counted() -> None:
    sizes = []
    for key in (
        BASE,
        keyed(exclude_ids=("x" * 250,) * 1_000),
        keyed(filters=Filters(tags_any=("y" * 10_000,) * 100)),
        keyed(session=(SessionItem("z" * 250),) * 200),
    ):
        cache, _ = made()
        cache.put(key, answer("i1"), 0.0)
        sizes.append(cache.n_bytes)
    assert sizes[0] < 4_000
    assert sizes[1] > 250_000
    assert sizes[2] > 1_000_000
    assert sizes[3] > 50_000


def test_a_forgotten_user_has_no_list_left_nor_gets_one_that_was_on_its_way() -> None:
    cache, clock = made()
    other = keyed(user_id="bob")
    cache.put(BASE, answer("i1"), 0.0)
    cache.put(other, answer("i1"), 0.0)
    clock.now_s = 2.0
    cache.forget("ada")
    cache.put(BASE, answer("i1"), as_of_s=1.0)
    assert cache.get(BASE) is None
    assert cache.get(other) is not None
    clock.now_s = 3.0
    cache.put(BASE, answer("i1"), as_of_s=3.0)
    assert cache.get(BASE) is not None


def test_a_cache_that_is_off_keeps_nothing() -> None:
    cache, _ = made(enabled=False)
    cache.put(BASE, answer("i1"), 0.0)
    assert cache.n_entries == 0


def key(showcase: Showcase, asked: Question, state: UserState = KNOWN, *, arm: str = "stable") -> Key | None:
    return key_of(asked, state, kind=None, arm=arm, showcase=showcase)


@pytest.mark.parametrize(
    "asked",
    [
        question(user_id="bob"),
        question(top_n=11),
        question(context="home"),
        question(filters=Filters(tags_any=("even",))),
        question(variety=0.5),
        question(explain=True),
        question(exclude_ids=("i2",)),
        question(session=(SessionItem("i2"),)),
        question(session=(SessionItem("i2", positive=False),)),
        question(session=(SessionItem("i2", time_s=1.0),)),
        question(shown=item_hashes(["i2"])),
    ],
    ids=str,
)
def test_whatever_changes_the_answer_changes_the_key(showcase: Showcase, asked: Question) -> None:
    plain = key(showcase, question())
    changed = key(showcase, asked)
    assert plain is not None
    assert changed is not None
    assert plain != changed


def test_state_arm_and_bundle_change_the_key(showcase: Showcase) -> None:
    keys = [
        key(showcase, question()),
        key(showcase, question(), replace(KNOWN, version=b"v2")),
        key(showcase, question(), arm="canary"),
        key(replace(showcase, bundle="c" * 16), question()),
    ]
    assert None not in keys
    assert len(set(keys)) == 4


def test_the_request_itself_is_no_part_of_the_key(showcase: Showcase) -> None:
    asked = question(request_id="s", now_s=9.0, context="a context that no bundle knows")
    assert key(showcase, asked) == key(showcase, question())


def test_all_of_whom_nothing_is_known_share_one_key(showcase: Showcase) -> None:
    met_nothing = UserState((), np.zeros(0), frozenset(), 5.0, None, b"erased")
    keys = [
        key(showcase, question(user_id=None), EMPTY),
        key(showcase, question(user_id="ada"), EMPTY),
        key(showcase, question(user_id="bob"), met_nothing),
    ]
    assert keys[0] is not None
    assert keys[0].user_id is None
    assert keys[0] == keys[1] == keys[2]


@pytest.mark.parametrize(
    "brought",
    [
        {"session": (SessionItem("i2"),)},
        {"exclude_ids": ("i2",)},
        {"shown": item_hashes(["i2"])},
    ],
    ids=str,
)
def test_who_brings_something_along_shares_with_nobody(
    showcase: Showcase, brought: dict[str, object]
) -> None:
    ada, bob = (key(showcase, replace(question(user_id=who), **brought), EMPTY) for who in ("ada", "bob"))  # type: ignore[arg-type]  # fields
    assert ada is not None
    assert ada != bob
    assert key(showcase, replace(question(user_id=None), **brought), EMPTY) is None  # type: ignore[arg-type]  # fields


def test_a_state_that_cannot_tell_when_it_changes_is_not_cached(showcase: Showcase) -> None:
    assert key(showcase, question(), replace(KNOWN, version=b"")) is None


def test_a_popular_list_is_everybodys(showcase: Showcase) -> None:
    found = key_of(question(), KNOWN, kind=Kind.POPULAR, arm="stable", showcase=showcase)
    assert found is not None
    assert (found.user_id, found.state_version) == (None, b"")


@pytest.fixture
def rounds(showcase: Showcase) -> Callable[..., Round]:
    def make(cache: AnswerCache, *keys: Key | None, route: Route | None = None) -> Round:
        route = route or Route("stable", "blue", showcase)
        asked = [Routed(question(request_id=f"{place}"), route) for place in range(len(keys))]
        return Round(cache, asked, keys, as_of_s=cache.now_s())

    return make


def test_an_answer_from_the_cache_says_how_its_asker_came_to_the_arm(
    showcase: Showcase, rounds: Callable[..., Round]
) -> None:
    cache, _ = made()
    cache.put(BASE, answer("i1"), 0.0)
    asked = Route("stable", "blue", showcase, override=True, experiments={"length": "short"})
    [found] = rounds(cache, BASE, route=asked).complete()
    assert (found.cached, found.override, found.experiments) == (True, True, {"length": "short"})


def test_the_same_question_twice_in_a_batch_is_computed_once(rounds: Callable[..., Round]) -> None:
    cache, _ = made()
    batch = rounds(cache, BASE, keyed(top_n=3), BASE, None, None)
    assert batch.to_compute == [0, 1, 3, 4]
    for place in batch.to_compute:
        batch.answers[place] = answer(f"i{place}")
    complete = batch.complete()
    assert [found.items[0].item_id for found in complete] == ["i0", "i1", "i0", "i3", "i4"]
    assert [found.cached for found in complete] == [False, False, True, False, False]
    assert complete[2].request_id == "2"
    assert rounds(cache, BASE, None).to_compute == [1]


def test_what_is_degraded_is_shared_in_its_batch_says_so_and_is_not_kept(
    rounds: Callable[..., Round],
) -> None:
    cache, _ = made()
    batch = rounds(cache, BASE, BASE)
    missing = Degradation("recall", "deadline")
    batch.answers[0] = answer("i0", degraded=(missing,))
    assert [found.degraded for found in batch.complete()] == [[missing], [missing]]
    assert rounds(cache, BASE).to_compute == [0]


def test_each_answer_has_a_list_of_what_is_missing_of_its_own(rounds: Callable[..., Round]) -> None:
    cache, _ = made()
    first = rounds(cache, BASE)
    first.answers[0] = answer("i0")
    [computed] = first.complete()
    [one] = rounds(cache, BASE).complete()
    computed.degraded.append(Degradation("item", "unknown"))
    one.degraded.append(Degradation("item", "unknown"))
    assert rounds(cache, BASE).complete()[0].degraded == []
