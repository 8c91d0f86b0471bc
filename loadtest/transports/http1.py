"""Reads HTTP/1.1 answers from bytes, in whatever pieces they come. No input or output here."""

from loadtest.transports.exchange import Failure
from recsys.core.errors import InputError

_END_OF_HEAD = b"\r\n\r\n"
_LONGEST_HEAD = 1 << 16
_LONGEST_CHUNK_LINE = 1 << 10
_INTERIM = ord("1")
_NO_BODY = frozenset({204, 304})


class NotHttpError(InputError):
    """The bytes are not an HTTP/1.1 answer."""

    failure = Failure.PROTOCOL


class Answer:
    """One whole answer.

    Attributes:
        status: three digits.
        head: status line and header fields, lower case.
        body: decoded of chunks.
        keeps: whether the connection can be used again.
    """

    __slots__ = ("body", "head", "keeps", "status")

    def __init__(self, status: int, head: bytes, body: bytes, keeps: bool) -> None:
        self.status = status
        self.head = head
        self.body = body
        self.keeps = keeps

    @property
    def retry_after(self) -> bool:
        """Whether it says when to come back."""
        return b"\r\nretry-after:" in self.head

    @property
    def from_cache(self) -> bool:
        """Whether it says that it comes from a cache."""
        return b"cache: hit" in self.head  # X-Cache, X-Marquee-Cache


class AnswerReader:
    r"""Reads the answers of one connection, one after the other.

    >>> reader = AnswerReader()
    >>> reader.feed(b"HTTP/1.1 200 OK\r\nContent-Le")
    >>> reader.feed(b"ngth: 2\r\n\r\nhi").body
    b'hi'
    """

    __slots__ = ("_chunked", "_head", "_keeps", "_left", "_parts", "_pending", "_status")

    def __init__(self) -> None:
        self._pending = b""  # bytes not understood yet
        self._head = b""  # of the answer under way; empty between answers
        self._status = 0
        self._keeps = True
        self._chunked = False
        self._left = 0  # bytes of the body, or of the chunk, still to come; -1: until the connection ends
        self._parts: list[bytes] = []

    def feed(self, data: bytes) -> Answer | None:
        """Take bytes; return the answer once it is whole.

        Raises:
            NotHttpError: the bytes are no answer, or more than one.
        """
        if not self._head and not self._pending:
            answer = _simple_answer(data)
            if answer is not None:
                return answer
        if self._pending:
            data = self._pending + data
            self._pending = b""
        while not self._head:
            end = data.find(_END_OF_HEAD)
            if end < 0:
                if len(data) > _LONGEST_HEAD:
                    raise NotHttpError(f"no end of the head within {_LONGEST_HEAD} bytes")
                self._pending = data
                return None
            self._begin(data[:end].lower())
            data = data[end + 4 :]
        if self._chunked:
            return self._feed_chunked(data)
        return self._feed_plain(data)

    def end(self) -> Answer | None:
        """The connection has ended; return the answer that lasted until then, if there is one."""
        if self._head and self._left < 0 and not self._chunked:
            return self._whole(b"".join(self._parts))
        return None

    def _begin(self, head: bytes) -> None:
        if not head.startswith(b"http/1.") or not head[9:12].isdigit():
            raise NotHttpError(f"a status line of HTTP/1.1 expected, got {head[:40]!r}")
        self._status = int(head[9:12])
        if 100 <= self._status < 200:
            return  # an interim answer: the real one follows
        self._head = head
        self._keeps = head[7:8] == b"1" and b"close" not in _field(head, b"\r\nconnection:")
        self._chunked = b"chunked" in _field(head, b"\r\ntransfer-encoding:")
        if self._chunked or self._status in _NO_BODY:
            self._left = 0
        else:
            self._left = _content_length(head)
            self._keeps = self._keeps and self._left >= 0

    def _feed_plain(self, data: bytes) -> Answer | None:
        self._parts.append(data)
        if self._left < 0:
            return None
        self._left -= len(data)
        if self._left > 0:
            return None
        if self._left < 0:
            raise NotHttpError(f"{-self._left} bytes more than the Content-Length")
        return self._whole(b"".join(self._parts))

    def _feed_chunked(self, data: bytes) -> Answer | None:
        while True:
            if self._left > 0:  # within a chunk and the line end behind it
                if not data:
                    return None
                taken = data[: self._left]
                self._parts.append(taken)
                self._left -= len(taken)
                data = data[len(taken) :]
                if self._left > 0:
                    return None
                self._parts[-1], ended = _without_line_end(self._parts)
                if not ended:
                    raise NotHttpError("a chunk that is longer than it says")
            line_end = data.find(b"\r\n")
            if line_end < 0:
                if len(data) > _LONGEST_CHUNK_LINE:
                    raise NotHttpError("no end of a chunk's first line")
                self._pending = data
                return None
            size = _chunk_size(data[:line_end])
            if size == 0:
                return self._after_last_chunk(data, line_end)
            self._left = size + 2
            data = data[line_end + 2 :]

    def _after_last_chunk(self, data: bytes, line_end: int) -> Answer | None:
        end = data.find(_END_OF_HEAD, line_end)  # there may be trailers
        if end < 0:
            self._pending = data
            return None
        if len(data) > end + 4:
            raise NotHttpError("bytes behind the last chunk")
        return self._whole(b"".join(self._parts))

    def _whole(self, body: bytes) -> Answer:
        answer = Answer(self._status, self._head, body, self._keeps)
        self._head = b""
        self._parts = []
        return answer


