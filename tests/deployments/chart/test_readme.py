"""The table of a chart's values."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from deployments.chart.readme import Value, renewed, table, values_in

CHARTS = sorted((Path(__file__).parents[3] / "charts").glob("*/Chart.yaml"))

TEXT = """\
# About the file.

# -- How many.
n: 2
group:
  # A remark that is not for the table.
  # -- What it
  # is | means.
  list: [a]
  inner:
    # -- Deep.
    flag: false
plain: 1
"""


def test_a_comment_describes_the_value_below_it() -> None:
    assert list(values_in(TEXT)) == [
        Value(("n",), 2, "How many."),
        Value(("group", "list"), ["a"], "What it is | means."),
        Value(("group", "inner", "flag"), False, "Deep."),
    ]


def test_the_table_has_a_row_for_each() -> None:
    assert table(TEXT).splitlines()[2:] == [
        "| n | int | `2` | How many. |",
        '| group.list | list | `["a"]` | What it is \\| means. |',
        "| group.inner.flag | bool | `false` | Deep. |",
    ]


@pytest.mark.parametrize("chart", [path.parent for path in CHARTS], ids=lambda path: path.name)
class TestEveryChart:
    def test_has_a_readme_that_is_not_stale(self, chart: Path) -> None:
        page = (chart / "README.md").read_text()
        assert page == renewed(page, (chart / "values.yaml").read_text()), "run: make chart"

    def test_describes_every_value(self, chart: Path) -> None:
        text = (chart / "values.yaml").read_text()
        described = {value.path for value in values_in(text)}
        for path in leaves(yaml.safe_load(text)):
            assert any(path[:n] in described for n in range(1, len(path) + 1)), ".".join(path)


def leaves(values: object, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Yield the paths of all values that are no groups."""
    if isinstance(values, dict) and values:
        for name, value in values.items():
            yield from leaves(value, (*path, name))
    else:
        yield path
