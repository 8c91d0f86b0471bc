import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.marks.grammar import parse_marks
from loadtest.marks.verdict import Found, judge
from loadtest.measure.histogram import Histogram
from loadtest.measure.tally import Cell
from recsys.core.errors import FieldError

# 100 requests in 2 s of 50/s: 90 good (9 degraded, 30 cached) at 10 ms but one at 80 ms, 4 shed, 6 failed
CELL = Cell(
    latency=Histogram.of([0.010] * 89 + [0.080]),
    n_good=90,
    n_degraded=9,
    n_cached=30,
    n_shed=4,
    failures={"timeout": 5, "status 500": 1},
)
FOUND = Found(CELL, {"recommend": CELL}, elapsed_s=2.0, scheduled_per_s=50.0, cut=0)


@pytest.mark.parametrize(
    ("mark", "value", "holds"),
    [
        ("p50<11ms", 0.010, True),
        ("p50 < 9ms", 0.010, False),
        ("p99<=81ms", 0.080, True),
        ("p98.8<0.011s", 0.010, True),
        ("max<50ms", 0.080, False),
        ("mean<10900us", (89 * 0.010 + 0.080) / 90, True),
        ("errors=0", 6, False),
        ("errors<=6", 6, True),
        ("errors<6%", 0.06, False),
        ("shed==4", 4, True),
        ("degraded<10%", 0.09, True),
        ("cached>29", 30, True),
        ("cut=0", 0, True),
        ("rate>=50/s", 50, True),
        ("goodput>=90%", 0.9, True),
        ("goodput>45", 45, False),
        ("recommend.p50<11ms", 0.010, True),
    ],
)
def test_marks_of_a_hundred_known_requests(mark: str, value: float, holds: bool) -> None:
    (verdict,) = judge(parse_marks(mark), FOUND)
    assert verdict.value == pytest.approx(value, rel=2e-3)
    assert verdict.holds is holds


@pytest.mark.parametrize("mark", ["similar.p99<1s", "similar.errors=0", "similar.errors<1%"])
def test_a_call_that_was_never_made_passes_nothing(mark: str) -> None:
    (verdict,) = judge(parse_marks(mark), FOUND)
    assert math.isnan(verdict.value)
    assert not verdict.holds


def test_a_share_of_the_schedule_never_holds_in_a_closed_loop() -> None:
    closed = Found(CELL, {}, elapsed_s=2.0, scheduled_per_s=0.0, cut=0)
    assert not judge(parse_marks("rate>=1%"), closed)[0].holds


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("p99<50", "p99 with a unit of time: us, ms or s"),
        ("errors<5ms", "errors as a number or in %, not in ms"),
        ("p101<5ms", "a percentile above 0 and up to 100"),
        ("p0<5ms", "a percentile above 0"),
        ("latency<5ms", "a metric of: p50, p99"),
        ("p99<50ms, , errors=0", "marks such as"),
        ("p99!50ms", "marks such as"),
        ("p99<fast", "marks such as"),
    ],
)
def test_what_is_no_mark_is_refused_with_what_would_be_one(text: str, expected: str) -> None:
    with pytest.raises(FieldError, match=expected):
        parse_marks(text)


def test_several_marks_are_read_in_order_and_none_from_nothing() -> None:
    assert [mark.text for mark in parse_marks("p99<50ms, errors=0,degraded<1%")] == [
        "p99<50ms",
        "errors=0",
        "degraded<1%",
    ]
    assert parse_marks("  ") == ()


@given(st.text(max_size=30))
def test_any_text_is_marks_or_an_error_of_ours(text: str) -> None:
    try:
        marks = parse_marks(text)
    except FieldError:
        return
    assert len(marks) == (text.count(",") + 1 if text.strip() else 0)