def _simple_answer(data: bytes) -> Answer | None:
    """Return the answer if it is of the most frequent kind: whole, in one piece, with a Content-Length.

    It saves about half of the time of reading; everything else goes the long way.
    """
    end = data.find(_END_OF_HEAD)
    head = data[:end].lower()
    at = head.find(b"\r\ncontent-length: ")
    status = head[9:12]
    if (
        at < 0
        or not head.startswith(b"http/1.1 ")
        or not status.isdigit()
        or b"\r\nconnection:" in head
        or b"\r\ntransfer-encoding:" in head
        or status[0] == _INTERIM
    ):
        return None
    line_end = head.find(b"\r", at + 18)
    length = head[at + 18 :] if line_end < 0 else head[at + 18 : line_end]
    if not length.isdigit() or int(length) != len(data) - end - 4:
        return None
    return Answer(int(status), head, data[end + 4 :], True)


def _field(head: bytes, name: bytes) -> bytes:
    """Return the value of a header field; nothing when it is absent."""
    at = head.find(name)
    if at < 0:
        return b""
    begin, end = at + len(name), head.find(b"\r\n", at + 2)
    return head[begin:].strip() if end < 0 else head[begin:end].strip()


def _content_length(head: bytes) -> int:
    """Return the length that the head promises; -1 when the body lasts until the connection ends."""
    text = _field(head, b"\r\ncontent-length:")
    if text.isdigit():
        return int(text)
    if text:
        raise NotHttpError(f"Content-Length {text[:40]!r}")
    return -1


def _chunk_size(line: bytes) -> int:
    text = line.partition(b";")[0].strip()
    try:
        size = int(text, 16)
    except ValueError:
        raise NotHttpError(f"the size of a chunk expected, got {text[:40]!r}") from None
    if size < 0:
        raise NotHttpError(f"the size of a chunk expected, got {text[:40]!r}")
    return size


def _without_line_end(parts: list[bytes]) -> tuple[bytes, bool]:
    """Return the last part without the line end that closes a chunk, and whether there was one."""
    last = parts[-1]
    if len(last) == 1:  # the line end came in two pieces
        before = parts[-2] if len(parts) > 1 else b""
        if last == b"\n" and before.endswith(b"\r"):
            parts[-2] = before[:-1]
            return b"", True
        return last, False
    return last[:-2], last.endswith(b"\r\n")
