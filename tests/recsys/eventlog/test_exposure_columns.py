from functools import partial
from typing import TypeVar

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from recsys.eventlog.exposure import SCHEMA, Exposure, chunk_of, frame_of, impressions

exposure = partial(
    Exposure,
    request_id="r",
    served_at_s=1.0,
    user_pseudonym=None,
    arm="stable",
    bundle="b",
    call="recommend",
    context=None,
    n_shown_before=0,
    override=False,
    cached=False,
    degraded=(),
    item_ids=("a", "b"),
    scores=(0.5, 0.25),
    sources=("svd", "tags"),
    propensities=(1.0, 1.0),
)

Value = TypeVar("Value")

short = st.text(max_size=5)
single = st.floats(width=32, allow_nan=False)


@st.composite
def exposures(draw: st.DrawFn) -> Exposure:
    n = draw(st.integers(0, 4))

    def column(of: st.SearchStrategy[Value]) -> list[Value]:
        return draw(st.lists(of, min_size=n, max_size=n))

    return exposure(
        request_id=draw(short),
        served_at_s=draw(st.floats(0, 1e11)),
        user_pseudonym=draw(st.none() | short),
        context=draw(st.none() | short),
        n_shown_before=draw(st.integers(0, 1_000)),
        override=draw(st.booleans()),
        cached=draw(st.booleans()),
        degraded=draw(st.lists(short, max_size=2)),
        item_ids=column(short),
        scores=column(single),
        sources=column(short),
        propensities=column(single),
        session_pseudonym=draw(st.none() | short),
        experiments=draw(st.lists(short, max_size=3)),
        teams=draw(st.lists(short, max_size=3)),
        explored_rank=draw(st.none() | st.integers(1, 100)),
        choices=draw(st.lists(short, max_size=3)),
        chances=draw(st.lists(single, max_size=3)),
    )


@given(st.lists(st.lists(exposures(), min_size=1, max_size=4), max_size=4))
def test_what_goes_into_columns_comes_out_again(batches: list[list[Exposure]]) -> None:
    frame = frame_of([chunk_of(batch) for batch in batches])
    assert frame.schema == pl.Schema(SCHEMA)
    wanted = [dict(zip(SCHEMA, each, strict=True)) for batch in batches for each in batch]
    assert frame.to_dicts() == wanted


def test_the_impressions_of_a_second_page_go_on_counting() -> None:
    answers = [
        exposure(n_shown_before=10),
        exposure(request_id="none", item_ids=(), scores=(), sources=(), propensities=()),
    ]
    rows = impressions(frame_of([chunk_of(answers)]).lazy()).collect()
    assert rows.select("request_id", "item_id", "position", "score", "source", "propensity").rows() == [
        ("r", "a", 11, 0.5, "svd", 1.0),
        ("r", "b", 12, 0.25, "tags", 1.0),
    ]
