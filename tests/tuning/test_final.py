import pytest

from recsys.evaluation.results import WHOLE, Row
from tuning.document import DEFAULTS, Final
from tuning.final import GATE, asked_the_gate


def final_of(*models: str) -> Final:
    measured = Row(
        model="",
        metrics={},
        exposure={},
        buckets={},
        cold=None,
        untied=None,
        fit_s=1.0,
        peak_mb=1.0,
        peak_is_of_fit=True,
        answer_s=1.0,
    )
    rows = [measured.model_copy(update={"model": model}) for model in models]
    return Final(rows=rows, differences=[], n_users=9)


def test_a_measurement_with_all_that_the_gate_compares_with_can_be_judged() -> None:
    assert asked_the_gate(final_of(WHOLE, DEFAULTS, *GATE.baselines))


@pytest.mark.parametrize("missing", [WHOLE, *GATE.baselines])
def test_one_of_an_earlier_version_without_all_of_them_is_made_again(missing: str) -> None:
    assert not asked_the_gate(final_of(*{WHOLE, DEFAULTS, *GATE.baselines} - {missing}))
