"""Exposures as messages, our own and what others may have sent."""

import math
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.eventlog.exposure import Exposure, chunk_of, frame_of
from recsys.streams.exposure_message import encode_exposure, read_exposure
from recsys.streams.message import Judgement, Message, PoisonError, Reason

NOW_S = 1_000_000.0
TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8)
CHANCE = st.floats(0.001, 1.0)


def of(value: bytes) -> Exposure:
    return read_exposure(Message(0, value), now_s=NOW_S, judgement=Judgement())


@st.composite
def exposures(draw: st.DrawFn) -> Exposure:
    item_ids = draw(st.lists(TEXT, max_size=4, unique=True))
    n = len(item_ids)
    return Exposure(
        request_id=draw(TEXT),
        served_at_s=draw(st.floats(0.0, NOW_S)),
        user_pseudonym=draw(st.none() | TEXT),
        arm=draw(TEXT),
        bundle=draw(TEXT),
        call=draw(st.sampled_from(["recommend", "popular"])),
        context=draw(st.none() | TEXT),
        n_shown_before=draw(st.integers(0, 100)),
        override=draw(st.booleans()),
        cached=draw(st.booleans()),
        degraded=draw(st.lists(TEXT, max_size=2)),
        item_ids=item_ids,
        scores=[0.5] * n,
        sources=draw(st.lists(TEXT, min_size=n, max_size=n)),
        propensities=draw(st.lists(CHANCE | st.just(math.nan), min_size=n, max_size=n)),
        session_pseudonym=draw(st.none() | TEXT),
        experiments=draw(st.lists(TEXT, max_size=2)),
        teams=draw(st.lists(TEXT, min_size=n, max_size=n)),
        explored_rank=draw(st.none() | st.integers(1, 4)),
        choices=draw(st.lists(TEXT, max_size=2)),
        chances=draw(st.lists(CHANCE, max_size=2)),
    )


@given(exposures())
def test_what_is_read_makes_the_row_that_was_written(exposure: Exposure) -> None:
    back = of(encode_exposure(exposure))
    assert frame_of([chunk_of([back])]).equals(frame_of([chunk_of([exposure])]))


GOOD: dict[str, Any] = {
    "request_id": "r1",
    "served_at_s": NOW_S,
    "user_pseudonym": None,
    "arm": "stable",
    "bundle": "b",
    "call": "recommend",
    "context": None,
    "n_shown_before": 0,
    "override": False,
    "cached": False,
    "degraded": [],
    "item_ids": ["a", "b"],
    "scores": [0.5, 0.25],
    "sources": ["svd", "tags"],
    "propensities": [1.0, None],
}


def test_fields_that_came_to_exposures_later_may_be_missing() -> None:
    exposure = of(orjson.dumps(GOOD))
    assert exposure.propensities[0] == 1.0
    assert math.isnan(exposure.propensities[1])
    assert (exposure.teams, exposure.explored_rank) == ((), None)


@pytest.mark.parametrize(
    ("changed", "reason", "said"),
    [
        ({"arm": 3}, Reason.MALFORMED, "arm: "),
        ({"who": "ada"}, Reason.MALFORMED, "who: "),
        ({"request_id": ""}, Reason.MALFORMED, "an id is empty"),
        ({"item_ids": ["a", ""]}, Reason.MALFORMED, "an id is empty"),
        ({"item_ids": ["a"]}, Reason.MALFORMED, "are not of one length"),
        ({"propensities": 1.0}, Reason.MALFORMED, "propensities: "),
        ({"n_shown_before": -1}, Reason.MALFORMED, "a count is below 0"),
        ({"explored_rank": 1 << 40}, Reason.MALFORMED, "a count is below 0 or above"),
        ({"served_at_s": NOW_S + 301}, Reason.FUTURE, "301 s ahead"),
    ],
)
def test_what_is_no_exposure_is_poison_and_says_why(
    changed: dict[str, object], reason: Reason, said: str
) -> None:
    with pytest.raises(PoisonError, match=said) as caught:
        of(orjson.dumps({**GOOD, **changed}))
    assert caught.value.reason is reason


@pytest.mark.parametrize("value", [b"", b"{", b"[]", b"null", b'"text"', b'{"event": {}}'])
def test_what_is_no_object_of_these_fields_is_malformed(value: bytes) -> None:
    with pytest.raises(PoisonError) as caught:
        of(value)
    assert caught.value.reason is Reason.MALFORMED
