"""A person leaves: real files of state, log and exposures are searched for every byte of every name."""

from collections.abc import Callable
from pathlib import Path

import pytest

from recsys.core.pseudonyms import Pseudonyms
from recsys.data.events import Event, EventKind
from recsys.eventlog.entry import Erasure
from recsys.eventlog.exposure import Exposure, chunk_of, frame_of
from recsys.eventlog.exposure_files import write_exposures
from recsys.eventlog.exposure_reader import scan_exposures
from recsys.eventlog.reader import Damage, read_events
from recsys.eventlog.replay import replay
from recsys.eventlog.writer import EventLogWriter
from recsys.privacy.erasure import erase, search
from recsys.privacy.names import Names, names_of
from recsys.privacy.places import ExposuresPlace, LogPlace, Place, StatePlace
from recsys.privacy.search import files_under, traces
from recsys.registry.bundle import BundleWriter
from recsys.state.sqlite import SqliteUserState

NOW_S = 1_000_000.0
ADA, BOB = "ada.lovelace@example.org", "bob@example.org"
DOORS = {"own names": None, "one key": Pseudonyms(b"k" * 32), "rotated": Pseudonyms(b"n" * 32, b"k" * 32)}
SHOWN = Pseudonyms(b"x" * 32, b"y" * 32)


def fail(damage: Damage) -> None:
    pytest.fail(str(damage))


def watch(event_id: str, user_id: str) -> Event:
    return Event(event_id=event_id, user_id=user_id, kind=EventKind.WATCH, time_s=NOW_S - 9.0, item_id="film")


def shown_to(request_id: str, who: str | None) -> Exposure:
    return Exposure(
        request_id, NOW_S - 9.0, who, "stable", "b" * 16, "recommend", None, 0, override=False, cached=False,
        degraded=[], item_ids=["a"], scores=[1.0], sources=["svd"], propensities=[1.0],
    )  # fmt: skip


def titled(title: str) -> Callable[[BundleWriter], None]:
    return lambda writer: writer.json("titles", [title])


def names(user_id: str, door: Pseudonyms | None) -> Names:
    return names_of(user_id, door=door, exposures=SHOWN)


@pytest.fixture(params=DOORS)
def door(request: pytest.FixtureRequest) -> Pseudonyms | None:
    return DOORS[request.param]


@pytest.fixture
def places(tmp_path: Path, door: Pseudonyms | None) -> list[Place]:
    """Return places that know ada and bob by every name they have had; the log has been replayed."""
    inside = {user: names(user, door).inside for user in (ADA, BOB)}
    with EventLogWriter(tmp_path / "events", "w") as log:
        for user, own in inside.items():
            log.append_durably([watch(f"{user[:3]}-{number}", name) for number, name in enumerate(own)])
        log.append_durably([Erasure(user_id=inside[ADA][0], at_s=NOW_S - 10.0)])
    with SqliteUserState(tmp_path / "state.db") as state:
        replay(tmp_path / "events", state, on_damage=fail)
    rows = [shown_to(f"{user[:3]}{number}", name) for user in (ADA, BOB) for number, name in
            enumerate(names(user, door).shown)]  # fmt: skip
    write_exposures(tmp_path / "exposures", "w", 0, frame_of([chunk_of([*rows, shown_to("n", None)])]))
    return [
        LogPlace(tmp_path / "events"),
        StatePlace(f"sqlite:///{tmp_path / 'state.db'}"),
        ExposuresPlace(tmp_path / "exposures"),
    ]


