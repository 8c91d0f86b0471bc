"""The HTTP face of a router: paths, checks, and the document that describes them.

No ``from __future__ import annotations`` here: FastAPI reads the annotations of the handlers.
"""

import os
import pathlib
from collections.abc import Callable, Sequence
from typing import Annotated, Any, NamedTuple, TypeVar

import orjson
from fastapi import APIRouter, FastAPI, Path, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse
from pydantic import BaseModel, ValidationError
from starlette.exceptions import HTTPException
from starlette.responses import PlainTextResponse, Response
from starlette.types import Receive, Scope, Send

from deployments.api import (
    MAX_ID_LENGTH,
    ErasureAnswer,
    EventsAnswer,
    ItemAnswer,
    NoQuery,
    PageQuery,
    ProblemOut,
    RecommendAnswer,
    RecommendRequest,
)
from deployments.docs_page import DOCS_PAGE
from deployments.edge import ARRIVED_S, OVERLOADED, PREFIX, SORRY, Edge, body_of, request_id_of
from deployments.events import read_events
from deployments.metrics import EVENTS
from deployments.metrics_files import CONTENT_TYPE, MULTIPROCESS_VARIABLE, page
from deployments.openapi import BODIES, describe
from deployments.problems import RefusalError, invalid, invalid_fields, problem_response, refusal_for
from deployments.question import Answer, Degradation, Question
from deployments.service import Service
from deployments.wishes import wishes_in
from recsys.core.errors import RecsysError

_JSON = "application/json"
_OK, _ACCEPTED = 200, 202

_NO_QUERY = NoQuery()


class _Route(NamedTuple):
    path: str


_RECOMMEND = _Route("/recommend")
"""Stands in for FastAPI's route where figures are counted per route."""

Checked = TypeVar("Checked", bound=BaseModel)
IdInPath = Annotated[str, Path(min_length=1, max_length=MAX_ID_LENGTH)]
Page = Annotated[PageQuery, Query()]
Nothing = Annotated[NoQuery, Query()]


