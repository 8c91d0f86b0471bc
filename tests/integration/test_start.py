"""A graph that cannot start."""

from collections.abc import Callable
from pathlib import Path

import pytest

from deployments.cli.serve import begin_traffic, graph_args
from deployments.launcher import running_graph
from recsys.core.errors import UnavailableError
from recsys.core.ports import free_ports

pytestmark = [pytest.mark.serve, pytest.mark.slow]


def test_a_graph_that_cannot_start_says_what_its_processes_met(
    trainer: Callable[[Path], Callable[[int], str]], tmp_path: Path
) -> None:
    trainer(tmp_path / "registry")
    (tmp_path / "a-file").write_text("")
    args = graph_args(tmp_path).model_copy(update={"event_log": tmp_path / "a-file" / "events"})
    begin_traffic(args)
    with (
        pytest.raises(UnavailableError, match=r"event log is unavailable: .*Not a directory.*a-file"),
        running_graph(args, host="127.0.0.1", port=free_ports(1)[0]),
    ):
        pytest.fail("it started")
