from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.measure.facts import Facts, facts_of
from loadtest.measure.rows import ROWS, RowLog
from loadtest.measure.tally import Tally, kind_of
from loadtest.transports.exchange import Exchange, Failure, Request
from tests.loadtest.conftest import list_of


def ended(
    due_s: float, took_s: float, *, status: int = 200, body: bytes = b"", failure: Failure | None = None
) -> Exchange:
    exchange = Exchange(Request("recommend", "POST", "/recommend", audience="known"), due_s, due_s + 0.001)
    exchange.finished_s = due_s + took_s
    exchange.status, exchange.body, exchange.failure = status, body, failure
    return exchange


ENDS: dict[str, Callable[[float, float], Exchange]] = {
    "good": lambda due_s, took_s: ended(due_s, took_s, body=list_of("1", arm="a")),
    "degraded": lambda due_s, took_s: ended(due_s, took_s, body=list_of("1", arm="b", degraded=True)),
    "shed": lambda due_s, took_s: ended(due_s, took_s, status=503),
    "500": lambda due_s, took_s: ended(due_s, took_s, status=500),
    "timeout": lambda due_s, took_s: ended(due_s, took_s, status=0, failure=Failure.TIMEOUT),
    "closed": lambda due_s, took_s: ended(due_s, took_s, status=0, failure=Failure.CLOSED),
}
SEVERAL = st.lists(
    st.tuples(st.sampled_from(sorted(ENDS)), st.floats(0.0, 20.0), st.floats(0.002, 5.0)), max_size=40
)


def tally_of(ends: list[tuple[str, float, float]]) -> Tally:
    tally = Tally()
    for name, due_s, took_s in ends:
        tally.note(ENDS[name](100.0 + due_s, took_s), 100.0)
    return tally


@given(SEVERAL, SEVERAL)
def test_counts_of_two_workers_add_up_to_those_of_one(
    one: list[tuple[str, float, float]], other: list[tuple[str, float, float]]
) -> None:
    added, together = tally_of(one), tally_of(one + other)
    added.add(tally_of(other))
    assert added.lateness.counts == together.lateness.counts
    assert added.bundles == together.bundles
    for part in ("call", "arm", "audience"):
        assert {k: (c.n, c.latency.counts) for k, c in added.by(part).items()} == {
            k: (c.n, c.latency.counts) for k, c in together.by(part).items()
        }


@given(SEVERAL)
def test_every_end_is_counted_once_and_only_what_users_waited_for_is_a_latency(
    ends: list[tuple[str, float, float]],
) -> None:
    total = tally_of(ends).total()
    names = [name for name, _, _ in ends]
    assert total.n == len(ends)
    assert total.n_good == names.count("good") + names.count("degraded")
    assert (total.n_degraded, total.n_shed) == (names.count("degraded"), names.count("shed"))
    assert total.n_failed == names.count("500") + names.count("timeout") + names.count("closed")
    assert total.latency.n == total.n_good + names.count("timeout")
    assert total.service.n == total.n_good


def test_a_request_belongs_to_the_block_in_which_it_was_due() -> None:
    tally = tally_of([("good", 0.9, 5.0), ("good", 1.1, 0.1)])
    assert {block: cell.n for block, cell in tally.by_block().items()} == {0: 1, 1: 1}


def test_rows_say_everything_of_a_request() -> None:
    log = RowLog(worker=3)
    log.note(ENDS["degraded"](100.5, 0.25), 100.0)
    log.note(ENDS["timeout"](101.0, 2.0), 100.0)
    frame = log.frame()
    assert frame.schema == ROWS
    first, second = frame.rows(named=True)
    assert (first["due_s"], first["latency_s"], first["arm"], first["degraded"]) == (0.5, 0.25, "b", True)
    assert (first["error"], second["error"], second["status"], second["worker"]) == ("", "timeout", 0, 3)


@pytest.mark.parametrize(
    ("body", "facts"),
    [
        (list_of("1", arm="control", bundle="0123456789abcdef"), Facts("control", "0123456789ab")),
        (list_of("1", degraded=True), Facts("stable", "b1", degraded=True)),
        (list_of('a","arm":"fake","bundle":"fake'), Facts("stable", "b1")),
        (b'{"items":[],"arm":"a","bundle":"b","cursor":null,"cached":true,"degraded":[]}',
         Facts("a", "b", cached=True)),
        (b'{"results":[]}', Facts()),
        (b"<html>", Facts()),
        (b"", Facts()),
    ],
)  # fmt: skip
def test_what_an_answer_says_of_itself(body: bytes, facts: Facts) -> None:
    assert facts_of(body) == facts


def test_kinds_of_ends_have_plain_names() -> None:
    kinds = [kind_of(ENDS[name](0.0, 0.1)) for name in ("good", "500", "shed", "timeout", "closed")]
    assert kinds == ["", "status 500", "status 503", "timeout", "closed"]
