import asyncio
import errno
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from recsys.core.errors import FieldError, UnavailableError
from recsys.data.events import Event, EventKind
from recsys.eventlog.entry import Entry, Erasure
from recsys.eventlog.frame import HEADER_BYTES, Fault
from recsys.eventlog.reader import Damage, read_entries
from recsys.eventlog.writer import EventLogConfig, EventLogWriter


def event(event_id: str, user_id: str = "ada") -> Event:
    return Event(event_id=event_id, user_id=user_id, kind=EventKind.WATCH, time_s=1.0, item_id="film")


def entries_in(folder: Path) -> list[Entry]:
    """All entries of a log that must be whole."""
    damages: list[Damage] = []
    entries = list(read_entries(folder, on_damage=damages.append))
    assert damages == []
    return entries


def ids_in(folder: Path) -> list[str]:
    return [entry.event_id for entry in entries_in(folder) if isinstance(entry, Event)]


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


class Disk:
    """A disk that counts, can be held up, and can fail."""

    def __init__(self) -> None:
        self.n_syncs = 0
        self.failure: OSError | None = None
        self.free = threading.Event()
        self.free.set()
        self.reached = threading.Event()

    def sync(self, descriptor: int) -> None:
        self.n_syncs += 1
        self.reached.set()
        assert self.free.wait(10.0)
        if self.failure is not None:
            raise self.failure
        os.fdatasync(descriptor)


def test_what_was_appended_is_read_in_order(tmp_path: Path) -> None:
    erasure = Erasure(user_id="ada", at_s=9.0)
    with EventLogWriter(tmp_path / "log", "router-1") as writer:
        writer.append_durably([event("1"), event("2")])
        writer.append_durably([erasure])
        writer.append_durably([event("3", "bob")])
    assert entries_in(tmp_path / "log") == [event("1"), event("2"), erasure, event("3", "bob")]
    assert names_in(tmp_path / "log") == ["events-router-1-0000000001.log"]


def test_a_writer_that_wrote_nothing_leaves_no_file(tmp_path: Path) -> None:
    with EventLogWriter(tmp_path, "w") as writer:
        writer.append_durably([])
    assert names_in(tmp_path) == []


def test_an_append_is_not_done_before_the_disk_says_so(tmp_path: Path) -> None:
    disk = Disk()
    disk.free.clear()
    with EventLogWriter(tmp_path, "w", sync=disk.sync) as writer:
        future = writer.append([event("1")])
        assert disk.reached.wait(10.0)
        assert not future.done()
        disk.free.set()
        future.result(10.0)


def test_all_that_wait_for_a_busy_disk_share_the_next_sync(tmp_path: Path) -> None:
    disk = Disk()
    disk.free.clear()
    with EventLogWriter(tmp_path, "w", sync=disk.sync) as writer:
        futures = [writer.append([event("first")])]
        assert disk.reached.wait(10.0)
        futures += [writer.append([event(f"{n}")]) for n in range(50)]
        disk.free.set()
        for future in futures:
            future.result(10.0)
    assert disk.n_syncs == 2
    assert ids_in(tmp_path) == ["first", *(f"{n}" for n in range(50))]


