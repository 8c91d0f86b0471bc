"""What a real API server seldom says, said by a server of our own that speaks HTTP as it does."""

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from random import Random
from typing import Any

import pytest
from kubernetes.client import ApiClient, Configuration, CoreV1Api

from deployments.kubernetes.address import ConfigMapAddress
from deployments.kubernetes.config_map_store import KEY, ConfigMapTrafficStore
from recsys.core.errors import ConflictError, FieldError, RecsysError, UnavailableError
from recsys.rollout.traffic import TrafficDocument, first_document
from recsys.rollout.traffic_text import to_text

ADDRESS = ConfigMapAddress("shop", "traffic")
FIRST = first_document("a" * 16, salt="s", updated_s=0.0)
SECOND = FIRST.successor(updated_s=1.0, updated_by="ada")


def config_map(document: TrafficDocument) -> dict[str, Any]:
    metadata = {"name": "traffic", "namespace": "shop", "resourceVersion": str(document.version)}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {KEY: to_text(document)}}


def refusal(code: int, message: str) -> dict[str, Any]:
    return {"kind": "Status", "status": "Failure", "message": message, "reason": "Tested", "code": code}


@dataclass
class Script:
    """What the server says."""

    lists: list[dict[str, Any] | int] = field(default_factory=list)  # in turn, the last for ever
    watches: list[bytes] = field(default_factory=list)  # each whole; what is asked later hears nothing
    writes: tuple[int, str] = (500, "")
    n_lists: int = 0
    n_watches: int = 0
    over: threading.Event = field(default_factory=threading.Event)


def handler(script: Script) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name there
            del format, args

        def say(self, code: int, body: bytes) -> None:
            self.send_response(code)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(body)

        def do_GET(self) -> None:
            if "watch=true" in self.path.lower():
                script.n_watches += 1
                whole = script.watches[script.n_watches - 1 : script.n_watches]
                self.say(200, b"".join(whole))
                if not whole:
                    script.over.wait()
            elif "fieldSelector" in self.path:
                answer = script.lists[min(script.n_lists, len(script.lists) - 1)]
                script.n_lists += 1
                if isinstance(answer, int):
                    self.say(answer, b"<html>")
                else:
                    listed = {"metadata": {"resourceVersion": "9"}, "items": [answer]}
                    self.say(200, json.dumps(listed).encode())
            else:
                self.say(200, json.dumps(config_map(FIRST)).encode())

        def do_PUT(self) -> None:
            code, message = script.writes
            self.rfile.read(int(self.headers["Content-Length"]))
            self.say(code, json.dumps(refusal(code, message)).encode())

    return Handler


@pytest.fixture
def script() -> Script:
    return Script()


@pytest.fixture
def store(script: Script) -> Iterator[ConfigMapTrafficStore]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler(script))
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    configuration = Configuration(host=f"http://127.0.0.1:{server.server_port}")
    configuration.retries = False
    with ConfigMapTrafficStore(CoreV1Api(ApiClient(configuration)), ADDRESS, chance=Random(7)) as opened:
        yield opened
        script.over.set()
    server.shutdown()
    server.server_close()
    thread.join()


def eventually(holds: Callable[[], bool]) -> None:
    done = threading.Event()
    for _ in range(400):
        if holds():
            return
        done.wait(0.05)
    pytest.fail("not within 20 s")


@pytest.mark.parametrize(
    ("code", "message", "error", "said"),
    [
        (409, "it moved", ConflictError, "configmap://shop/traffic changed meanwhile"),
        (413, "too large", FieldError, "got the API server answers 413: too large"),
        (422, "is invalid", FieldError, "got the API server answers 422: is invalid"),
        (401, "Unauthorized", UnavailableError, "401: Unauthorized; see the Role of the service account"),
        (403, "may not", UnavailableError, "403: may not; see the Role of the service account"),
        (404, "gone", ConflictError, "expected what was read, found nothing"),
        (429, "slowly", UnavailableError, "the API server answers 429: slowly"),
        (500, "etcd", UnavailableError, "the API server answers 500: etcd"),
    ],
)
def test_every_refusal_of_a_write_is_one_of_our_errors(
    store: ConfigMapTrafficStore, script: Script, code: int, message: str, error: type[RecsysError], said: str
) -> None:
    script.writes = (code, message)
    with pytest.raises(error) as refused:
        store.swap(SECOND, expected_version=1)
    assert said in str(refused.value)


TOO_OLD = {"type": "ERROR", "object": refusal(410, "too old resource version: 7 (9)")}


@pytest.mark.parametrize(
    "heard",
    [
        json.dumps(TOO_OLD).encode() + b"\n",
        b'{"type": "MODIFIED", "object"',
        b'{"type": "MODIFIED"}\n',
        b"[]\n",
        b'{"type": "ERROR", "object": {}}\n',
        b'{"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": "10"}}}\n\n',
        b"",
    ],
)
def test_whatever_a_watch_ends_in_it_looks_again_and_misses_nothing(
    store: ConfigMapTrafficStore, script: Script, heard: bytes
) -> None:
    script.lists, script.watches = [config_map(FIRST), config_map(SECOND)], [heard]
    assert store.changed_since(0) in (FIRST, SECOND)
    eventually(lambda: store.changed_since(0) == SECOND)
    eventually(lambda: script.n_watches == 2)


def test_a_server_in_trouble_is_asked_again_and_what_it_said_before_stays(
    store: ConfigMapTrafficStore, script: Script
) -> None:
    script.lists, script.watches = [config_map(FIRST), 503, 500, config_map(SECOND)], [b""]
    assert store.changed_since(0) == FIRST
    eventually(lambda: store.changed_since(1) == SECOND)
    assert script.n_lists == 4
