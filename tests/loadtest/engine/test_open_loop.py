import socket

import pytest

from loadtest.engine.plan import Plan
from loadtest.engine.pool import StopFlag
from loadtest.engine.run import drive_open, get
from loadtest.engine.session import Run, run_plan
from loadtest.engine.worker import Pulse
from loadtest.measure.histogram import Histogram
from loadtest.profiles.schedule import Arrivals, due_times
from loadtest.profiles.settings import ClosedProfile, ConstantProfile
from loadtest.reports.build import kept_up
from loadtest.transports.target import Limits
from recsys.core.errors import UnavailableError
from tests.loadtest.conftest import Asked, Step, answer, list_of, serving


def plan(rate: float = 100.0, seconds: float = 1.5, **more: object) -> Plan:
    fields = {"profile": ConstantProfile(rate_per_s=rate, duration_s=seconds), "transport": "lean"}
    return Plan.model_validate({**fields, "arrivals": "even", **more})


def ran(url: str, of: Plan, **more: object) -> Run:
    return run_plan(of, url, run_id="t", **more)  # type: ignore[arg-type]  # whatever a test wants to give


def recommendations(asked: list[Asked]) -> list[Asked]:
    return [a for a in asked if a.path == "/recommend"]


@pytest.mark.parametrize("transport", ["lean", "httpx"])
def test_every_request_of_the_schedule_leaves_once(transport: str) -> None:
    with serving(lambda _: [answer(list_of("1"))]) as server:
        run = ran(server.url, plan(transport=transport, keep_rows=True))
    wanted = due_times(plan().profile.segments(), 0, Arrivals.EVEN)
    assert run.result.total.n_good == len(recommendations(server.asked)) == len(wanted) == 150
    assert run.rows is not None
    assert run.rows["due_s"].to_list() == pytest.approx(wanted.tolist(), abs=1e-6)
    assert run.result.tally.lateness.n == 150


def test_a_stall_of_the_server_shows_in_an_open_loop_and_hides_in_the_service_time() -> None:
    # one connection; the 50th answer takes 0.8 s, and 80 requests fall due meanwhile
    n_asked = iter(range(10**9))

    def script(asked: Asked) -> list[Step]:
        stalls = asked.path == "/recommend" and next(n_asked) == 50
        return [0.8 if stalls else 0.0, answer(list_of("1"))]

    with serving(script) as server:
        run = ran(server.url, plan(rate=100, seconds=2, limits=Limits(connections=1)))
    total = run.result.total
    assert total.n_good == 200  # none skipped
    assert run.result.latency_ms(75) > 100  # 80 of 200 waited, evenly from 0 to 800 ms
    assert run.result.latency_ms(99) > 700
    assert total.service.share_within(0.4) >= 1 - 2 / 200  # who counts from sending sees one slow request
    assert run.result.workers[0].backlog_most > 20


def test_several_workers_share_a_schedule_and_their_counts_add_up() -> None:
    with serving(lambda _: [answer(list_of("1"))]) as server:
        run = ran(server.url, plan(rate=90, seconds=1, workers=3, keep_rows=True))
    assert run.result.total.n_good == len(recommendations(server.asked)) == 90
    assert [worker.index for worker in run.result.workers] == [0, 1, 2]
    assert run.rows is not None
    assert run.rows["worker"].value_counts().sort("worker")["count"].to_list() == [30, 30, 30]
    assert run.rows["due_s"].is_sorted()
    of_rows = Histogram.of(run.rows["latency_s"].to_list())
    assert run.result.total.latency.counts == of_rows.counts


def test_a_closed_loop_deals_its_connections_to_the_workers() -> None:
    closed = Plan(profile=ClosedProfile(connections=5, duration_s=0.5), transport="lean", workers=2)
    with serving(lambda _: [0.02, answer(list_of("1"))]) as server:
        run = ran(server.url, closed)
    by_recommend = {asked.connection for asked in recommendations(server.asked)}
    assert len(by_recommend) == 5
    assert run.result.total.n_good == len(recommendations(server.asked))


def test_stopping_ends_a_run_early_with_all_that_was_done() -> None:
    stop = StopFlag()

    def look(pulses: dict[int, Pulse]) -> None:
        if any(pulse.n_good >= 20 for pulse in pulses.values()):
            stop.set()

    with serving(lambda _: [answer(list_of("1"))]) as server:
        run = ran(server.url, plan(seconds=600, workers=2), stop=stop, look=look)
    assert 20 <= run.result.total.n_good == len(recommendations(server.asked)) < 6_000
    assert all(worker.stopped_early for worker in run.result.workers)
    assert run.result.elapsed_s < 60


def test_requests_without_an_answer_at_the_end_are_cut_and_neither_good_nor_failed() -> None:
    with serving(lambda asked: [30.0 if asked.path == "/recommend" else 0.0, answer()]) as server:
        run = ran(server.url, plan(rate=10, seconds=0.5, drain_s=0.2))
    assert run.result.cut == 5
    assert run.result.total.n == 0


def test_a_timeout_counts_in_the_latency_and_as_a_failure() -> None:
    with serving(lambda asked: [30.0 if asked.path == "/recommend" else 0.0, answer()]) as server:
        run = ran(server.url, plan(rate=10, seconds=0.5, limits=Limits(timeout_s=0.4)))
    assert run.result.total.failures == {"timeout": 5}
    assert run.result.latency_ms(50) >= 399


def test_a_tester_that_is_late_itself_is_told_from_a_slow_server() -> None:
    with serving(lambda asked: [0.1 if asked.path == "/recommend" else 0.0, answer()]) as server:
        run = ran(server.url, plan(rate=20, seconds=0.5, most_lateness_s=10))
    assert kept_up(run.result, run.plan)  # slow is only the server
    run.result.tally.lateness.add(Histogram({20_000_000: 10}))
    assert not kept_up(run.result, run.plan)


def test_a_service_that_is_not_there_is_failures_and_no_error() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        run = ran(f"http://127.0.0.1:{free.getsockname()[1]}", plan(rate=20, seconds=0.5))
    assert run.result.total.failures == {"connect": 10}
    assert run.server is None
    assert "/metrics is unavailable: ConnectError" in run.server_silence


def test_items_cannot_be_learned_from_a_service_that_is_not_there() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
        with pytest.raises(UnavailableError, match="/popular is unavailable: ConnectError"):
            ran(url, plan(traffic={"mix": {"similar": 1}}))


def test_a_schedule_can_be_driven_from_python_in_this_process() -> None:
    due_s = due_times(ConstantProfile(rate_per_s=50, duration_s=0.5).segments(), 0, Arrivals.EVEN)
    with serving(lambda _: [answer(list_of("1"))]) as server:
        result = drive_open(server.url, [get("popular", "/popular")], due_s, duration_s=0.5)
    assert result.total.n_good == len(server.asked) == 25
    assert result.mode == "open loop, 50/s for 0.5 s"
    assert result.tally.lateness.n == 25
