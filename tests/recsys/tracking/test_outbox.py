from collections.abc import Mapping

from recsys.core.errors import UnavailableError
from recsys.tracking.outbox import Outbox
from recsys.tracking.run import Action, Result, Run, Version


class Flaky:
    """Notes what it is told, unless it is down."""

    def __init__(self) -> None:
        self.is_down = False
        self.heard: list[str] = []
        self.n_asked = 0

    def begin(self, run: Run, *, again: bool = False) -> None:
        self.n_asked += 1
        if self.is_down:
            raise UnavailableError("tracking", "connection refused")
        self.heard.append(run.key)

    def end(self, key: str, result: Result) -> None: ...
    def files(self, key: str, texts: Mapping[str, str]) -> None: ...
    def register(self, version: Version) -> None: ...
    def name(self, aliases: Mapping[str, str | None]) -> None: ...


def begin(key: str) -> Action:
    return lambda tracking: tracking.begin(Run(key=key, name=key))


class Scene:
    """An outbox, what it warned of, and a clock that is set by hand."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.flaky = Flaky()
        self.warned: list[str] = []
        self.outbox = Outbox(self.flaky, lambda: self.now_s, self.warned.append, rest_s=60.0)


def test_what_a_server_did_not_take_is_told_later_in_its_order() -> None:
    scene = Scene()
    scene.outbox.tell(begin("a"))
    scene.flaky.is_down = True
    scene.outbox.tell(begin("b"))
    scene.flaky.is_down, scene.now_s = False, 60.0
    scene.outbox.tell(begin("c"))
    assert scene.flaky.heard == ["a", "b", "c"]
    assert (scene.outbox.n_waiting, scene.outbox.fault) == (0, None)


def test_after_a_failure_it_rests_and_then_asks_once() -> None:
    scene = Scene()
    scene.flaky.is_down = True
    for key in "abc":
        scene.outbox.tell(begin(key))
    assert scene.flaky.n_asked == 1
    scene.now_s = 60.0
    scene.outbox.tell(begin("d"))
    assert scene.flaky.n_asked == 2
    assert scene.outbox.n_waiting == 4


def test_it_warns_once_and_keeps_the_reason() -> None:
    scene = Scene()
    scene.flaky.is_down = True
    for _ in range(3):
        scene.outbox.tell(begin("a"))
        scene.outbox.flush()
    assert scene.warned == ["tracking is unavailable: connection refused; going on without it"]
    assert scene.outbox.fault == "tracking is unavailable: connection refused"


def test_at_the_end_it_tries_whether_it_rests_or_not() -> None:
    scene = Scene()
    scene.flaky.is_down = True
    scene.outbox.tell(begin("a"))
    scene.flaky.is_down = False
    scene.outbox.flush()
    assert scene.flaky.heard == ["a"]
    assert scene.outbox.fault is None
