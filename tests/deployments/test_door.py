"""Pseudonyms at the door: what is kept behind it holds no user id."""

import asyncio
import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import httpx
import orjson
import pytest

from deployments.cache import AnswerCache
from deployments.door import OPEN_DOOR, Door, open_door
from deployments.exposures import open_exposures
from deployments.ingress import make_app
from deployments.intake import Intake
from deployments.service import Service
from deployments.settings import CacheSettings, ExposureSettings, PrivacySettings
from recsys.core.clock import monotonic_clock
from recsys.core.errors import FieldError
from recsys.core.pseudonyms import DOOR_KEY_VARIABLE, Pseudonyms
from recsys.eventlog.entry import Entry, Erasure
from recsys.eventlog.exposure_reader import scan_exposures
from recsys.eventlog.exposure_writer import ExposureConfig
from recsys.eventlog.reader import read_entries, read_erasures
from recsys.eventlog.writer import EventLogWriter
from recsys.state.store import UserStateStore

NOW_S = 1_000_000.0
WHO = "ada.lovelace@example.org"
KEY = b"k" * 32
INSIDE = Pseudonyms(KEY).of(WHO)
LONG_AGO = ExposureConfig(keep_days=1e6)  # the clock of the replica stands in 1970


class Log(Protocol):
    entries: list[Entry]


class Replica(Protocol):
    service: Service
    state: UserStateStore
    log: Log


Replicas = Callable[..., Replica]


def calls(service: Service, *requests: tuple[str, str, object]) -> list[httpx.Response]:
    async def run() -> list[httpx.Response]:
        transport = httpx.ASGITransport(app=make_app(service))
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            return [
                await client.request(method, path, content=None if body is None else orjson.dumps(body))
                for method, path, body in requests
            ]

    return asyncio.run(run())


def watch(event_id: str, item_id: str) -> dict[str, object]:
    return {"event_id": event_id, "user_id": WHO, "kind": "watch", "item_id": item_id}


def test_no_byte_behind_the_door_holds_the_id(replica_of: Replicas, tmp_path: Path) -> None:
    home = tmp_path / "home"
    cache = AnswerCache(CacheSettings(), monotonic_clock)
    exposures = open_exposures(ExposureSettings(folder=home / "exposures", files=LONG_AGO), "w")
    replica = replica_of(
        door=Door(Pseudonyms(KEY)), database="home/state.db", exposures=exposures, cache=cache
    )
    with EventLogWriter(home / "events", "w") as log:
        intake = Intake(log, replica.state, deadline_s=5.0)
        service = dataclasses.replace(replica.service, intake=intake)
        answers = calls(
            service,
            ("POST", "/events", [watch("e1", "i0"), watch("e2", "i2")]),
            ("POST", "/recommend", {"user_id": WHO, "session_id": "visit"}),
            ("POST", "/v1/recommend", {"user_id": WHO, "top_n": 3}),
            ("GET", f"/recommend/{WHO}", None),
        )
        assert [answer.status_code for answer in answers] == [202, 200, 200, 200]
        seen = [item["item_id"] for answer in answers[1:] for item in answer.json()["items"]]
        assert not {"i0", "i2"} & {*seen}  # it is the same user at every call
        kept = b"".join(path.read_bytes() for path in home.rglob("*") if path.is_file())
        assert kept.count(INSIDE.encode()) >= 3  # in the log twice, and in the state: the search finds names
        service.router.close()
        kept = b"".join(path.read_bytes() for path in home.rglob("*") if path.is_file())
        assert WHO.encode() not in kept
        assert WHO.encode() not in repr(cache.__dict__).encode()
        names = set(scan_exposures(home / "exposures").collect()["user_pseudonym"])
        assert names == {Pseudonyms.of_file(home / "exposures.key").of(INSIDE)}  # readers hash the log's name
        intake.close()


