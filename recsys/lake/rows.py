"""What comes in, as columns: events, answers that were served, changes of the catalogue."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from operator import attrgetter

import polars as pl

from recsys.core.errors import FieldError
from recsys.data.events import Event
from recsys.eventlog.exposure import Exposure, chunk_of, frame_of
from recsys.lake.layout import CATALOGUE, EVENTS
from recsys.lake.table import Table

_FIELDS = tuple(EVENTS.columns)


class EventTable(Table):
    """Events of people, each once."""

    def append(self, entries: Sequence[Event], *, source: str, upto: int) -> int:
        """Commit events; see :meth:`recsys.lake.table.Table.append_frame`."""
        return self.append_frame(event_rows(entries), source=source, upto=upto)


class ExposureTable(Table):
    """Answers that were served, each once."""

    def append(self, entries: Sequence[Exposure], *, source: str, upto: int) -> int:
        """Commit answers; see :meth:`recsys.lake.table.Table.append_frame`."""
        return self.append_frame(frame_of([chunk_of(entries)] if entries else []), source=source, upto=upto)


class ItemTable(Table):
    """The catalogue: every state that an item was ever in."""

    def append(self, entries: Sequence[dict[str, object]], *, source: str, upto: int) -> int:
        """Commit changes of items; see :meth:`recsys.lake.table.Table.append_frame`.

        Args:
            entries: fields of :data:`recsys.data.schema.ITEMS`, and ``since_s``: the Unix time from which
                they hold.
            source: see there.
            upto: see there.

        Raises:
            FieldError: an entry lacks ``item_id`` or ``since_s``, or a field has a wrong type; and see there.
        """
        with _refusing("items"):
            rows = pl.DataFrame(entries, schema=CATALOGUE.columns)
        return self.append_frame(rows, source=source, upto=upto)


def event_rows(entries: Sequence[Event]) -> pl.DataFrame:
    """Return events as rows, columns of :data:`EVENTS`.

    Raises:
        FieldError: a field is of a wrong type, or text that is not Unicode.
    """
    columns = zip(*map(attrgetter(*_FIELDS), entries), strict=True) if entries else ((),) * len(_FIELDS)
    with _refusing("events"):
        return pl.DataFrame(dict(zip(_FIELDS, columns, strict=True)), schema=EVENTS.columns)


@contextmanager
def _refusing(what: str) -> Iterator[None]:
    """Turn what Polars says of values that fit no column into our words."""
    try:
        yield
    except (TypeError, ValueError, OverflowError, pl.exceptions.PolarsError) as error:
        said = str(error).partition("\n")[0]
        raise FieldError(what, said, "values of the types of the columns") from error
