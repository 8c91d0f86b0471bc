"""Ingest against an exact account of what each part saw; the parts that are away or die are fakes."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.core.errors import UnavailableError
from recsys.data.events import Event, EventKind
from recsys.eventlog.entry import Entry, Erasure, encode_entry
from recsys.eventlog.exposure import Exposure
from recsys.overlay.overlay import NOTHING
from recsys.overlay.sqlite import SqliteOverlay
from recsys.state.sqlite import SqliteUserState
from recsys.streams.dead_letters import DeadLetterFile
from recsys.streams.exposure_message import encode_exposure
from recsys.streams.ingest import Ingest, IngestConfig
from recsys.streams.message import Message
from recsys.streams.source import Chunk, Content

NOW_S = 1_000_000.0


class Killed(BaseException):
    """The process died here."""


class Memory:
    """A table whose rows and positions change together."""

    def __init__(self, key: Callable[[Any], object]) -> None:
        self.rows: dict[object, Any] = {}
        self.positions: dict[str, int] = {}
        self.trouble: Iterator[BaseException | None] = iter(())
        self._key = key

    def append(self, entries: Sequence[Any], *, source: str, upto: int) -> int:
        trouble = next(self.trouble, None)
        if trouble is not None:
            raise trouble
        n_before = len(self.rows)
        for entry in entries:
            self.rows.setdefault(self._key(entry), entry)
        self.positions[source] = upto
        return len(self.rows) - n_before

    def taken(self, source: str) -> int:
        return self.positions.get(source, 0)


class MemoryTables:
    def __init__(self) -> None:
        self.events = Memory(lambda event: (event.user_id, event.event_id))
        self.items = Memory(lambda row: (row["item_id"], row["since_s"]))
        self.exposures = Memory(lambda exposure: exposure.request_id)
        self.erased: list[tuple[str, float]] = []

    def erase(self, user_id: str, at_s: float) -> None:
        self.erased.append((user_id, at_s))


class Given:
    """A source that holds what it is given, and reads on from what was taken when it is opened.

    Messages have keys, as Kafka's have; None stands for a tombstone.
    """

    def __init__(
        self, tables: MemoryTables, *values: bytes | None, content: Content = Content.EVENTS
    ) -> None:
        table: Memory = getattr(tables, content.value)
        self.at = table.taken("given")
        self.values = values
        self.content = content
        self.waited_s: list[float] = []
        self.is_ours = True

    def read(self, n_messages: int, within_s: float) -> list[Chunk]:
        del within_s
        begin, self.at = self.at, min(len(self.values), self.at + n_messages)
        messages = [
            Message(place, value, None if self.content is Content.ITEMS else b"key")
            for place, value in enumerate(self.values[begin : self.at], begin)
        ]
        return [Chunk("given", self.content, messages, self.at)] if messages else []

    def owns(self, chunk: Chunk) -> bool:
        del chunk
        return self.is_ours

    def wait(self, within_s: float) -> None:
        self.waited_s.append(within_s)

    def done(self, chunk: Chunk) -> None:
        del chunk

    def lag(self) -> dict[str, int]:
        return {"given": len(self.values) - self.at}

    def is_at_end(self) -> bool:
        return True

    def close(self) -> None: ...


def event(event_id: str, *, user_id: str = "ada", time_s: float = NOW_S, item_id: str = "film") -> Event:
    return Event(event_id=event_id, user_id=user_id, kind=EventKind.WATCH, time_s=time_s, item_id=item_id)


class World:
    """Everything around ingest, which stays when a process dies."""

    def __init__(self, folder: Path) -> None:
        self.tables = MemoryTables()
        self.state = SqliteUserState(folder / "state.db")
        self.letters = folder / "letters.jsonl"
        self.overlay = SqliteOverlay(folder / "state.catalogue.db", capacity=2)

    def ingest(self, source: Given, *, batch_size: int = 100, is_ending: bool = False) -> Ingest:
        return Ingest(
            source,
            self.state,
            self.tables,
            DeadLetterFile(self.letters),
            overlay=self.overlay,
            config=IngestConfig(batch_size=batch_size),
            is_ending=lambda: is_ending,
            clock=lambda: NOW_S,
        )

    def run(self, *values: bytes | None, batch_size: int = 100, content: Content = Content.EVENTS) -> Ingest:
        ingest = self.ingest(Given(self.tables, *values, content=content), batch_size=batch_size)
        while not ingest.is_done:
            ingest.step()
        return ingest

    def reasons(self) -> list[str]:
        return [orjson.loads(line)["reason"] for line in self.letters.read_bytes().splitlines()]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    one = World(tmp_path)
    yield one
    one.state.close()
    one.overlay.close()


def encoded(*entries: Entry) -> list[bytes]:
    return [encode_entry(entry) for entry in entries]


def test_events_reach_state_and_table(world: World) -> None:
    figures = world.run(*encoded(event("1"), event("2", item_id="other"))).figures
    assert list(world.tables.events.rows) == [("ada", "1"), ("ada", "2")]
    assert world.state.read(["ada"])[0].item_ids == ("film", "other")
    assert (figures.fates["accepted"], figures.n_landed, figures.n_commits) == (2, 2, 1)


def test_exposures_land_once_and_change_nobody(world: World) -> None:
    exposure = Exposure(
        *("r1", NOW_S, "p", "stable", "b", "recommend", None, 0),
        override=False,
        cached=False,
        degraded=[],
        item_ids=["film"],
        scores=[0.5],
        sources=["svd"],
        propensities=[1.0],
    )
    sent = [encode_exposure(exposure), b"{", encode_exposure(exposure)]
    figures = world.run(*sent, content=Content.EXPOSURES).figures
    assert list(world.tables.exposures.rows) == ["r1"]
    assert figures.fates == {"exposure": 2, "poison": 1}
    assert (figures.n_landed, figures.n_known) == (1, 1)
    assert world.reasons() == ["malformed"]
    assert world.state.read(["p"])[0].item_ids == ()


@pytest.mark.parametrize("content", [Content.EVENTS, Content.EXPOSURES])
def test_a_tombstone_is_no_poison(world: World, content: Content) -> None:
    figures = world.run(None, None, content=content).figures
    assert +figures.fates == {"tombstone": 2}
    assert figures.poison == {}
    assert not world.letters.exists()
    assert getattr(world.tables, content.value).positions == {"given": 2}


def test_sent_twice_counts_once(world: World) -> None:
    figures = world.run(*encoded(event("1"), event("1"), event("1")), batch_size=2).figures
    assert (figures.n_landed, figures.n_known) == (1, 2)
    assert (figures.fates["accepted"], figures.fates["duplicate"]) == (1, 2)


def test_what_cannot_be_used_is_kept_with_the_reason_and_holds_up_nothing(world: World) -> None:
    ahead = event("2", time_s=NOW_S + 301.0)
    figures = world.run(b"{", *encoded(ahead, event("1"))).figures
    assert world.reasons() == ["malformed", "future"]
    assert figures.poison == {"malformed": 1, "future": 1}
    assert (figures.fates["poison"], figures.n_landed) == (2, 1)
    assert world.tables.events.positions == {"given": 3}


def test_late_and_out_of_order_events_count_and_are_counted(world: World) -> None:
    times_s = [NOW_S, NOW_S - 10.0, NOW_S - 86_401.0, NOW_S - 5.0]
    events = [event(str(place), time_s=time_s) for place, time_s in enumerate(times_s)]
    figures = world.run(*encoded(*events)).figures
    assert (figures.n_landed, figures.n_late, figures.n_out_of_order) == (4, 1, 3)


def test_an_erasure_reaches_state_and_tables_and_what_comes_later_but_happened_before_does_not(
    world: World,
) -> None:
    erasure = Erasure(user_id="ada", at_s=NOW_S)
    later = event("3", time_s=NOW_S + 1.0)
    figures = world.run(*encoded(event("1"), event("b", user_id="bob")), batch_size=2).figures
    figures = world.run(*encoded(event("1"), event("b", user_id="bob"), erasure, event("2"), later)).figures
    assert world.tables.erased == [("ada", NOW_S)]
    assert figures.fates == {"erasure": 1, "erased": 1, "accepted": 1}
    assert ("ada", "2") not in world.tables.events.rows
    assert world.state.read(["ada"])[0].item_ids == ("film",)
    assert world.state.read(["bob"])[0].item_ids == ("film",)


def test_changes_of_the_catalogue_reach_the_items(world: World) -> None:
    figures = world.run(
        b'{"item_id": "film", "since_s": 1}', b'{"item_id": 3}', content=Content.ITEMS
    ).figures
    assert list(world.tables.items.rows) == [("film", 1.0)]
    assert figures.fates == {"item": 1, "poison": 1}


def test_changes_of_the_catalogue_reach_what_is_served_once_and_those_without_room_are_counted(
    world: World,
) -> None:
    told = [b'{"item_id": "%b", "since_s": 1}' % name for name in (b"film", b"film", b"other", b"one-more")]
    assert world.run(*told, content=Content.ITEMS).figures.overlaid == {"new": 2, "older": 1, "full": 1}
    assert set(world.overlay.read(NOTHING).items) == {"film", "other"}
    assert len(world.tables.items.rows) == 3  # the lake has room


def test_while_the_table_is_away_nothing_is_read_and_the_batch_is_tried_again(world: World) -> None:
    full = UnavailableError("lake", "[Errno 28] No space left on device")
    world.tables.events.trouble = iter([full, full, full])
    source = Given(world.tables, *encoded(event("1"), event("2")))
    ingest = world.ingest(source, batch_size=1)
    ingest.step()
    assert source.at == 1
    assert source.waited_s == [0.5, 1.0, 2.0]
    assert (ingest.figures.troubles["lake"], ingest.figures.n_landed) == (3, 1)
    assert "No space left" in str(ingest.figures.latest_trouble)
    world.tables.events.trouble = iter([full])
    ingest.step()
    assert source.waited_s[3:] == [0.5]  # patience is as short as before
    assert ingest.figures.n_landed == 2


def test_while_the_state_is_away_no_position_moves(world: World) -> None:
    world.state.close()
    source = Given(world.tables, *encoded(event("1")))
    ingest = world.ingest(source, is_ending=True)
    ingest.step()
    assert world.tables.events.positions == {}
    assert ingest.figures.troubles == {"user state": 1}
    assert ingest.figures.n_messages == 0


def test_a_batch_that_belongs_to_somebody_else_by_now_is_dropped(world: World) -> None:
    source = Given(world.tables, *encoded(event("1")))
    source.is_ours = False
    world.ingest(source).step()
    assert world.tables.events.rows == {}


@given(
    st.lists(st.tuples(st.integers(0, 12), st.integers(0, 2)), max_size=25),
    st.lists(st.booleans(), max_size=8),
    st.integers(1, 5),
)
def test_dying_anywhere_and_beginning_anew_loses_nothing_and_counts_nothing_twice(
    tmp_path_factory: pytest.TempPathFactory,
    sent: list[tuple[int, int]],
    deaths: list[bool],
    batch_size: int,
) -> None:
    values = encoded(*(event(f"{n}", user_id=f"u{who}", item_id=f"i{n}", time_s=float(n)) for n, who in sent))
    world = World(tmp_path_factory.mktemp("world"))
    calm = World(tmp_path_factory.mktemp("calm"))
    world.tables.events.trouble = (Killed() if death else None for death in deaths)
    ended = False
    while not ended:
        ingest = world.ingest(Given(world.tables, *values), batch_size=batch_size)
        try:
            while not ingest.is_done:
                ingest.step()
            ended = True
        except Killed:
            continue
    calm.run(*values)
    users = [f"u{who}" for who in range(3)]
    assert set(world.tables.events.rows) == {(f"u{who}", f"{n}") for n, who in sent}
    assert world.tables.events.positions == ({"given": len(values)} if values else {})
    for one, other in zip(world.state.read(users), calm.state.read(users), strict=True):
        assert (one.item_ids, one.seen) == (other.item_ids, other.seen)
    world.state.close()
    calm.state.close()
