import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.core.errors import ConflictError, FieldError, NotFoundError
from recsys.registry.channels import Channels, promote, rollback

A, B, C = ("a" * 16, "b" * 16, "c" * 16)


def with_stable(*bundles: str) -> Channels:
    channels = Channels()
    for bundle in bundles:
        channels = promote(
            channels, bundle, "stable", expected=channels.stable, by="ada", now_s=10.0 + channels.version
        )
    return channels


def test_the_first_promotion_has_no_way_back() -> None:
    channels = with_stable(A)
    assert (channels.version, channels.stable, channels.previous, channels.candidate) == (1, A, None, None)
    with pytest.raises(NotFoundError, match="no bundle in channel named 'previous'"):
        rollback(channels, expected=A, by="ada", now_s=0.0)


def test_promoting_to_stable_keeps_the_old_one_as_previous_in_the_same_version() -> None:
    channels = with_stable(A, B)
    assert (channels.version, channels.stable, channels.previous) == (2, B, A)
    assert [(m.version, m.at_s, m.channel, m.from_bundle, m.to_bundle) for m in channels.moves] == [
        (1, 10.0, "stable", None, A),
        (2, 11.0, "stable", A, B),
        (2, 11.0, "previous", None, A),
    ]


def test_promoting_a_candidate_leaves_stable_alone() -> None:
    channels = promote(with_stable(A), B, "candidate", expected=None, by="ada", now_s=0.0)
    assert (channels.stable, channels.previous, channels.candidate) == (A, None, B)
    assert channels.naming(B) == ("candidate",)


def test_promoting_what_is_stable_already_keeps_the_way_back() -> None:
    channels = with_stable(A, B)
    assert promote(channels, B, "stable", expected=B, by="ada", now_s=0.0) is channels


def test_rolling_back_swaps_and_rolling_back_again_swaps_back() -> None:
    back = rollback(with_stable(A, B), expected=B, by="ada", now_s=20.0)
    assert (back.version, back.stable, back.previous) == (3, A, B)
    forth = rollback(back, expected=A, by="ada", now_s=21.0)
    assert (forth.version, forth.stable, forth.previous) == (4, B, A)
    assert [move.action for move in forth.moves] == ["promote"] * 3 + ["rollback"] * 4


def test_a_promotion_that_expected_something_else_says_both() -> None:
    with pytest.raises(ConflictError) as refused:
        promote(with_stable(A), C, "stable", expected=B, by="ada", now_s=0.0)
    assert refused.value.args == ("channel stable", B, A)


def test_the_second_of_two_hurried_rollbacks_is_refused() -> None:
    once = rollback(with_stable(A, B), expected=B, by="ada", now_s=0.0)
    with pytest.raises(ConflictError):
        rollback(once, expected=B, by="bob", now_s=0.0)


@pytest.mark.parametrize("channel", ["previous", "stabel", ""])
def test_only_stable_and_candidate_are_promoted_to(channel: str) -> None:
    with pytest.raises(FieldError, match="expected stable or candidate"):
        promote(Channels(), A, channel, expected=None, by="ada", now_s=0.0)


@given(st.lists(st.sampled_from([A, B, C, "rollback"]), max_size=12))
def test_replaying_the_moves_gives_the_channels(steps: list[str]) -> None:
    channels = Channels()
    for step in steps:
        if step != "rollback":
            channels = promote(channels, step, "stable", expected=channels.stable, by="ada", now_s=0.0)
        elif channels.previous is not None and channels.stable is not None:
            channels = rollback(channels, expected=channels.stable, by="ada", now_s=0.0)
    replayed: dict[str, str | None] = {"stable": None, "previous": None}
    for move in channels.moves:
        assert replayed[move.channel] == move.from_bundle
        replayed[move.channel] = move.to_bundle
    assert replayed == {"stable": channels.stable, "previous": channels.previous}
    assert channels.version == len({move.version for move in channels.moves})
    assert channels.stable is None or channels.stable != channels.previous
