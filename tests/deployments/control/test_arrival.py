"""Whether what values want has arrived."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from deployments.control.arrival import arm_of, check_answer, wait_until
from recsys.core.errors import UnavailableError

OLD, NEW = "00000000000000aa", "7de389ecc1bf6bce"
SERVING = {"wanted": "stable", "bundle": OLD, "canary": "", "phase": "serving", "why": "", "what_to_do": ""}


class TestTheArmOfAWantedBundle:
    @pytest.mark.parametrize("wanted", [OLD, OLD[:5], "stable", "candidate"])
    def test_is_stable_when_all_users_have_it(self, wanted: str) -> None:
        assert arm_of(SERVING | {"wanted": wanted}, wanted) == ("stable", OLD)

    @pytest.mark.parametrize("wanted", [NEW, NEW[:3], "candidate"])
    def test_is_the_canary_while_it_is_on_its_way(self, wanted: str) -> None:
        assert arm_of(SERVING | {"wanted": wanted, "canary": NEW}, wanted) == ("canary", NEW)

    def test_stays_stable_when_nothing_in_particular_is_wanted(self) -> None:
        assert arm_of(SERVING | {"canary": NEW}, "stable") == ("stable", OLD)

    def test_is_not_known_before_the_controller_has_read_the_values(self) -> None:
        with pytest.raises(UnavailableError, match=f"has not read yet that {NEW}"):
            arm_of(SERVING, NEW)

    def test_is_none_when_it_was_taken_back_and_why_is_said(self) -> None:
        told = {"phase": "aborted", "why": "errors rose", "what_to_do": "raise model.attempt"}
        with pytest.raises(UnavailableError, match="errors rose; raise model"):
            arm_of(SERVING | {"wanted": NEW} | told, NEW)


class TestAnAnswer:
    def test_with_nothing_missing_names_its_bundle(self) -> None:
        with service(lambda _: answer(NEW)) as url:
            assert check_answer(url, "canary", NEW) == NEW

    def test_is_asked_of_the_arm(self) -> None:
        with service(lambda arm: answer({"canary": NEW}.get(arm or "", OLD))) as url:
            assert check_answer(url, "canary", NEW) == NEW
            assert check_answer(url, None, None) == OLD

    def test_of_another_bundle_does_not_count(self) -> None:
        with (
            service(lambda _: answer(OLD)) as url,
            pytest.raises(UnavailableError, match=f"{OLD} answers, not"),
        ):
            check_answer(url, "canary", NEW)

    def test_that_is_degraded_does_not_count(self) -> None:
        late = [{"stage": "ranking", "why": "late"}]
        with (
            service(lambda _: answer(NEW) | {"degraded": late}) as url,
            pytest.raises(UnavailableError, match="ranking"),
        ):
            check_answer(url, None, NEW)

    @pytest.mark.parametrize("said", [[], {}, {"degraded": None}])
    def test_that_is_none_of_marquees_does_not_count(self, said: object) -> None:
        with service(lambda _: said) as url, pytest.raises(UnavailableError):
            check_answer(url, None, None)

    def test_that_never_comes_does_not_count(self) -> None:
        with service(lambda _: answer(NEW)) as url:
            pass
        with pytest.raises(UnavailableError):
            check_answer(url, None, None)


class TestWaiting:
    def test_ends_when_all_checks_pass_and_says_each_reason_once(self) -> None:
        looks = iter(
            [UnavailableError("a", "x"), UnavailableError("a", "x"), UnavailableError("a", "y"), None]
        )
        told: list[str] = []
        wait_until(
            [lambda: raised(next(looks))], at_most_s=60, clock=Time(), sleep=lambda _: None, say=told.append
        )
        assert told == ["a is unavailable: x", "a is unavailable: y"]

    def test_ends_with_the_last_reason_when_its_time_is_up(self) -> None:
        time = Time()
        with pytest.raises(UnavailableError, match="still nothing"):
            wait_until(
                [lambda: raised(UnavailableError("a", "still nothing"))],
                at_most_s=10,
                clock=time,
                sleep=time.sleep,
            )
        assert time.now_s == 10


class Time:
    """A clock that only sleep moves."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s

    def sleep(self, for_s: float) -> None:
        self.now_s += for_s


def raised(error: UnavailableError | None) -> None:
    if error is not None:
        raise error


def answer(bundle: str) -> dict[str, Any]:
    return {"bundle": bundle, "degraded": [], "items": [{"item_id": "1"}]}


@contextmanager
def service(says: Callable[[str | None], object]) -> Iterator[str]:
    """Answer recommendations with what ``says`` makes of the arm that was asked for."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            body = json.dumps(says(self.headers.get("X-Marquee-Arm"))).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
