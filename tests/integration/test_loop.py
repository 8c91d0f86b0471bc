"""The loop in one go, on the real graph: nobody lays a hand on anything from the shift to the promotion."""

from pathlib import Path

import pytest

from loadtest.loop.past import prepare
from loadtest.loop.run import run_loop
from loadtest.loop.settings import LoopSettings
from loadtest.loop.story import ORDER, SHIFT

pytestmark = pytest.mark.serve
pytest.importorskip("deltalake", reason="the extra lake is not installed")

SHORT = LoopSettings(day_s=8.0, quiet_days=2, after_days=4, most_days=90)  # a busy machine takes longer
_ODDS = 1e-3  # of calling a refresh that did nothing a gain


def test_a_shift_is_alarmed_and_the_refresh_promoted_and_people_watch_more(
    kafka_address: str, tmp_path: Path
) -> None:
    story = run_loop(prepare(tmp_path / "home", SHORT), SHORT, kafka=kafka_address)
    assert story.faults() == [], story.moments
    first = [next(one for one in story.moments if one.what == what) for what in ORDER]
    assert [one.at_s for one in first] == sorted(one.at_s for one in first)
    by = {one.by.rpartition(", ")[2] for one in story.moments if one.what != SHIFT}
    assert by == {"marquee drift watch", "marquee retrain", "controller"}
    assert story.gain is not None
    assert story.gain.difference > 0.0
    assert story.gain.odds < _ODDS, story.gain
    assert story.rates["loop"]["between"] < story.rates["loop"]["after"]
