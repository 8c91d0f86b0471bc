import json

import pytest

from recsys.experiments.records_cost import main


def test_every_step_is_told_with_its_seconds_and_the_memory_so_far(
    capsys: pytest.CaptureFixture[str],
) -> None:
    main(2_000, 1_000)
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["step"] for line in told] == [
        "write both",
        "follower, first tally",
        "follower, one more file",
        "read events",
        "join",
        "facts of lists",
        "units",
    ]
    peaks = [line["peak_gb"] for line in told]
    assert peaks == sorted(peaks)
