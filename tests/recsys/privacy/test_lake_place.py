"""The lake as one of the places that a person leaves."""

from pathlib import Path

import pytest

pytest.importorskip("deltalake", reason="needs the extra lake")

from recsys.core.pseudonyms import Pseudonyms
from recsys.data.events import Event, EventKind
from recsys.eventlog.exposure import Exposure
from recsys.lake.lake import Lake
from recsys.privacy.erasure import erase
from recsys.privacy.lake_place import LakePlace
from recsys.privacy.names import Names, names_of

NOW_S = 1_000_000.0
DOOR, SHOWN = Pseudonyms(b"n" * 32, b"k" * 32), Pseudonyms(b"x" * 32)


def watch(event_id: str, user_id: str) -> Event:
    return Event(event_id=event_id, user_id=user_id, kind=EventKind.WATCH, time_s=NOW_S - 9.0, item_id="film")


def shown_to(request_id: str, who: str) -> Exposure:
    return Exposure(
        request_id, NOW_S - 9.0, who, "stable", "b" * 16, "recommend", None, 0, override=False, cached=False,
        degraded=[], item_ids=["a"], scores=[1.0], sources=["svd"], propensities=[1.0],
    )  # fmt: skip


def fill(root: Path, *people: Names) -> None:
    lake = Lake(root)
    events = [watch(f"e{number}", name) for names in people for number, name in enumerate(names.inside)]
    answers = [shown_to(f"r{number}", name) for names in people for number, name in enumerate(names.shown)]
    lake.events.append(events, source="log", upto=1)
    lake.exposures.append(answers, source="log", upto=1)


@pytest.mark.parametrize("user_id", ["ada.lovelace@example.org", "42"])
@pytest.mark.parametrize("door", [None, DOOR], ids=["own names", "rotated"])
def test_a_person_leaves_by_all_their_names_and_everybody_else_stays(
    tmp_path: Path, user_id: str, door: Pseudonyms | None
) -> None:
    ada, bob = (names_of(who, door=door, exposures=SHOWN) for who in (user_id, "bob"))
    fill(tmp_path / "lake", ada, bob)
    place = LakePlace(tmp_path / "lake")
    n = len(ada.inside)
    assert place.traces(ada)
    proof = erase(ada, [place], at_s=NOW_S, clock=lambda: NOW_S)
    assert proof.complete
    assert proof.places[0].removed["events"] == proof.places[0].removed["exposures"] == n
    assert set(Lake(tmp_path / "lake").read("events")["user_id"]) == {*bob.inside}
    assert place.traces(bob)


def test_a_lake_that_is_not_there_names_nobody_and_is_not_made(tmp_path: Path) -> None:
    ada = names_of("ada", door=None, exposures=SHOWN)
    place = LakePlace(tmp_path / "lake")
    assert erase(ada, [place], at_s=NOW_S, clock=lambda: NOW_S).complete
    assert not (tmp_path / "lake").exists()
