"""What the benchmark found: tables for a terminal, JSON for machines, docs/performance.md for readers."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from rich.table import Table

from loadtest.bench.machine import in_words
from loadtest.bench.plots import draw_growth, draw_rivals
from loadtest.bench.rows import Row

Figures = dict[str, dict[str, Any]]
"""Section -> what was measured in it, ready for JSON."""

_ABOUT = "20,000 items, 200 candidates, 100 trees; client on the same machine"
_BEGIN, _END = "<!-- measured: {} -->", "<!-- end of {} -->"
_COLUMNS = (
    ("server", "server", ""),
    ("load", "load", ""),
    ("per_s", "answers/s", ".0f"),
    ("p50_ms", "p50 ms", ".1f"),
    ("p95_ms", "p95 ms", ".1f"),
    ("p99_ms", "p99 ms", ".1f"),
    ("failed", "failed", "d"),
    ("degraded", "degraded", "d"),
    ("server_cores", "cores: server", ".2f"),
    ("client_cores", "client", ".2f"),
    ("server_ms", "server ms/answer", ".2f"),
    ("memory_mb", "memory MiB", "d"),
)


def write_figures(section: str, figures: dict[str, Any], folder: Path) -> None:
    """Keep what a section found, so that the document can be made again without it."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{section}.json").write_text(json.dumps(figures, indent=1) + "\n")


def read_figures(folder: Path, sections: Sequence[str]) -> Figures:
    """Return what is kept of those of the sections that were ever measured."""
    paths = {section: folder / f"{section}.json" for section in sections}
    return {section: json.loads(path.read_text()) for section, path in paths.items() if path.is_file()}


def last_line(found: dict[str, Any]) -> str:
    """Return the one line for machines: throughput at the most connections, latency at one."""
    rows: Sequence[Row] = found["rows"]
    loads = list(dict.fromkeys(row["load"] for row in rows if row["load"].endswith("connections")))
    at = {(row["server"], row["load"]): row for row in rows}
    least, most = loads[0], loads[-1]
    graph, alone = at["graph", most], at["graph", least]
    return json.dumps(
        {
            "graph_rps": graph["per_s"],
            "monolith_rps": at["monolith", most]["per_s"],
            "floor_rps": max(floor["floor_per_s"] for floor in found["floors"]),
            "failed": sum(row["failed"] for row in rows if row["server"] == "graph"),
            "p50_ms_1": alone["p50_ms"],
            "p99_ms_1": alone["p99_ms"],
        }
    )


def tables(figures: Figures) -> Iterator[Table]:
    """Yield tables for a terminal."""
    for title, header, lines in _all_tables(figures):
        table = Table(title=title)
        for number, name in enumerate(header):
            table.add_column(name, justify="left" if number == 0 else "right")
        for line in lines:
            table.add_row(*line)
        yield table


def write_document(figures: Figures, folder: Path) -> Path:
    """Put tables and plots into ``performance.md`` beside the folder, between marks; all else stays.

    Args:
        figures: of the sections that have been measured.
        folder: of the figures; plots go there too.
    """
    path = folder.with_name("performance.md")
    text = path.read_text() if path.is_file() else "# Performance\n"
    if "rivals" in figures:
        draw_rivals(figures["rivals"]["rows"], folder / "rivals.png")
    if "growth" in figures:
        draw_growth(figures["growth"]["curves"], folder / "growth.png")
    for section in figures:
        text = _replaced(text, section, _markdown(section, figures, folder.name))
    path.write_text(text)
    return path


def _markdown(section: str, figures: Figures, folder: str) -> str:
    parts = []
    for title, header, lines in _all_tables({section: figures[section]}):
        align = ["---"] + ["---:"] * (len(header) - 1)
        rows = "\n".join(f"| {' | '.join(line)} |" for line in (header, align, *lines))
        parts.append(f"{title}\n\n{rows}")
    if section in ("rivals", "growth"):
        parts.append(f"![{section}]({folder}/{section}.png)")
    parts.append(f"_{in_words(figures[section]['machine'])}_")
    return "\n\n".join(parts)


def _replaced(text: str, section: str, content: str) -> str:
    begin, end = _BEGIN.format(section), _END.format(section)
    block = f"{begin}\n{content}\n{end}"
    before, found, rest = text.partition(begin)
    if not found:
        return f"{text.rstrip()}\n\n{block}\n"
    return before + block + rest.partition(end)[2]


def _all_tables(figures: Figures) -> Iterator[tuple[str, list[str], list[list[str]]]]:
    if "rivals" in figures:
        found = figures["rivals"]
        yield _ABOUT, *_of_rows(found["rows"])
        yield "The models alone, one core, milliseconds per user", *_of_dicts(found["floors"])
    if "crowds" in figures:
        rows = [row for crowd in figures["crowds"]["crowds"] for row in crowd["rows"]]
        yield "Users with a history of 20 items", *_of_rows(rows)
        bare = [
            {name: value for name, value in crowd.items() if name != "rows"}
            for crowd in figures["crowds"]["crowds"]
        ]
        yield "Their stores", *_of_dicts(bare)
    if "cache" in figures:
        yield (
            "The graph without and with its cache, audience of docs/cache.md",
            *_of_dicts(figures["cache"]["rows"]),
        )
    if "rollout" in figures:
        yield (
            "The graph at 64 connections under several traffic documents, by turns; ratio: to the first",
            *_of_dicts(figures["rollout"]["rows"]),
        )
    if "growth" in figures:
        for name, points in figures["growth"]["curves"].items():
            weighed = any(point["memory_mb"] for point in points)
            shown = points if weighed else [{"size": one["size"], "ms": one["ms"]} for one in points]
            yield f"Growth with {name}: milliseconds of one core per user", *_of_dicts(shown)


def _of_rows(rows: Sequence[Row]) -> tuple[list[str], list[list[str]]]:
    header = [title for _, title, _ in _COLUMNS]
    return header, [[f"{row[key]:{form}}" for key, _, form in _COLUMNS] for row in rows]  # type: ignore[literal-required]  # keys of the table above


def _of_dicts(found: Sequence[dict[str, Any]]) -> tuple[list[str], list[list[str]]]:
    header = [name.replace("_", " ") for name in found[0]] if found else []
    return header, [[_cell(value) for value in one.values()] for one in found]


def _cell(value: object) -> str:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return f"{value:,}" if is_number else str(value)