class Face:
    """Handlers of one router replica."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def recommend(self, request: Request, query: Nothing) -> Response:
        """Recommend items to a user, to a session, or to anybody."""
        del query
        body = await body_of(request, self._service.limits)
        asked = _checked(RecommendRequest, body or b"{}")
        return _json(await self._answer(asked, request))

    async def recommend_to(self, request: Request, user_id: IdInPath, query: Page) -> Response:
        """Recommend items to a user; with Accept: text/plain, ids with commas between them."""
        answer = await self._answer(RecommendRequest(user_id=user_id, **dict(query)), request)
        accepted = request.headers.get("accept", "")
        if "text/plain" in accepted and _JSON not in accepted:
            return PlainTextResponse(",".join(item.item_id for item in answer.items))
        return _json(answer)

    async def similar(self, request: Request, item_id: IdInPath, query: Page) -> Response:
        """List what goes with an item. To an unknown item goes what is popular, and the answer says so."""
        asked = RecommendRequest(exclude_ids=(item_id,), **dict(query))
        if self._service.knows(item_id):
            asked = asked.model_copy(update={"session": (item_id,)})
            return _json(await self._answer(asked, request))
        answer = self._service.router.popular(self._question(asked, request))
        answer.degraded.append(Degradation("item", "unknown item"))
        return _json(answer)

    async def popular(self, request: Request, query: Page) -> Response:
        """List what is popular."""
        return _json(self._service.router.popular(self._question(RecommendRequest(**dict(query)), request)))

    async def item(self, item_id: IdInPath, query: Nothing) -> Response:
        """Return an item as the catalogue has it."""
        del query
        return _json(self._service.item(item_id))

    async def take_events(self, request: Request, query: Nothing) -> Response:
        """Take one event or up to 1,000; answered once they are safe on disk; the next answers know them."""
        del query
        body = await body_of(request, self._service.limits)
        judged = read_events(body, now_s=self._service.clock(), limits=self._service.limits)
        events = [event for event in judged.events if not isinstance(event, RefusalError)]
        fates = iter(await self._service.intake.take(self._service.door.events(events)))
        results = []
        for event, claimed_id in zip(judged.events, judged.claimed_ids, strict=True):
            if isinstance(event, RefusalError):
                EVENTS.labels("rejected").inc()
                results.append({"event_id": claimed_id, "status": "rejected", "problem": event.detail})
            else:
                results.append({"event_id": event.event_id, "status": next(fates), "problem": None})
        return _json({"results": results}, _ACCEPTED)

    async def erase(self, user_id: IdInPath, query: Nothing) -> Response:
        """Forget a user: state and history now, and training from then on."""
        del query
        at_s = self._service.clock()
        names = self._service.door.names(user_id)
        status = await self._service.intake.erase(names, at_s)
        for name in names:
            self._service.router.forget(name)
        done = {"user_id": user_id, "erased_at_s": at_s, "status": status}
        return _json(done, _OK if status == "erased" else _ACCEPTED)

    async def traffic(self, query: Nothing) -> Response:
        """Tell which bundle each lane serves, who is sent there, and what was refused and why."""
        del query
        return _json(self._service.traffic_report())

    async def healthz(self, query: Nothing) -> Response:
        """Answer as long as this process lives."""
        del query
        return _json({"status": "alive"})

    async def readyz(self, query: Nothing) -> Response:
        """Answer 200 once recommendations come in full, 503 before."""
        del query
        missing = self._service.missing()
        if missing:
            raise RefusalError(503, f"waiting for {', '.join(missing)}")
        return _json({"status": "ready"})

    async def metrics(self, query: Nothing) -> Response:
        """Return figures for Prometheus."""
        del query
        self._service.show()
        folder = os.environ.get(MULTIPROCESS_VARIABLE)
        return Response(page(pathlib.Path(folder) if folder else None), media_type=CONTENT_TYPE)

    async def docs(self) -> Response:
        """Return a page to learn this from."""
        return HTMLResponse(DOCS_PAGE)

    def _question(self, asked: RecommendRequest, request: Request) -> Question:
        wishes = wishes_in(request.scope["headers"], allowed=self._service.limits.choose_arm)
        return asked.question(
            request_id=request_id_of(request),
            now_s=self._service.clock(),
            wishes=wishes,
            name=self._service.door.name,
        )

    async def _answer(self, asked: RecommendRequest, request: Request) -> Answer:
        question = self._question(asked, request)
        if request.scope.get(OVERLOADED):
            return self._service.router.popular_instead(question)
        return await self._service.router.answer(question, since_s=request.scope.get(ARRIVED_S))


class Shortcut:
    """Takes the call that everything turns on straight to its handler, all others through FastAPI.

    FastAPI's middlewares, routing and dependencies cost a third of what the router does for a request
    (docs/performance.md). What is answered is the same: the tests of the API ask both ways.
    """

    def __init__(self, api: FastAPI, face: Face) -> None:
        self._api = api
        self._face = face
        self._paths = {f"{prefix}/recommend" for prefix in (PREFIX, "")}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        straight = scope["type"] == "http" and scope["method"] == "POST" and scope["path"] in self._paths
        if not straight or scope["query_string"]:
            await self._api(scope, receive, send)
            return
        scope["route"] = _RECOMMEND
        request = Request(scope, receive)
        try:
            response = await self._face.recommend(request, _NO_QUERY)
        except RecsysError as error:
            response = await _on_ours(request, error)
        await response(scope, receive, send)


def make_app(service: Service) -> Edge:
    """Return the whole HTTP face of a router replica."""
    face = Face(service)
    api = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    routes = _routes(face)
    api.include_router(routes, prefix=PREFIX)
    api.include_router(routes, include_in_schema=False)
    document = orjson.dumps(describe(api))

    async def openapi() -> Response:
        return Response(document, media_type=_JSON)

    for prefix in (PREFIX, ""):
        api.add_api_route(f"{prefix}/docs", face.docs, include_in_schema=False)
        api.add_api_route(f"{prefix}/openapi.json", openapi, include_in_schema=False)
    api.add_exception_handler(RecsysError, _on_ours)
    api.add_exception_handler(RequestValidationError, _on_invalid)
    api.add_exception_handler(HTTPException, _on_framework)
    api.add_exception_handler(Exception, _on_bug)
    return Edge(Shortcut(api, face), service.monotonic)


def _routes(face: Face) -> APIRouter:
    routes = APIRouter()
    lists = {"response_model": None, "responses": _documents(RecommendAnswer)}
    plain: dict[str, Any] = {"response_model": None}
    table: tuple[tuple[str, str, Callable[..., Any], dict[str, Any]], ...] = (
        ("POST", "/recommend", face.recommend, {**lists, "openapi_extra": BODIES["recommend"]}),
        (
            "GET",
            "/recommend/{user_id}",
            face.recommend_to,
            {**plain, "responses": _documents(RecommendAnswer, also=("text/plain",))},
        ),
        ("GET", "/similar/{item_id}", face.similar, lists),
        ("GET", "/popular", face.popular, lists),
        ("GET", "/items/{item_id}", face.item, {**plain, "responses": _documents(ItemAnswer)}),
        (
            "POST",
            "/events",
            face.take_events,
            {
                **plain,
                "status_code": _ACCEPTED,
                "responses": _documents(EventsAnswer, _ACCEPTED),
                "openapi_extra": BODIES["events"],
            },
        ),
        (
            "DELETE",
            "/users/{user_id}",
            face.erase,
            {**plain, "responses": {**_documents(ErasureAnswer), _ACCEPTED: {"model": ErasureAnswer}}},
        ),
        ("GET", "/traffic", face.traffic, {**plain, "responses": _documents(None)}),
        ("GET", "/healthz", face.healthz, {**plain, "responses": _documents(None)}),
        ("GET", "/readyz", face.readyz, {**plain, "responses": _documents(None)}),
        (
            "GET",
            "/metrics",
            face.metrics,
            {**plain, "response_class": PlainTextResponse, "responses": _documents(None)},
        ),
    )
    for method, path, handler, settings in table:
        routes.add_api_route(path, handler, methods=[method], **settings)
    return routes


def _documents(
    answer: type[BaseModel] | None, status: int = _OK, also: Sequence[str] = ()
) -> dict[int | str, dict[str, Any]]:
    """Return what a path may answer, for the OpenAPI document."""
    problem = {"model": ProblemOut, "description": "A problem document (application/problem+json)."}
    described: dict[str, Any] = {"description": "As described."} if answer is None else {"model": answer}
    if also:
        described["content"] = {media_type: {"schema": {"type": "string"}} for media_type in also}
    return {status: described, "4XX": problem, 503: problem}


def _checked(model: type[Checked], body: bytes) -> Checked:
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        raise invalid(error) from error


def _json(value: object, status: int = _OK) -> Response:
    return Response(orjson.dumps(value), status, media_type=_JSON)


async def _on_ours(request: Request, error: Exception) -> Response:
    refusal = refusal_for(error) if isinstance(error, RecsysError) else SORRY
    return problem_response(refusal, request_id_of(request))


async def _on_bug(request: Request, error: Exception) -> Response:
    del error  # it goes on to the edge, which logs it
    return problem_response(SORRY, request_id_of(request))


async def _on_invalid(request: Request, error: Exception) -> Response:
    found = error.errors() if isinstance(error, RequestValidationError) else []
    return problem_response(invalid_fields(found), request_id_of(request))


async def _on_framework(request: Request, error: Exception) -> Response:
    known = error if isinstance(error, HTTPException) else HTTPException(500)
    headers = tuple((known.headers or {}).items())
    return problem_response(
        RefusalError(known.status_code, known.detail, (), headers), request_id_of(request)
    )
