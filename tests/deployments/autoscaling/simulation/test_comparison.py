"""What the policy is for, shown on the traces: no chance is left but the arrivals, whose seed is fixed."""

import pytest

from deployments.autoscaling.simulation.comparison import DEFAULT, OURS, TUNED, Compared, compare
from deployments.autoscaling.simulation.policies import turns
from deployments.autoscaling.simulation.world import Costs

Table = dict[tuple[str, str], Compared]

TRACES = ("constant", "diurnal", "spike", "flash crowd", "sawtooth", "switch-over")

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def table() -> Table:
    return {(one.trace.name, one.policy): one for one in compare(Costs(), seed=0)}


@pytest.mark.parametrize("trace", TRACES)
def test_fewer_are_late_than_with_serves_defaults_and_at_less_cost(table: Table, trace: str) -> None:
    ours, default = table[trace, OURS].run, table[trace, DEFAULT].run
    assert ours.late < default.late
    assert ours.replica_s < default.replica_s


@pytest.mark.parametrize("trace", TRACES)
def test_against_queues_tuned_by_hand_it_is_as_punctual_and_changes_less(table: Table, trace: str) -> None:
    ours, tuned = table[trace, OURS].run, table[trace, TUNED].run
    assert ours.late <= tuned.late + 0.002
    assert turns(ours.replicas) <= turns(tuned.replicas) + 2


def test_at_constant_load_it_stays_where_it_is(table: Table) -> None:
    assert turns(table["constant", OURS].run.replicas) == 0
    assert table["constant", OURS].run.changes <= 4  # up at first, and once for a burst among the arrivals


def test_a_smooth_day_takes_it_up_once_and_down_once(table: Table) -> None:
    assert turns(table["diurnal", OURS].run.replicas) == 1
    assert table["diurnal", OURS].run.late == 0.0


def test_only_while_replicas_start_is_anybody_late_in_a_spike(table: Table) -> None:
    # 500/s for 60 s; a decision after a second and replicas after six more are 7 s of 500 of 87,000 requests.
    assert table["spike", OURS].run.late < 8.0 * 500.0 / 87_000.0
