from pathlib import Path

from recsys.data.events import Event, EventKind
from recsys.eventlog.entry import Erasure, decode_entry, redaction
from recsys.eventlog.frame import HEADER_BYTES, frame, header
from recsys.eventlog.redact import redact
from recsys.eventlog.writer import EventLogConfig, EventLogWriter
from recsys.streams.file_source import FileSource
from recsys.streams.source import Chunk


def event(event_id: str) -> Event:
    return Event(event_id=event_id, user_id="ada", kind=EventKind.WATCH, time_s=1.0, item_id="film")


def write(folder: Path, *event_ids: str, writer_id: str = "w") -> None:
    with EventLogWriter(folder, writer_id, config=EventLogConfig(segment_bytes=500)) as writer:
        for event_id in event_ids:
            writer.append_durably([event(event_id)])


def ids(chunks: list[Chunk]) -> list[str]:
    entries = [decode_entry(message.value or b"") for chunk in chunks for message in chunk.messages]
    return [entry.event_id for entry in entries if isinstance(entry, Event)]


def source_of(folder: Path, taken: dict[str, int] | None = None) -> FileSource:
    found = taken or {}
    return FileSource(folder, lambda _, source: found.get(source, 0))


def test_every_entry_of_every_file_comes_once(tmp_path: Path) -> None:
    write(tmp_path, *"abcdefgh")
    write(tmp_path, "i", writer_id="x")
    source = source_of(tmp_path)
    assert "".join(ids(source.read(5, 0.0))) == "abcde"
    assert "".join(ids(source.read(100, 0.0))) == "fghi"
    assert source.read(100, 0.0) == []
    assert sum(source.lag().values()) == 0


def test_who_begins_anew_goes_on_behind_what_was_taken(tmp_path: Path) -> None:
    write(tmp_path, *"abcdefgh")
    chunks = source_of(tmp_path).read(5, 0.0)
    taken = {chunk.source: chunk.upto for chunk in chunks}
    assert "".join(ids(source_of(tmp_path, taken).read(100, 0.0))) == "fgh"


def test_another_file_of_the_same_name_is_another_source(tmp_path: Path) -> None:
    write(tmp_path / "log", "a")
    taken = {chunk.source: chunk.upto for chunk in source_of(tmp_path / "log").read(9, 0.0)}
    (segment,) = (tmp_path / "log").iterdir()
    segment.unlink()
    write(tmp_path / "log", "b")
    assert segment.exists()
    assert ids(source_of(tmp_path / "log", taken).read(9, 0.0)) == ["b"]


def test_an_entry_that_is_being_written_comes_when_it_is_whole(tmp_path: Path) -> None:
    write(tmp_path, "a")
    (segment,) = tmp_path.iterdir()
    whole = segment.read_bytes()
    source = source_of(tmp_path)
    for n_bytes in (0, HEADER_BYTES - 1, HEADER_BYTES + 3, len(whole) - 1):
        segment.write_bytes(whole[:n_bytes])
        assert source.read(9, 0.0) == []
    segment.write_bytes(whole)
    assert ids(source.read(9, 0.0)) == ["a"]


def test_damage_comes_as_it_is_once_something_whole_stands_behind(tmp_path: Path) -> None:
    write(tmp_path, "a")
    (segment,) = tmp_path.iterdir()
    good = segment.read_bytes()[HEADER_BYTES:]
    bad = bytes([*good[:-1], good[-1] ^ 1])
    segment.write_bytes(header() + good + bad)
    source = source_of(tmp_path)
    assert ids(source.read(9, 0.0)) == ["a"]
    with segment.open("ab") as file:
        file.write(good)
    (chunk,) = source.read(9, 0.0)
    assert [message.damage for message in chunk.messages] == [f"{len(bad)} bytes are corrupt", None]
    assert chunk.messages[0].value == bad
    assert chunk.upto == segment.stat().st_size


def test_a_gap_longer_than_what_is_read_at_once_is_passed(tmp_path: Path) -> None:
    good = frame(b'{"erasure":{"user_id":"ada","at_s":1}}')
    (tmp_path / "events-w-0000000001.log").write_bytes(header() + good + bytes(9 << 20) + good)
    messages = [m for chunk in source_of(tmp_path).read(9, 0.0) for m in chunk.messages]
    assert [message.damage is None for message in messages] == [True]
    source = source_of(tmp_path)
    messages = [m for _ in range(2) for chunk in source.read(9, 0.0) for m in chunk.messages]
    assert [message.damage is None for message in messages] == [True, False, True]


def test_a_folder_that_is_not_there_yet_holds_nothing(tmp_path: Path) -> None:
    source = source_of(tmp_path / "log")
    assert source.read(9, 0.0) == []
    write(tmp_path / "log", "a")
    assert ids(source.read(9, 0.0)) == ["a"]


def test_what_was_redacted_is_no_message_and_who_reads_goes_on_behind_it(tmp_path: Path) -> None:
    write(tmp_path, *"ab")
    write(tmp_path, "c", writer_id="x")
    redact(tmp_path, {"ada": 1.0})
    messages = [message for chunk in source_of(tmp_path).read(9, 0.0) for message in chunk.messages]
    assert [type(decode_entry(message.value or b"")) for message in messages] == [Erasure]


def test_more_redacted_bytes_than_are_read_at_once_are_not_taken_for_the_end(tmp_path: Path) -> None:
    good = frame(b'{"erasure":{"user_id":"ada","at_s":1}}')
    gone = frame(redaction(1 << 19))
    segment = tmp_path / "events-w-0000000001.log"
    segment.write_bytes(header() + good + 20 * gone + good + gone)  # 10 MiB; 4 MiB are read at once
    (chunk,) = source_of(tmp_path).read(9, 0.0)
    assert [message.position for message in chunk.messages] == [HEADER_BYTES]
    source = source_of(tmp_path, {chunk.source: chunk.upto})
    (rest,) = source.read(9, 0.0)
    assert [message.position for message in rest.messages] == [HEADER_BYTES + len(good) + 20 * len(gone)]
    assert source.read(9, 0.0) == []