def test_many_threads_need_fewer_syncs_than_appends_and_lose_nothing(tmp_path: Path) -> None:
    disk = Disk()
    with EventLogWriter(tmp_path, "w", sync=disk.sync) as writer:

        def work(name: str) -> None:
            for n in range(20):
                writer.append_durably([event(f"{name}{n}")])

        threads = [threading.Thread(target=work, args=(f"{t}-",)) for t in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(ids_in(tmp_path)) == sorted(f"{t}-{n}" for t in range(16) for n in range(20))
    assert disk.n_syncs < 320


def test_an_event_loop_appends_without_waiting_in_line(tmp_path: Path) -> None:
    disk = Disk()

    async def work(writer: EventLogWriter) -> None:
        await asyncio.gather(*(writer.append_soon([event(f"{n}")]) for n in range(100)))

    with EventLogWriter(tmp_path, "w", sync=disk.sync) as writer:
        asyncio.run(work(writer))
    assert sorted(ids_in(tmp_path), key=int) == [f"{n}" for n in range(100)]
    assert disk.n_syncs < 100


def test_more_than_may_wait_is_refused_at_once(tmp_path: Path) -> None:
    disk = Disk()
    disk.free.clear()
    config = EventLogConfig(max_waiting_bytes=1_000)
    with EventLogWriter(tmp_path, "w", config=config, sync=disk.sync) as writer:
        kept = [writer.append([event("1")]), writer.append([event("2")])]
        with pytest.raises(UnavailableError, match=r"event log .* \d+ bytes are waiting for the disk"):
            writer.append([event("x" * 800)])
        disk.free.set()
        for future in kept:
            future.result(10.0)
        writer.append_durably([event("y" * 2_000)])  # longer than may wait, but nothing waits
    assert ids_in(tmp_path) == ["1", "2", "y" * 2_000]


def test_a_timeout_says_that_it_is_not_known_to_be_kept(tmp_path: Path) -> None:
    disk = Disk()
    disk.free.clear()
    with EventLogWriter(tmp_path, "w", sync=disk.sync) as writer:
        with pytest.raises(UnavailableError, match=r"not on the disk within 0\.05 s"):
            writer.append_durably([event("1")], timeout_s=0.05)
        disk.free.set()


def test_after_a_failed_sync_the_file_is_given_up_and_the_next_append_begins_another(tmp_path: Path) -> None:
    disk = Disk()
    synced: list[int] = []

    def sync(descriptor: int) -> None:
        synced.append(os.fstat(descriptor).st_ino)
        disk.sync(descriptor)

    with EventLogWriter(tmp_path, "w", sync=sync) as writer:
        writer.append_durably([event("1")])
        disk.failure = OSError(errno.EIO, "Input/output error")
        with pytest.raises(UnavailableError, match="Input/output error"):
            writer.append_durably([event("2")])
        disk.failure = None
        writer.append_durably([event("3")])
    first, second = (tmp_path / f"events-w-000000000{n}.log" for n in (1, 2))
    assert synced == [first.stat().st_ino] * 2 + [second.stat().st_ino]
    acknowledged = {"1", "3"}
    assert acknowledged <= set(ids_in(tmp_path)) <= acknowledged | {"2"}


def test_a_full_disk_leaves_no_trail_of_empty_files(tmp_path: Path) -> None:
    disk = Disk()
    disk.failure = OSError(errno.ENOSPC, "No space left on device")
    with EventLogWriter(tmp_path, "w", sync=disk.sync) as writer:
        for n in range(5):
            with pytest.raises(UnavailableError, match="No space left"):
                writer.append_durably([event(f"{n}")])
    assert names_in(tmp_path) == []


def test_a_segment_that_would_grow_too_large_is_closed_and_a_new_one_begun(tmp_path: Path) -> None:
    with EventLogWriter(tmp_path, "w", config=EventLogConfig(segment_bytes=600)) as writer:
        for n in range(12):
            writer.append_durably([event(f"{n}")])
    assert ids_in(tmp_path) == [f"{n}" for n in range(12)]
    sizes = [path.stat().st_size for path in tmp_path.iterdir()]
    assert len(sizes) > 2
    assert max(sizes) <= 600


def test_a_restarted_writer_begins_a_new_segment(tmp_path: Path) -> None:
    for n in range(3):
        with EventLogWriter(tmp_path, "w") as writer:
            writer.append_durably([event(f"{n}")])
    assert ids_in(tmp_path) == ["0", "1", "2"]
    assert names_in(tmp_path) == [f"events-w-000000000{n}.log" for n in (1, 2, 3)]


def test_writers_with_one_name_never_share_a_file(tmp_path: Path) -> None:
    with EventLogWriter(tmp_path, "w") as one, EventLogWriter(tmp_path, "w") as other:
        one.append_durably([event("1")])
        other.append_durably([event("2")])
        one.append_durably([event("3")])
    assert sorted(ids_in(tmp_path)) == ["1", "2", "3"]
    assert names_in(tmp_path) == ["events-w-0000000001.log", "events-w-0000000002.log"]


def test_a_writer_counts_its_own_segments_only(tmp_path: Path) -> None:
    for writer_id in ("w", "w-1", "w"):
        with EventLogWriter(tmp_path, writer_id) as writer:
            writer.append_durably([event("1")])
    assert names_in(tmp_path) == [
        "events-w-0000000001.log",
        "events-w-0000000002.log",
        "events-w-1-0000000001.log",
    ]


def test_a_closed_writer_has_kept_what_it_took_and_takes_no_more(tmp_path: Path) -> None:
    writer = EventLogWriter(tmp_path, "w")
    futures = [writer.append([event(f"{n}")]) for n in range(20)]
    writer.close()
    writer.close()
    assert all(future.done() and future.exception() is None for future in futures)
    assert ids_in(tmp_path) == [f"{n}" for n in range(20)]
    with pytest.raises(UnavailableError, match="closed"):
        writer.append([event("late")])


def test_one_bad_entry_refuses_the_whole_append(tmp_path: Path) -> None:
    with EventLogWriter(tmp_path, "w") as writer, pytest.raises(FieldError):
        writer.append([event("good"), event("\ud800")])
    assert names_in(tmp_path) == []


@pytest.mark.parametrize("writer_id", ["", "a/b", "..\\x", "a b", "é", "x" * 65])
def test_a_writer_id_that_suits_no_file_name_is_refused(tmp_path: Path, writer_id: str) -> None:
    with pytest.raises(FieldError, match="writer_id"):
        EventLogWriter(tmp_path, writer_id)


def test_a_folder_that_cannot_be_made_is_unavailable_by_name(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UnavailableError, match="file"):
        EventLogWriter(tmp_path / "file" / "log", "w")


def test_an_error_that_nobody_thought_of_leaves_nobody_waiting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(threading, "excepthook", lambda _: None)

    def sync(descriptor: int) -> None:
        raise ZeroDivisionError

    writer = EventLogWriter(tmp_path, "w", sync=sync)
    with pytest.raises(UnavailableError, match="ended"):
        writer.append_durably([event("1")], timeout_s=10.0)
    writer.close()
    with pytest.raises(UnavailableError, match="closed"):
        writer.append([event("2")])


APPENDER = """
import sys, threading
from pathlib import Path
from recsys.data.events import Event, EventKind
from recsys.eventlog.writer import EventLogConfig, EventLogWriter
writer = EventLogWriter(Path(sys.argv[1]), "w", config=EventLogConfig(segment_bytes=4_000))
lock = threading.Lock()
def work(name):
    n = 0
    while True:
        ids = [f"{name}-{n}-{k}" for k in range(3)]
        writer.append_durably([Event(event_id=i, user_id="ada", kind=EventKind.WATCH, time_s=1.0, item_id="f")
                               for i in ids])
        with lock:
            print(*ids, sep="\\n", flush=True)
        n += 1
for t in range(4):
    threading.Thread(target=work, args=(t,)).start()
"""


@pytest.mark.parametrize("n_acknowledged", [1, 40, 300])
def test_killed_at_any_moment_every_acknowledged_event_is_in_the_log(
    tmp_path: Path, n_acknowledged: int
) -> None:
    command = [sys.executable, "-c", APPENDER, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        acknowledged = [process.stdout.readline().strip() for _ in range(n_acknowledged)]
        os.kill(process.pid, signal.SIGKILL)
        acknowledged += [line.strip() for line in process.stdout if line.endswith("\n")]
    damages: list[Damage] = []
    entries = list(read_entries(tmp_path, on_damage=damages.append))
    ids = [entry.event_id for entry in entries if isinstance(entry, Event)]
    assert set(acknowledged) <= set(ids)
    assert len(set(ids)) == len(ids)
    assert all(damage.fault is Fault.TORN for damage in damages)
    with EventLogWriter(tmp_path, "w") as writer:
        writer.append_durably([event("after")])
    assert list(read_entries(tmp_path, on_damage=damages.append)) == [*entries, event("after")]


def cut(data: bytes) -> bytes:
    return data[:-5]


def flip(data: bytes) -> bytes:
    return data[: HEADER_BYTES + 20] + b"\x00" + data[HEADER_BYTES + 21 :]


@pytest.mark.parametrize(
    ("harm", "fault", "left"), [(cut, Fault.TORN, ["1", "3"]), (flip, Fault.CORRUPT, ["2", "3"])]
)
def test_damage_in_one_segment_is_told_with_its_place_and_hides_no_other(
    tmp_path: Path, harm: Callable[[bytes], bytes], fault: Fault, left: list[str]
) -> None:
    for ids in (["1", "2"], ["3"]):
        with EventLogWriter(tmp_path, "w") as writer:
            writer.append_durably([event(event_id) for event_id in ids])
    first = tmp_path / "events-w-0000000001.log"
    frame_bytes = (first.stat().st_size - HEADER_BYTES) // 2
    first.write_bytes(harm(first.read_bytes()))
    damages: list[Damage] = []
    entries = list(read_entries(tmp_path, on_damage=damages.append))
    assert entries == [event(event_id) for event_id in left]
    [damage] = damages
    assert (damage.path, damage.fault) == (first, fault)
    assert damage.offset == HEADER_BYTES + (frame_bytes if fault is Fault.TORN else 0)
    assert str(damage).startswith(f"{first}: ")
