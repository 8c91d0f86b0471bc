import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.eventlog.frame import HEADER_BYTES, Fault, Frame, Gap, frame, header, scan

PAYLOADS = [b'{"n":1}', b"", b'{"name":"J\xc3\xbcrgen"}', b"x" * 30]
LOG = header() + b"".join(frame(payload) for payload in PAYLOADS)
STARTS = [HEADER_BYTES + sum(len(frame(p)) for p in PAYLOADS[:n]) for n in range(len(PAYLOADS) + 1)]


def payloads(data: bytes) -> list[bytes]:
    return [part.payload for part in scan(data) if isinstance(part, Frame)]


def gaps(data: bytes) -> list[Gap]:
    return [part for part in scan(data) if isinstance(part, Gap)]


def test_a_whole_segment_gives_back_what_was_put_in() -> None:
    assert payloads(LOG) == PAYLOADS
    assert gaps(LOG) == []


def test_a_segment_with_nothing_in_it_is_whole() -> None:
    assert list(scan(header())) == []


@pytest.mark.parametrize("n_bytes", range(len(LOG)))
def test_cut_at_any_byte_all_whole_frames_are_read_and_the_rest_is_torn(n_bytes: int) -> None:
    data = LOG[:n_bytes]
    whole = [start for start in STARTS if start <= n_bytes]
    assert payloads(data) == PAYLOADS[: max(0, len(whole) - 1)]
    end = whole[-1] if whole else 0
    torn = [Gap(end, n_bytes - end, Fault.TORN)] if n_bytes not in STARTS else []
    assert gaps(data) == torn


@pytest.mark.parametrize("position", range(len(LOG)))
@pytest.mark.parametrize("bits", [0x01, 0x80, 0xFF])
def test_one_changed_byte_costs_one_frame_at_most_and_is_reported(position: int, bits: int) -> None:
    data = bytearray(LOG)
    data[position] ^= bits
    hit = sum(start <= position for start in STARTS) - 1  # -1: the header
    expected = [payload for number, payload in enumerate(PAYLOADS) if number != hit]
    assert payloads(bytes(data)) == expected
    [gap] = gaps(bytes(data))
    start, end = (0, HEADER_BYTES) if hit < 0 else (STARTS[hit], STARTS[hit + 1])
    assert (gap.offset, gap.n_bytes) == (start, end - start)
    longer_than_the_file = hit == len(PAYLOADS) - 1 and gap.fault is Fault.TORN
    assert gap.fault is Fault.CORRUPT or longer_than_the_file


def test_a_segment_of_another_version_is_unreadable_not_corrupt() -> None:
    data = header(version=2) + frame(b"new")
    assert list(scan(data)) == [Gap(0, len(data), Fault.UNREADABLE)]


def test_two_damaged_neighbours_are_one_gap_and_reading_goes_on() -> None:
    data = bytearray(LOG)
    data[STARTS[1] - 1] ^= 1
    data[STARTS[2] - 1] ^= 1
    assert payloads(bytes(data)) == PAYLOADS[2:]
    assert gaps(bytes(data)) == [Gap(HEADER_BYTES, STARTS[2] - HEADER_BYTES, Fault.CORRUPT)]


text_payloads = st.lists(st.text(max_size=20).map(str.encode), max_size=6)


@given(text_payloads, st.data())
def test_damage_of_any_kind_never_invents_a_payload_and_accounts_for_every_byte(
    written: list[bytes], data: st.DataObject
) -> None:
    log = bytearray(header() + b"".join(frame(payload) for payload in written))
    for _ in range(data.draw(st.integers(0, 3))):
        log[data.draw(st.integers(0, len(log) - 1))] = data.draw(st.integers(0, 255))
    log = log[: data.draw(st.integers(0, len(log)))]
    parts = list(scan(bytes(log)))
    read = iter(written)
    assert all(part.payload in read for part in parts if isinstance(part, Frame))  # a subsequence
    covered = sum(part.n_bytes if isinstance(part, Gap) else len(frame(part.payload)) for part in parts)
    header_is_whole = bytes(log[:HEADER_BYTES]) == header()
    assert covered == len(log) - (HEADER_BYTES if header_is_whole else 0)


@given(text_payloads, st.binary(min_size=1, max_size=30), st.integers(0, 6))
def test_foreign_bytes_between_frames_hide_no_frame(written: list[bytes], noise: bytes, place: int) -> None:
    frames = [frame(payload) for payload in written]
    frames.insert(place, noise)
    assert payloads(header() + b"".join(frames)) == written
