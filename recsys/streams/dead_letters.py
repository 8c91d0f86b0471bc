"""What cannot be used: kept as it came, with the reason, so that somebody can look and send it again."""

from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import orjson

from recsys.core.durable import append_lines
from recsys.core.errors import UnavailableError
from recsys.streams.message import Message, PoisonError


@dataclass(frozen=True, slots=True)
class Letter:
    """A message that cannot be used."""

    source: str
    message: Message
    poison: PoisonError


class DeadLetters(Protocol):
    """Keeps letters. After a crash one may be there twice: source and position say which it is."""

    def keep(self, letters: Sequence[Letter]) -> None:
        """Return once the letters would survive a crash; UnavailableError when that is not known."""
        ...

    def close(self) -> None:
        """Let go of files and connections."""
        ...


class DeadLetterFile:
    """A :class:`DeadLetters` for who has no broker: a line of JSON each.

    Args:
        path: the file; made with its folder when the first letter comes.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def keep(self, letters: Sequence[Letter]) -> None:
        """Append letters and sync."""
        if not letters:
            return
        try:
            append_lines(self._path, b"".join(_line(letter) for letter in letters))
        except OSError as error:
            raise UnavailableError("dead letters", str(error)) from error

    def close(self) -> None:
        """Do nothing: the file is closed between letters."""


def _line(letter: Letter) -> bytes:
    message = letter.message
    return orjson.dumps(
        {
            "reason": letter.poison.reason,
            "detail": letter.poison.detail,
            "source": letter.source,
            "position": message.position,
            "value_base64": None if message.value is None else b64encode(message.value).decode(),
        },
        option=orjson.OPT_APPEND_NEWLINE,
    )