def test_no_byte_of_any_file_names_the_person_and_everybody_else_stays(
    places: list[Place], tmp_path: Path, door: Pseudonyms | None
) -> None:
    ada, bob = names(ADA, door), names(BOB, door)
    assert search(ada, places).keys() == {"event log", "user state", "exposures"}
    proof = erase(ada, places, at_s=NOW_S, clock=lambda: NOW_S + 1.0)
    assert proof.complete
    n = len(ada.inside)
    assert [dict(place.removed) for place in proof.places] == [
        {"events": n, "erasures": 1, "damaged": 0},
        {"users": n},
        {"answers": 2 * n},
    ]
    everything = b"".join(path.read_bytes() for path in files_under(tmp_path))
    assert not [name for name in (*ada.inside, *ada.shown) if name.encode() in everything]
    assert search(ada, places) == {}
    assert search(bob, places).keys() == {"event log", "user state", "exposures"}
    assert {event.user_id for event in read_events(tmp_path / "events", on_damage=fail)} == {*bob.inside}
    left = set(scan_exposures(tmp_path / "exposures").collect()["user_pseudonym"])
    assert left == {*bob.shown, None}
    with SqliteUserState(tmp_path / "state.db") as state:
        assert [one.item_ids for one in state.read(bob.inside)] == [("film",)] * n


def test_again_it_finds_nothing_to_do(places: list[Place], door: Pseudonyms | None) -> None:
    ada = names(ADA, door)
    erase(ada, places, at_s=NOW_S, clock=lambda: NOW_S)
    again = erase(ada, places, at_s=NOW_S, clock=lambda: NOW_S)
    assert again.complete
    assert [sum(place.removed.values()) for place in again.places] == [0, 0, 0]


def test_what_is_later_stays_and_the_proof_says_where(places: list[Place], door: Pseudonyms | None) -> None:
    proof = erase(names(ADA, door), places, at_s=NOW_S - 20.0, clock=lambda: NOW_S)
    assert not proof.complete
    assert [bool(place.left) for place in proof.places] == [True, True, True]
    assert ADA not in proof.model_dump_json()


def test_the_proof_names_nobody_but_whoever_knows_the_id_can_tell(
    places: list[Place], tmp_path: Path, door: Pseudonyms | None
) -> None:
    ada = names(ADA, door)
    erase(ada, places, at_s=NOW_S, clock=lambda: NOW_S).write(tmp_path / "proofs" / "proof.json")
    content = (tmp_path / "proofs" / "proof.json").read_bytes()
    assert not [name for name in (*ada.inside, *ada.shown) if name.encode() in content]
    assert names(ADA, None).digest == ada.digest != names(BOB, door).digest
    assert ada.digest.encode() in content
    assert (tmp_path / "proofs" / "proof.json").stat().st_mode & 0o777 == 0o600


def test_of_a_short_id_only_what_is_marked_as_a_users_counts(tmp_path: Path) -> None:
    with EventLogWriter(tmp_path / "events", "w") as log:
        log.append_durably([watch("e-42", "42"), watch("e-43", "142")])
    with SqliteUserState(tmp_path / "state.db") as state:
        replay(tmp_path / "events", state, on_damage=fail)
    places: list[Place] = [
        LogPlace(tmp_path / "events"),
        StatePlace(f"sqlite:///{tmp_path / 'state.db'}"),
        ExposuresPlace(tmp_path / "exposures"),
    ]
    short = names("42", None)
    [events] = (tmp_path / "events").iterdir()
    state_url = f"sqlite:///{tmp_path / 'state.db'}"
    assert search(short, places) == {"event log": {str(events): 1}, "user state": {state_url: 1}}
    assert erase(short, places, at_s=NOW_S, clock=lambda: NOW_S).complete
    assert [event.user_id for event in read_events(tmp_path / "events", on_damage=fail)] == ["142"]


def test_a_name_within_the_compressed_columns_of_a_file_is_found(tmp_path: Path) -> None:
    path = write_exposures(
        tmp_path, "w", 0, frame_of([chunk_of([shown_to(f"{ADA}-{n}", None) for n in range(40)])])
    )
    assert traces([path], [ADA])[str(path)] >= 40
    assert traces([path], [BOB]) == {}


def test_a_name_that_lies_across_two_parts_of_a_large_file_is_found_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("recsys.privacy.search._CHUNK_BYTES", 16)
    for before in range(40):
        (tmp_path / "file").write_bytes(b"-" * before + ADA.encode() + b"-" * 7)
        assert traces([tmp_path / "file"], [ADA]) == {str(tmp_path / "file"): 1}
