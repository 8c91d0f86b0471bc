"""The OpenAPI document: FastAPI describes the paths, this adds the bodies and the words around them."""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic.json_schema import models_json_schema

from deployments.api import EventIn, RecommendRequest

TITLE = "Marquee"
VERSION = "1"
_DESCRIPTION = (
    "Recommends videos. Ask `POST /recommend`, tell what happened with `POST /events`: the very next answer "
    "knows it. Every path stands without `/v1` too. Ids are strings; whole numbers are taken as such. "
    "Unknown users are welcome; unknown fields are refused. A problem document (RFC 9457) names "
    "the field that is wrong. Every answer carries `X-Request-Id`: yours if you sent one. "
    "`X-Marquee-Arm: canary` asks for an arm of the rollout, `X-Marquee-Arm: EXPERIMENT=ARM` for one of an "
    "experiment; such answers say `override` and are left out of statistics."
)
_TEMPLATE = "#/components/schemas/{model}"
_EVENT = {"$ref": _TEMPLATE.format(model=EventIn.__name__)}


def _body(schema: dict[str, Any], examples: list[Any]) -> dict[str, Any]:
    named = {f"example {number}": {"value": value} for number, value in enumerate(examples, start=1)}
    content = {"application/json": {"schema": schema, "examples": named}}
    return {"requestBody": {"required": True, "content": content}}


def _examples(model: type[RecommendRequest] | type[EventIn]) -> list[Any]:
    examples: list[Any] = model.model_json_schema()["examples"]
    return examples


BODIES: dict[str, dict[str, Any]] = {
    "recommend": _body(
        {"$ref": _TEMPLATE.format(model=RecommendRequest.__name__)}, _examples(RecommendRequest)
    ),
    "events": _body(
        {"anyOf": [_EVENT, {"type": "array", "items": _EVENT, "minItems": 1, "maxItems": 1_000}]},
        _examples(EventIn),
    ),
}
"""What the paths with a body accept: they read it themselves, in one pass."""


def describe(api: FastAPI) -> dict[str, Any]:
    """Return the OpenAPI document of an application."""
    document = get_openapi(title=TITLE, version=VERSION, description=_DESCRIPTION, routes=api.routes)
    _, described = models_json_schema(
        [(RecommendRequest, "validation"), (EventIn, "validation")], ref_template=_TEMPLATE
    )
    document["components"]["schemas"].update(described["$defs"])
    for operations in document["paths"].values():
        for operation in operations.values():
            _mend(operation)
    return document


def _mend(operation: dict[str, Any]) -> None:
    """Say that problems are problem documents, and drop what FastAPI adds for its own."""
    for status, answer in operation["responses"].items():
        content = answer.get("content", {})
        if status not in ("200", "202") and "application/json" in content:
            content["application/problem+json"] = content.pop("application/json")
    validation = operation["responses"].get("422", {})
    if "HTTPValidationError" in str(validation):
        del operation["responses"]["422"]