def test_an_erasure_covers_the_names_under_all_keys_and_the_answer_says_the_clients_name(
    replica_of: Replicas,
) -> None:
    new, old = b"n" * 32, KEY
    before = replica_of(door=Door(Pseudonyms(old)))
    calls(before.service, ("POST", "/events", watch("e1", "i0")))
    after = replica_of(door=Door(Pseudonyms(new, old)))  # the same state, after a rotation
    calls(after.service, ("POST", "/events", watch("e2", "i2")))
    names = list(Pseudonyms(new, old).all_of(WHO))
    assert [state.item_ids for state in after.state.read(names)] == [("i2",), ("i0",)]
    [answer] = calls(after.service, ("DELETE", f"/users/{WHO}", None))
    assert answer.json() == {"user_id": WHO, "erased_at_s": NOW_S, "status": "erased"}
    assert [state.item_ids for state in after.state.read(names)] == [(), ()]
    assert after.log.entries[1:] == [Erasure(user_id=name, at_s=NOW_S) for name in names]


def test_the_allow_list_names_users_as_the_operator_knows_them(
    replica_of: Replicas, ramp: Callable[..., None]
) -> None:
    replica = replica_of(door=Door(Pseudonyms(KEY)))
    ramp(replica, 0.0, overrides={WHO: "canary"})
    of_ada, of_bob = calls(
        replica.service, ("POST", "/recommend", {"user_id": WHO}), ("POST", "/recommend", {"user_id": "bob"})
    )
    assert (of_ada.json()["arm"], of_bob.json()["arm"]) == ("canary", "stable")


def test_whoever_is_not_named_has_no_name_inside_either(replica_of: Replicas) -> None:
    behind, before = (
        calls(replica_of(door=door).service, ("POST", "/recommend", {}))[0].json()["items"]
        for door in (Door(Pseudonyms(KEY)), OPEN_DOOR)
    )
    assert behind == before


def test_with_the_door_open_everybody_keeps_their_own_name(replica_of: Replicas, tmp_path: Path) -> None:
    replica = replica_of()
    calls(replica.service, ("POST", "/events", watch("e1", "i0")), ("DELETE", "/users/bob", None))
    assert [entry.user_id for entry in replica.log.entries] == [WHO, "bob"]
    assert open_door(PrivacySettings(), tmp_path / "events") is OPEN_DOOR
    assert not [*tmp_path.glob("*.key")]


def test_the_key_is_made_beside_the_event_log_or_read_from_where_the_settings_say(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "named").write_bytes(KEY)
    monkeypatch.delenv(DOOR_KEY_VARIABLE, raising=False)
    named = PrivacySettings(pseudonymise=True, key=tmp_path / "named")
    assert open_door(named, tmp_path / "events").name(WHO) == INSIDE
    made = open_door(PrivacySettings(pseudonymise=True), tmp_path / "events")
    assert made.name(WHO) == Pseudonyms.of_file(tmp_path / "events.key").of(WHO) != INSIDE
    monkeypatch.setenv(DOOR_KEY_VARIABLE, str(tmp_path / "named"))
    assert open_door(PrivacySettings(pseudonymise=True), tmp_path / "events").name(WHO) == INSIDE


def test_erasures_of_the_log_are_those_of_the_names_inside(replica_of: Replicas, tmp_path: Path) -> None:
    replica = replica_of(door=Door(Pseudonyms(KEY)))
    with EventLogWriter(tmp_path / "events", "w") as log:
        intake = Intake(log, replica.state, deadline_s=5.0)
        calls(dataclasses.replace(replica.service, intake=intake), ("DELETE", f"/users/{WHO}", None))
        intake.close()
    assert read_erasures(tmp_path / "events") == {INSIDE: NOW_S}
    assert [entry.user_id for entry in read_entries(tmp_path / "events", on_damage=print)] == [INSIDE]


def test_a_log_that_is_no_folder_has_no_key_beside_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv(DOOR_KEY_VARIABLE, raising=False)
    settings = PrivacySettings(pseudonymise=True)
    with pytest.raises(FieldError, match=r"privacy\.key"):
        open_door(settings, "kafka://broker:9092/marquee")
    (tmp_path / "key").write_bytes(KEY)
    monkeypatch.setenv(DOOR_KEY_VARIABLE, str(tmp_path / "key"))
    assert open_door(settings, "kafka://broker:9092/marquee").name(WHO) == INSIDE
