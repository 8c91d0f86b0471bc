"""The table of a chart's values for its README: from the comments in ``values.yaml``, as helm-docs does."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

import yaml

BEGIN: Final = "<!-- the values: make chart -->\n"
END: Final = "<!-- end of the values -->\n"
_KEY: Final = re.compile(r"^( *)([A-Za-z][\w.-]*):")
_MARK: Final = "# -- "
_SHOWN: Final = 120  # characters of a default


class Value(NamedTuple):
    """A value as the README lists it."""

    path: tuple[str, ...]
    default: Any  # whatever YAML holds
    what: str


def values_in(text: str) -> Iterator[Value]:
    """Yield every value that has a comment ``# --``, in the order of the file.

    Args:
        text: of ``values.yaml``.
    """
    values = yaml.safe_load(text)
    above: list[tuple[int, str]] = []  # the keys that a line stands below, with their indentation
    comment: list[str] = []
    for line in text.splitlines():
        stripped = line.strip()
        if stripped.startswith(_MARK):
            comment = [stripped.removeprefix(_MARK)]
        elif comment and stripped.startswith("#"):
            comment.append(stripped.removeprefix("#").strip())
        elif (key := _KEY.match(line)) is not None:
            indent = len(key[1])
            above = [*((at, name) for at, name in above if at < indent), (indent, key[2])]
            if comment:
                path = tuple(name for _, name in above)
                yield Value(path, _at(values, path), " ".join(comment))
            comment = []
        elif not stripped.startswith("#"):
            comment = []


def table(text: str) -> str:
    """Return the table in Markdown.

    Args:
        text: of ``values.yaml``.
    """
    rows = ["| Key | Type | Default | Description |", "|-----|------|---------|-------------|"]
    for path, default, what in values_in(text):
        rows.append(f"| {'.'.join(path)} | {_type(default)} | `{_shown(default)}` | {_cell(what)} |")
    return "".join(f"{row}\n" for row in rows)


def renewed(page: str, text: str) -> str:
    """Return a README with the table of now.

    Args:
        page: the README.
        text: of ``values.yaml``.
    """
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{table(text)}\n{END}{after}"


def renew(chart: Path) -> None:
    """Write the table of a chart's values into its README."""
    readme = chart / "README.md"
    readme.write_text(renewed(readme.read_text(), (chart / "values.yaml").read_text()))


def _at(values: Any, path: tuple[str, ...]) -> Any:  # noqa: ANN401 - whatever YAML holds
    for name in path:
        values = values[name]
    return values


def _type(default: object) -> str:
    names = {bool: "bool", int: "int", float: "float", str: "string", list: "list", dict: "object"}
    return names.get(type(default), "object")


def _shown(default: object) -> str:
    text = json.dumps(default)
    return _cell(text if len(text) <= _SHOWN else "see values.yaml")


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
