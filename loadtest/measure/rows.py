"""One row per request, for whoever wants to look closer."""

import polars as pl

from loadtest.measure.facts import facts_of
from loadtest.measure.tally import kind_of
from loadtest.transports.exchange import Exchange

ROWS = pl.Schema(
    {
        "due_s": pl.Float64,  # from the start of the run
        "dispatched_s": pl.Float64,
        "sent_s": pl.Float64,
        "finished_s": pl.Float64,
        "latency_s": pl.Float64,  # from due to finished
        "status": pl.Int16,  # 0: no answer
        "call": pl.String,
        "audience": pl.String,
        "arm": pl.String,
        "bundle": pl.String,
        "degraded": pl.Boolean,
        "cached": pl.Boolean,
        "error": pl.String,  # empty for a good answer
        "worker": pl.Int16,
    }
)
_CHUNK = 20_000  # rows that are kept as Python objects; then they become columns


class RowLog:
    """Keeps the rows of one worker."""

    def __init__(self, worker: int) -> None:
        self._worker = worker
        self._rows: list[tuple[object, ...]] = []
        self._frames: list[pl.DataFrame] = []

    def note(self, exchange: Exchange, started_s: float) -> None:
        """Keep a row of an exchange that has ended."""
        facts = facts_of(exchange.body)
        self._rows.append(
            (
                exchange.due_s - started_s,
                exchange.dispatched_s - started_s,
                exchange.sent_s - started_s,
                exchange.finished_s - started_s,
                exchange.finished_s - exchange.due_s,
                exchange.status,
                exchange.request.call,
                exchange.request.audience,
                facts.arm,
                facts.bundle,
                facts.degraded,
                facts.cached or exchange.from_cache,
                kind_of(exchange),
                self._worker,
            )
        )
        if len(self._rows) >= _CHUNK:
            self._fold()

    def frame(self) -> pl.DataFrame:
        """Return all rows, in the order in which they ended."""
        self._fold()
        return pl.concat(self._frames) if self._frames else pl.DataFrame(schema=ROWS)

    def _fold(self) -> None:
        if self._rows:
            self._frames.append(pl.DataFrame(self._rows, schema=ROWS, orient="row"))
            self._rows = []
