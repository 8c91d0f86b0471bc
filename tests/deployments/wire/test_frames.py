import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployments.wire.frames import Frame, FrameError, FrameReader, Kind, frame, packed, unpacked

frames = st.lists(
    st.tuples(
        st.sampled_from(Kind),
        st.integers(0, 2**64 - 1),
        st.lists(st.binary(max_size=40), max_size=4),
    ),
    max_size=5,
)


def written(kind: Kind, call: int, parts: list[bytes]) -> bytes:
    return b"".join(frame(kind, call, parts))


def told(came: Frame) -> tuple[Kind, int, list[bytes]]:
    return came.kind, came.call, [bytes(part) for part in came.parts]


@given(sent=frames, cuts=st.lists(st.integers(1, 50), max_size=40))
def test_frames_come_out_as_they_went_in_however_the_bytes_are_cut(
    sent: list[tuple[Kind, int, list[bytes]]], cuts: list[int]
) -> None:
    stream = b"".join(written(*one) for one in sent)
    reader, came, place = FrameReader(), [], 0
    for cut in [*cuts, len(stream)]:
        came += [told(one) for one in reader.feed(stream[place : place + cut])]
        place += cut
    assert came == sent


def test_a_frame_is_a_head_of_ten_bytes_a_length_per_part_and_the_parts() -> None:
    assert written(Kind.CALL, 258, [b"ab", b"c"]) == (
        b"\x02\x02" + b"\x02\x01\0\0\0\0\0\0" + b"\x02\0\0\0" + b"\x01\0\0\0" + b"abc"
    )


def test_a_frame_that_is_too_long_is_an_error_before_it_has_come() -> None:
    head = written(Kind.CALL, 1, [b"x" * 1_000])[:20]
    with pytest.raises(FrameError, match="frame of 1014 bytes, expected at most 1000"):
        list(FrameReader(most_bytes=1_000).feed(head))


def test_a_frame_of_no_known_kind_is_an_error() -> None:
    with pytest.raises(FrameError, match=r"frame of kind 71, expected one of \[1, 2, 3, 4, 5\]"):
        list(FrameReader().feed(b"GET / HTTP/1.1\r\n\r\n"))


def test_what_is_packed_comes_back() -> None:
    assert unpacked(memoryview(packed({"users": [1, 2]}))) == {"users": [1, 2]}
