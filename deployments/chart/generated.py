"""What the chart takes from the program, as the files that Helm reads."""

import json
from pathlib import Path
from typing import Any, Final

from deployments.chart.values import ChartValues
from deployments.serve_environment import SERVE_ENVIRONMENT

SCHEMA_FILE: Final = "values.schema.json"
ENVIRONMENT_FILE: Final = "files/serve-environment.json"
_DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"


def values_schema() -> dict[str, Any]:
    """Return the schema against which Helm holds the values, once merged with ``values.yaml``."""
    return {"$schema": _DIALECT, **_closed(ChartValues.model_json_schema(by_alias=True))}


def _closed(node: Any) -> Any:  # noqa: ANN401 - any part of a schema
    """Return a schema whose maps with patterned keys take no other keys either; pydantic leaves them open."""
    if isinstance(node, list):
        return [_closed(part) for part in node]
    if not isinstance(node, dict):
        return node
    closed = {"additionalProperties": False} if "patternProperties" in node else {}
    return closed | {key: _closed(part) for key, part in node.items()}


def generated_files() -> dict[str, str]:
    """Return the content of each file of the chart that nobody writes by hand, by its path in the chart."""
    contents = {SCHEMA_FILE: values_schema(), ENVIRONMENT_FILE: SERVE_ENVIRONMENT}
    return {path: json.dumps(content, indent=2) + "\n" for path, content in contents.items()}


def write(chart: Path) -> None:
    """Write these files into the folder of the chart."""
    for path, content in generated_files().items():
        (chart / path).write_text(content)
