"""People and controllers change one document at the same time."""

from pathlib import Path

import pytest

from recsys.core.errors import ConflictError
from recsys.rollout import transitions
from recsys.rollout.desk import change, rollout_id, rollouts
from recsys.rollout.plan import DEFAULT_PLAN
from recsys.rollout.traffic import TrafficDocument, first_document
from recsys.rollout.traffic_file import FileTrafficStore

OTHER = "b" * 16


@pytest.fixture
def store(tmp_path: Path) -> FileTrafficStore:
    store = FileTrafficStore(tmp_path / "traffic.json")
    store.swap(first_document("a" * 16, salt="s", updated_s=0.0), expected_version=0)
    return store


def test_a_change_is_made_again_on_what_somebody_else_wrote(store: FileTrafficStore) -> None:
    tries: list[int] = []

    def how(now: TrafficDocument) -> TrafficDocument:
        tries.append(now.version)
        if len(tries) == 1:
            allowed = transitions.allow(now, "bob", "canary", now_s=1.0, by="bob")
            store.swap(allowed, expected_version=now.version)
        return transitions.kill(now, "canary", now_s=2.0, by="ada")

    document = change(store, how)
    assert tries == [1, 2]
    assert (document.overrides, set(document.killed)) == ({"bob": "canary"}, {"canary"})


def test_a_change_gives_up_when_others_are_always_faster(store: FileTrafficStore) -> None:
    def how(now: TrafficDocument) -> TrafficDocument:
        allowed = transitions.allow(now, "bob", "canary", now_s=1.0, by="bob")
        store.swap(allowed, expected_version=now.version)
        return allowed

    with pytest.raises(ConflictError):
        change(store, how)


def test_all_rollouts_are_remembered_with_all_their_decisions(store: FileTrafficStore) -> None:
    def start(now_s: float) -> None:
        name = rollout_id(OTHER, now_s)
        change(
            store,
            lambda now: transitions.start(now, OTHER, DEFAULT_PLAN, rollout_id=name, now_s=now_s, by="ada"),
        )

    start(0.0)
    change(store, lambda now: transitions.abort(now, now_s=1.0, by="ada", why="no"))
    start(60.0)
    first, second = rollouts(store)
    assert [decision.what for decision in first.decisions] == ["start", "abort"]
    assert [decision.what for decision in second.decisions] == ["start"]
    assert first.id != second.id
