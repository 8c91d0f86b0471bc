import logging
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from recsys.core.errors import DataFormatError, UnavailableError
from recsys.drift.compare import Moved, WindowVerdict
from recsys.drift.features import Group
from recsys.drift.journal import ALARMS_FILE, STATE_FILE, Journal
from recsys.drift.metrics_text import metrics_text
from recsys.drift.policy import Action, Alarm, PolicyConfig
from recsys.drift.watch import Watcher

CONFIG = PolicyConfig(n_over=2)


def verdict(window: int, *, over: bool) -> WindowVerdict:
    tag = Moved(
        feature="tag",
        group=Group.INPUTS,
        n_users=50,
        divergence=0.2 if over else 0.001,
        threshold=0.01,
        over=over,
        p_value=1e-9,
        how="a 1.0% → 2.0%",
    )
    return WindowVerdict(
        window=window, begins_s=window, ends_s=window + 1.0, n_events=9, n_users=50, features=(tag,)
    )


def test_an_alarm_is_carried_out_once_told_and_kept(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    done: list[Alarm] = []
    watcher = Watcher(Journal(tmp_path), CONFIG, {Action.RETRAIN: done.append})
    with caplog.at_level(logging.WARNING):
        raised = watcher.take("b1", [verdict(window, over=True) for window in range(5)])
    assert raised == done == watcher.journal.alarms()
    assert [alarm.id for alarm in done] == ["b1-1"]
    assert "drift of bundle b1, retrain: tag: a 1.0% → 2.0%" in caplog.text
    memory = watcher.journal.read()
    assert (memory.pending, memory.n_windows, memory.n_alarms) == (None, 5, 1)


def test_a_new_process_goes_on_where_the_last_one_was(tmp_path: Path) -> None:
    done: list[Alarm] = []
    for window in range(2):  # the run of two windows spans two processes
        watcher = Watcher(Journal(tmp_path), CONFIG, {Action.RETRAIN: done.append})
        watcher.take("b1", [verdict(number, over=True) for number in range(window + 1)])
    assert [alarm.id for alarm in done] == ["b1-1"]


KILLED = """
import os, signal, sys
from pathlib import Path
from recsys.drift.journal import Journal
from recsys.drift.policy import Action, PolicyConfig
from recsys.drift.watch import Watcher
from recsys.drift.compare import WindowVerdict

def die(alarm):
    os.kill(os.getpid(), signal.SIGKILL)

verdicts = [WindowVerdict.model_validate_json(line) for line in sys.stdin]
Watcher(Journal(Path(sys.argv[1])), PolicyConfig(n_over=2), {Action.RETRAIN: die}).take("b1", verdicts)
"""


def test_an_action_during_which_the_watcher_was_killed_is_done_by_the_next(tmp_path: Path) -> None:
    lines = "\n".join(verdict(window, over=True).model_dump_json() for window in range(3))
    ended = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], input=lines, text=True, check=False)
    assert ended.returncode == -signal.SIGKILL
    done: list[Alarm] = []
    watcher = Watcher(Journal(tmp_path), CONFIG, {Action.RETRAIN: done.append})
    pending = watcher.finish()
    assert pending is not None
    assert [alarm.id for alarm in done] == [pending.id] == ["b1-1"]
    assert watcher.finish() is None
    assert watcher.take("b1", [verdict(window, over=True) for window in range(5)]) == []
    assert len(watcher.journal.alarms()) == 1  # told once, though done twice


def test_an_action_that_fails_is_told_and_not_tried_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(alarm: Alarm) -> None:
        raise UnavailableError("training", alarm.bundle)

    watcher = Watcher(Journal(tmp_path), CONFIG, {Action.RETRAIN: fail})
    assert len(watcher.take("b1", [verdict(0, over=True), verdict(1, over=True)])) == 1
    assert "retrain of bundle b1 failed" in caplog.text
    assert watcher.finish() is None


def test_a_line_cut_off_by_a_crash_spoils_no_other(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    watcher = Watcher(journal, CONFIG)
    watcher.take("b1", [verdict(0, over=True), verdict(1, over=True)])
    whole = (tmp_path / ALARMS_FILE).read_bytes()
    (tmp_path / ALARMS_FILE).write_bytes(whole + whole[: len(whole) // 2])
    watcher.take("b2", [verdict(2, over=True), verdict(3, over=True)])
    assert [alarm.id for alarm in journal.alarms()] == ["b1-1", "b2-3"]


def test_a_spoilt_memory_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / STATE_FILE).write_text('{"version": 9}')
    with pytest.raises(DataFormatError, match=STATE_FILE):
        Journal(tmp_path).read()


def test_metrics_are_text_for_prometheus(tmp_path: Path) -> None:
    watcher = Watcher(Journal(tmp_path), CONFIG)
    windows = [verdict(0, over=True), verdict(1, over=True)]
    watcher.take("b1", windows)
    lines = metrics_text(watcher.journal.read(), windows[-1], looked_s=9.5).splitlines()
    assert "marquee_drift_looked_seconds 9.5" in lines
    assert "marquee_drift_windows_total 2" in lines
    assert "marquee_drift_alarms_total 1" in lines
    assert 'marquee_drift_alarmed{feature="tag"} 1' in lines
    assert 'marquee_drift_divergence{feature="tag"} 0.2' in lines
    assert len([line for line in lines if line.startswith("# TYPE")]) == 7
