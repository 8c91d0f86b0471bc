"""Changes of the catalogue reach a running graph: every process of it, without a new bundle."""

import time
from collections.abc import Callable
from typing import Any, Protocol

import httpx
import pytest

from recsys.overlay.change import ItemChange
from recsys.overlay.open import open_overlay

pytestmark = pytest.mark.serve

_SECONDS = 60.0  # "within a minute"


class Args(Protocol):
    state_url: str


class Graph(Protocol):
    address: str


class Serving(Protocol):
    graph: Graph
    args: Args


def _until(seen: Callable[[], bool]) -> None:
    until_s = time.monotonic() + _SECONDS
    while not seen():
        assert time.monotonic() < until_s, "nothing came of the change"
        time.sleep(0.2)


def test_a_new_item_is_recommended_and_one_that_is_gone_is_not_until_it_is_back(serving: Serving) -> None:
    with httpx.Client(base_url=serving.graph.address, timeout=10.0) as client:

        def recommended(**question: Any) -> list[str]:  # noqa: ANN401 - JSON
            answer = client.post("/recommend", json={"user_id": "catalogue", **question}).json()
            return [item["item_id"] for item in answer["items"]]

        def put(**fields: object) -> None:
            with open_overlay(serving.args.state_url) as store:
                change = ItemChange.model_validate({"since_s": time.time(), **fields})
                store.put([change], [time.time()])

        top = client.get("/popular").json()["items"][0]["item_id"]
        about = client.get(f"/items/{top}").json()
        told = {name: value for name, value in about.items() if value is not None}
        new = {**told, "item_id": "brand-new", "tags": [*about["tags"], "only-of-this-test"]}
        assert client.get("/items/brand-new").status_code == 404
        put(**new)
        put(item_id="never-heard-of", available=False)
        put(**{**told, "available": False})
        mine = {"filters": {"tags_any": ["only-of-this-test"]}}
        _until(lambda: recommended(**mine) == ["brand-new"])
        _until(lambda: top not in recommended(top_n=100))
        assert top not in [item["item_id"] for item in client.get("/popular?top_n=100").json()["items"]]
        assert client.get("/items/brand-new").json()["tags"] == new["tags"]
        watched = {"event_id": "w1", "kind": "watch", "user_id": "catalogue", "item_id": "brand-new"}
        assert client.post("/events", json=watched).status_code == 202
        _until(lambda: recommended(**mine) == [])
        put(**told)
        put(item_id="brand-new", available=False)
        _until(lambda: top in recommended(top_n=100))
