from pathlib import Path

import pytest

from deployments.cli.serve import begin_traffic, graph_args
from deployments.settings import GraphArgs
from recsys.core.errors import NotFoundError
from recsys.data.schema import Dataset
from recsys.registry.bundle import BundleWriter
from recsys.registry.local import LocalRegistry
from recsys.rollout.traffic import Arm
from recsys.rollout.traffic_file import FileTrafficStore
from recsys.state.seeding import seed_state
from recsys.state.sqlite import SqliteUserState


@pytest.fixture
def args(tmp_path: Path) -> GraphArgs:
    return graph_args(tmp_path)


def promoted(args: GraphArgs, words: str) -> str:
    def fill(writer: BundleWriter) -> None:
        writer.json("words", words)

    registry = LocalRegistry(args.registry)
    name = registry.publish(fill, feature_schema="s", created_s=0.0, meta={}).name
    registry.promote(name, "stable", expected=registry.channels().stable, by="test", now_s=0.0)
    return name


def test_the_first_document_sends_everybody_to_the_stable_bundle(args: GraphArgs) -> None:
    stable = promoted(args, "one")
    assert begin_traffic(args) == stable
    assert FileTrafficStore(Path(args.traffic)).read().lanes == {"blue": stable, "green": None}


def test_without_a_stable_bundle_there_is_nothing_to_begin_with(args: GraphArgs) -> None:
    with pytest.raises(NotFoundError, match="stable"):
        begin_traffic(args)


def test_a_document_that_is_there_stays_unless_it_shall_follow(args: GraphArgs) -> None:
    first = promoted(args, "one")
    begin_traffic(args)
    second = promoted(args, "two")
    assert begin_traffic(args) == first
    assert begin_traffic(args, follow=True) == second
    assert FileTrafficStore(Path(args.traffic)).read().version == 2
    begin_traffic(args, follow=True)
    assert FileTrafficStore(Path(args.traffic)).read().version == 2


def test_a_rollout_under_way_is_not_disturbed(args: GraphArgs) -> None:
    first = promoted(args, "one")
    begin_traffic(args)
    second = promoted(args, "two")
    traffic = FileTrafficStore(Path(args.traffic))
    arms = (Arm(arm="stable", lane="blue", share=0.9), Arm(arm="canary", lane="green", share=0.1))
    lanes = {"blue": first, "green": second}
    rollout = traffic.read().successor(updated_s=0.0, updated_by="", arms=arms, lanes=lanes)
    traffic.swap(rollout, expected_version=1)
    assert begin_traffic(args, follow=True) == first
    assert traffic.read() == rollout


def test_users_of_the_data_are_known_after_seeding_and_seeding_again_changes_nothing(
    simulated: Dataset, tmp_path: Path
) -> None:
    with SqliteUserState(tmp_path / "state.db") as state:
        done: list[int] = []
        n_applied = seed_state(simulated.interactions, state, on_done=done.append)
        assert done[-1] == n_applied > 0
        user_id = str(simulated.interactions["user_id"][0])
        [before] = state.read([user_id])
        assert before.item_ids
        seed_state(simulated.interactions, state)
        [after] = state.read([user_id])
        assert (after.item_ids, after.seen) == (before.item_ids, before.seen)
