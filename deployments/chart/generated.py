"""What the charts take from the program, as the files that Helm reads."""

import json
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel

from deployments.chart.job_values import JobValues
from deployments.chart.readme import renew
from deployments.chart.values import ChartValues
from deployments.serve_environment import SERVE_ENVIRONMENT

SCHEMA_FILE: Final = "values.schema.json"
ENVIRONMENT_FILE: Final = "files/serve-environment.json"
_DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"


def values_schema(values: type[BaseModel] = ChartValues) -> dict[str, Any]:
    """Return the schema against which Helm holds values, once merged with ``values.yaml``."""
    return {"$schema": _DIALECT, **_closed(values.model_json_schema(by_alias=True))}


def _closed(node: Any) -> Any:  # noqa: ANN401 - any part of a schema
    """Return a schema whose maps with patterned keys take no other keys either; pydantic leaves them open."""
    if isinstance(node, list):
        return [_closed(part) for part in node]
    if not isinstance(node, dict):
        return node
    closed = {"additionalProperties": False} if "patternProperties" in node else {}
    return closed | {key: _closed(part) for key, part in node.items()}


def generated_files() -> dict[str, str]:
    """Return the content of each file that nobody writes by hand, by its path in the folder of all charts."""
    contents = {
        f"marquee/{SCHEMA_FILE}": values_schema(),
        f"marquee/{ENVIRONMENT_FILE}": SERVE_ENVIRONMENT,
        f"marquee-job/{SCHEMA_FILE}": values_schema(JobValues),
    }
    return {path: json.dumps(content, indent=2) + "\n" for path, content in contents.items()}


def write(charts: Path) -> None:
    """Write these files, and the tables of values into the charts' READMEs."""
    for path, content in generated_files().items():
        (charts / path).write_text(content)
    for readme in charts.glob("*/README.md"):
        renew(readme.parent)
