from collections.abc import Iterator

import pytest
import ray

from loadtest.engine.plan import Plan
from loadtest.engine.pool import StopFlag
from loadtest.engine.ray_pool import on_ray
from loadtest.engine.session import run_plan
from loadtest.engine.worker import Pulse
from loadtest.profiles.settings import ConstantProfile
from tests.loadtest.conftest import answer, list_of, serving

pytestmark = pytest.mark.serve  # starts Ray


@pytest.fixture(scope="module", autouse=True)
def cluster() -> Iterator[None]:
    ray.init(address="local", num_cpus=3, include_dashboard=False, log_to_driver=False)
    yield
    ray.shutdown()


def plan(seconds: float) -> Plan:
    profile = ConstantProfile(rate_per_s=40, duration_s=seconds)
    return Plan.model_validate(
        {"profile": profile, "transport": "lean", "arrivals": "even", "workers": 2, "keep_rows": True}
    )


def test_workers_on_a_cluster_share_a_schedule_and_their_counts_add_up() -> None:
    with serving(lambda _: [answer(list_of("1"))]) as server:
        run = run_plan(plan(1), server.url, run_id="t", run_tasks=on_ray("local"))
        n_asked = len([asked for asked in server.asked if asked.path == "/recommend"])
    assert run.result.total.n_good == n_asked == 40
    assert [worker.index for worker in run.result.workers] == [0, 1]
    assert run.rows is not None
    assert run.rows.height == 40


def test_a_run_on_a_cluster_can_be_ended_early() -> None:
    stop = StopFlag()

    def look(pulses: dict[int, Pulse]) -> None:
        if any(pulse.n_good >= 5 for pulse in pulses.values()):
            stop.set()

    with serving(lambda _: [answer(list_of("1"))]) as server:
        run = run_plan(plan(600), server.url, run_id="t", run_tasks=on_ray("local"), stop=stop, look=look)
    assert 5 <= run.result.total.n_good < 24_000
    assert all(worker.stopped_early for worker in run.result.workers)
