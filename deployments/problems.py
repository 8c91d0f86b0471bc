"""Problem documents (RFC 9457): which field, what came, what was expected."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from http import HTTPStatus
from random import Random
from typing import Any

import orjson
from pydantic import ValidationError
from starlette.responses import Response

from deployments.retry_after import retry_after_s
from recsys.core.errors import (
    ConflictError,
    FieldError,
    InputError,
    NotFoundError,
    RecsysError,
    UnavailableError,
)

_LONGEST_GOT = 80
_RETRY_SPREAD_S = 3  # whoever was refused at the same moment should not return at the same moment
_chance = Random()

STATUS_OF: dict[type[RecsysError], HTTPStatus] = {
    InputError: HTTPStatus.UNPROCESSABLE_ENTITY,
    NotFoundError: HTTPStatus.NOT_FOUND,
    ConflictError: HTTPStatus.CONFLICT,
    UnavailableError: HTTPStatus.SERVICE_UNAVAILABLE,
}


def status_of(error: RecsysError) -> HTTPStatus:
    """Return the HTTP status of the nearest listed ancestor; 500 when none is listed."""
    listed = (STATUS_OF[kind] for kind in type(error).__mro__ if kind in STATUS_OF)
    return next(listed, HTTPStatus.INTERNAL_SERVER_ERROR)


@dataclass(frozen=True, slots=True)
class Wrong:
    """One field that is wrong."""

    field: str
    got: str
    expected: str

    def __str__(self) -> str:
        return f"{self.field}: got {self.got}; expected {self.expected}"


class RefusalError(InputError):
    """A request that is answered with a problem document."""

    def __init__(
        self,
        status: int,
        detail: str,
        errors: tuple[Wrong, ...] = (),
        headers: tuple[tuple[str, str], ...] = (),
    ) -> None:
        super().__init__(status, detail, errors, headers)
        self.status = HTTPStatus(status)
        self.detail = detail
        self.errors = errors
        self.headers = headers

    def __str__(self) -> str:
        return self.detail


def refusal_for(error: RecsysError) -> RefusalError:
    """Return what to tell the client about an error of ours."""
    if isinstance(error, RefusalError):
        return error
    wrong = (Wrong(error.field, error.got, error.expected),) if isinstance(error, FieldError) else ()
    return RefusalError(status_of(error), str(error), wrong)


def malformed(detail: str, got: str) -> RefusalError:
    """Return the refusal of a body that is not JSON."""
    return RefusalError(HTTPStatus.BAD_REQUEST, detail, (Wrong("body", got, "one JSON document"),))


def invalid(error: ValidationError, *, within: str = "") -> RefusalError:
    """Return the refusal of a request whose fields are wrong.

    Args:
        error: what pydantic found.
        within: path of the checked part.
    """
    return invalid_fields(error.errors(include_url=False, include_context=False), within=within)


def invalid_fields(found: Sequence[Mapping[str, Any]], *, within: str = "") -> RefusalError:
    """Return the refusal that tells of fields as pydantic describes them."""
    if found[0]["type"] == "json_invalid":
        return malformed(found[0]["msg"], shortened(found[0]["input"]))
    errors = tuple(
        Wrong(
            path(part["loc"], within), _got(part["type"], part["input"]), _expected(part["type"], part["msg"])
        )
        for part in found[:10]
    )
    return RefusalError(HTTPStatus.UNPROCESSABLE_ENTITY, "; ".join(str(wrong) for wrong in errors), errors)


def path(location: Sequence[str | int], within: str = "") -> str:
    """Return where a field is, for example ``session[3].item_id``."""
    written = within
    for part in location:
        if isinstance(part, int):
            written += f"[{part}]"
        elif not _is_branch(part):
            written += f".{part}" if written else part
    return written or "body"


def _got(kind: str, value: object) -> str:
    return "nothing" if kind == "missing" else shortened(value)


def _expected(kind: str, message: str) -> str:
    """Return what would have been accepted, in fewer words than pydantic's."""
    if kind == "extra_forbidden":
        return "no field of this name"
    return {"missing": "a value"}.get(kind, message.removeprefix("Input should be "))


def _is_branch(part: str) -> bool:
    """Tell whether pydantic names one of several types here rather than a field."""
    return part in {"id", "event"}


def shortened(value: object) -> str:
    """Return a value for printing, cut to a length that fits into a sentence."""
    text = value.decode(errors="replace") if isinstance(value, bytes | bytearray) else repr(value)
    return text if len(text) <= _LONGEST_GOT else f"{text[:_LONGEST_GOT]}... ({len(text)} characters)"


def problem_response(refusal: RefusalError, request_id: str) -> Response:
    """Return the problem document of a refusal."""
    document = {
        "type": "about:blank",
        "title": refusal.status.phrase,
        "status": int(refusal.status),
        "detail": refusal.detail,
        "request_id": request_id,
        "errors": [asdict(wrong) for wrong in refusal.errors],
    }
    headers = dict(refusal.headers)
    if refusal.status is HTTPStatus.SERVICE_UNAVAILABLE:
        headers.setdefault("Retry-After", str(retry_after_s(0.0, _RETRY_SPREAD_S, _chance)))
    return Response(orjson.dumps(document), refusal.status, headers, media_type="application/problem+json")
