from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.transports.http1 import Answer, AnswerReader, NotHttpError


def chunked(parts: list[bytes]) -> bytes:
    sized = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts if part)
    return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + sized + b"0\r\nTrailer: x\r\n\r\n"


def plain(parts: list[bytes]) -> bytes:
    body = b"".join(parts)
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)


def read_in_pieces(reader: AnswerReader, encoded: bytes, cuts: list[int]) -> list[Answer]:
    bounds = [0, *sorted(cut % (len(encoded) + 1) for cut in cuts), len(encoded)]
    found = (reader.feed(encoded[a:b]) for a, b in pairwise(bounds) if a < b)
    return [answer for answer in found if answer is not None]


@given(
    st.lists(st.lists(st.binary(max_size=40), max_size=4), min_size=1, max_size=3),
    st.sampled_from([chunked, plain]),
    st.lists(st.integers(0, 400), max_size=12),
)
def test_an_answer_is_the_same_in_whatever_pieces_it_comes(
    bodies: list[list[bytes]], encode: object, cuts: list[int]
) -> None:
    assert callable(encode)
    reader = AnswerReader()
    for parts in bodies:  # of one connection
        (answer,) = read_in_pieces(reader, b"HTTP/1.1 100 Continue\r\n\r\n" + encode(parts), cuts)
        assert (answer.status, answer.body, answer.keeps) == (200, b"".join(parts), True)


@given(st.binary(min_size=1, max_size=300), st.lists(st.integers(0, 400), max_size=5))
def test_bytes_that_are_no_answer_never_become_one(junk: bytes, cuts: list[int]) -> None:
    reader = AnswerReader()
    try:
        assert read_in_pieces(reader, b"X" + junk + b"\r\n\r\n", cuts) == []
    except NotHttpError:
        return
    assert reader.end() is None


@pytest.mark.parametrize(
    ("head", "keeps"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0", True),
        (b"HTTP/1.1 200 OK\r\ncontent-length:0\r\nconnection:keep-alive", True),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close", False),
        (b"HTTP/1.1 200 OK\r\nconnection:Close\r\nContent-Length: 0", False),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 0", False),
        (b"HTTP/1.1 204 No Content", True),
    ],
)
def test_a_connection_is_kept_unless_the_answer_says_otherwise(head: bytes, keeps: bool) -> None:
    answer = AnswerReader().feed(head + b"\r\n\r\n")
    assert answer is not None
    assert answer.keeps is keeps


def test_more_bytes_than_promised_are_no_answer() -> None:
    with pytest.raises(NotHttpError, match="2 bytes more than the Content-Length"):
        AnswerReader().feed(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nabc")


def test_a_head_without_end_is_refused() -> None:
    with pytest.raises(NotHttpError, match="no end of the head within 65536 bytes"):
        AnswerReader().feed(b"HTTP/1.1 200 OK\r\n" + b"x" * 70_000)
