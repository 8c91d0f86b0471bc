"""The loop with everything running: graph, ingest, watcher, controller, and users who know nothing of it."""

import json
import shlex
import shutil
import subprocess
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from loadtest.bench.servers import MARQUEE, Server, running, serve
from loadtest.live.background import Play, playing
from loadtest.live.driver import play
from loadtest.loop.past import Prepared, Told
from loadtest.loop.settings import LoopSettings
from loadtest.loop.story import (
    ALARM,
    CANARY,
    CONTROL,
    LOOP,
    PROMOTED,
    REFRESH,
    SHIFT,
    Lists,
    Moment,
    Story,
    days_of,
    gain_of,
    rates_of,
)
from recsys.core.clock import SECONDS_PER_DAY, SIMULATED_CLOCK, Clock, clock_of, machine_clock
from recsys.core.errors import UnavailableError
from recsys.drift.journal import Journal
from recsys.drift.policy import Action
from recsys.registry.local import LocalRegistry
from recsys.rollout.plan import RolloutPlan
from recsys.rollout.state import RolloutState, What
from recsys.rollout.traffic_file import FileTrafficStore

_POLL_S: Final = 0.2
_MAX_WAIT_S: Final = 30.0  # two services and a training share the machine: late is no failure here
_LATE_S: Final = 1.5  # of the machine: so late may an event come to the lake
_WATCHER: Final = "marquee drift watch"
_NAMES: Final = {What.START: CANARY, What.PROMOTE: PROMOTED, What.ABORT: "taken back"}


def run_loop(
    prepared: Prepared,
    settings: LoopSettings,
    *,
    kafka: str | None = None,
    control: bool = True,
    on_moment: Callable[[Moment], None] = lambda _: None,
    on_step: Told = lambda _: None,
) -> Story:
    """Let users live with the service until some days after the promotion.

    Args:
        prepared: home, world and first bundle.
        settings: of the run.
        kafka: ``kafka://HOST:PORT/PREFIX``, where events go first; None: files.
        control: run a second service, which nobody refreshes, for the same users.
        on_moment: is told what happens.
        on_step: is told what takes long.

    Raises:
        UnavailableError: a service did not start.
    """
    home = prepared.home
    begin = home / "begin"
    simulated = f"{settings.begins_s:.3f},{settings.speed!r},{begin}"
    clock = clock_of(simulated)
    environment = {
        SIMULATED_CLOCK: simulated,
        "MARQUEE_HOME": str(home),
        "MARQUEE_REGISTRY": str(home / "registry"),
    }
    homes = {LOOP: home} | ({CONTROL: _stale_home(home)} if control else {})
    with ExitStack() as stack:
        on_step("services start; the world's clock stands still")
        started = _beside(home, settings, kafka)
        beside = {}
        for name, words in started.items():
            output = home / f"{name}.out"
            beside[name], _ = stack.enter_context(running(name, [*MARQUEE, *words], output, environment))
        servers = _served(stack, homes, kafka, environment)
        begin.touch()
        lists = {name: Lists() for name in homes}
        who, run_id = settings.users_from(settings.begins_s), f"{int(machine_clock() * 1e3):x}"

        def users_of(name: str) -> Play:
            url, take = servers[name].url, lists[name].take
            return lambda stop: play(
                prepared.world, url, who, run_id=run_id, stop=stop, on_list=take, now=clock
            )

        users = {name: stack.enter_context(playing(users_of(name))) for name in homes}
        on_step("users come")
        moments = _until_over(home, settings, clock, lists.values(), on_moment, lambda: _check(beside, home))
        lives = {name: one.finish() for name, one in users.items()}
    frames = {name: one.frame() for name, one in lists.items()}
    promoted = next((one for one in moments if one.what == PROMOTED), None)
    cuts_s = [settings.shifts_s] + ([] if promoted is None else [promoted.at_s])
    return Story(
        settings.begins_s,
        tuple(moments),
        tuple(day for name, frame in frames.items() for day in days_of(name, frame, settings.begins_s)),
        gain_of(frames[LOOP], frames[CONTROL], promoted.at_s) if control and promoted is not None else None,
        {name: rates_of(frame, cuts_s) for name, frame in frames.items()},
        sum(one.n_failed for one in lives.values()),
        {f"{name}: {what}": n for name, one in lives.items() for what, n in one.failures.items()},
        kafka or "files",
    )


def _stale_home(home: Path) -> Path:
    """Return a second home that begins as the first does; nothing in it is ever refreshed."""
    other = home / CONTROL
    other.mkdir()
    shutil.copytree(home / "registry", other / "registry")
    shutil.copyfile(home / "state.db", other / "state.db")
    return other


def _served(
    stack: ExitStack, homes: dict[str, Path], kafka: str | None, environment: dict[str, str]
) -> dict[str, Server]:
    """Start a service per home, all at the same time."""

    def start(name: str) -> Server:
        flags = ["--routers", "1", "--exposure-age", "1", "--max-wait", f"{_MAX_WAIT_S:g}"]
        flags += ["--event-log", kafka] if kafka is not None and name == LOOP else []
        home = homes[name]
        own = {**environment, "MARQUEE_HOME": str(home)}
        return stack.enter_context(serve(home / "registry", home, flags, name=name, environment=own))

    with ThreadPoolExecutor(len(homes)) as pool:
        return dict(zip(homes, pool.map(start, homes), strict=True))


def _beside(home: Path, settings: LoopSettings, kafka: str | None) -> dict[str, list[str]]:
    """Return what runs beside the service, a command each: all that has hands."""
    plan, policy = home / "plan.toml", home / "policy.json"
    plan.write_text(as_toml(settings.plan))
    policy.write_text(settings.policy.model_dump_json())
    lake = str(home / "lake")
    (home / "events").mkdir(exist_ok=True)  # ingest comes first
    grace = f"{_LATE_S * settings.speed:.0f}s"
    retrain = shlex.join(
        [
            *(*MARQUEE, "retrain", "--data", lake, "--ranker", "continue", "--json"),
            *("--start-rollout", "--plan", str(plan)),
        ]
    )
    source = kafka or str(home / "events")
    return {
        "ingest": ["ingest", "--from", source, "--batch-seconds", "0.5"],
        "watcher": [
            *("drift", "watch", "--data", lake, "--policy", str(policy), "--retrain", retrain),
            *("--every", "1s", "--grace", grace),
        ],
    }


def _until_over(
    home: Path,
    settings: LoopSettings,
    clock: Clock,
    lists: Collection[Lists],
    on_moment: Callable[[Moment], None],
    check: Callable[[], None],
) -> list[Moment]:
    """Wait until users have lived with what became of it for a while; return what happened, in order of time.

    Their own time counts, not the clock's: on a busy machine they come later than they were due.
    """
    told: list[Moment] = []
    over_s = last_s = settings.begins_s + settings.most_days * SECONDS_PER_DAY
    while (now_s := clock()) < last_s and min(one.lived_s for one in lists) < over_s:
        for moment in (one for one in _happened(home, settings, now_s) if one not in told):
            told.append(moment)
            on_moment(moment)
            if moment.what in (PROMOTED, "taken back"):
                over_s = min(over_s, moment.at_s + settings.after_days * SECONDS_PER_DAY)
        check()
        time.sleep(_POLL_S)
    return sorted(told, key=lambda one: one.at_s)


def _check(beside: "Mapping[str, subprocess.Popen[bytes]]", home: Path) -> None:
    """Raise UnavailableError when one of the processes has ended by itself."""
    for name, process in beside.items():
        if process.poll() is not None:
            said = (home / f"{name}.out").read_text(errors="replace")[-2_000:]
            raise UnavailableError(name, f"it ended with exit code {process.returncode}:\n{said}")


def _happened(home: Path, settings: LoopSettings, now_s: float) -> list[Moment]:
    """Return what has happened so far."""
    found = []
    if now_s >= settings.shifts_s:
        found.append(Moment(SHIFT, settings.shifts_s, "the world", "everybody turns to three other topics"))
    alarms = [one for one in Journal(home / "drift").alarms() if one.action is Action.RETRAIN]
    found += [Moment(ALARM, one.at_s, _WATCHER, one.sentence) for one in alarms]
    rollout = FileTrafficStore(home / "traffic.json").read().rollout
    return found + ([] if rollout is None else list(_of_rollout(home, rollout)))


def _of_rollout(home: Path, rollout: RolloutState) -> Iterator[Moment]:
    made = {one.name: one.manifest for one in LocalRegistry(home / "registry").list()}
    manifest = made.get(rollout.bundle)
    if manifest is not None:
        why = f"bundle {rollout.bundle} from {rollout.stable_bundle}"
        yield Moment(REFRESH, manifest.created_s, "marquee retrain", why)
    for one in rollout.decisions:
        if one.what is not What.SETTLE:
            yield Moment(
                _NAMES.get(one.what, one.what.value), one.at_s, one.by, f"to {one.share:.0%}: {one.why}"
            )


def as_toml(plan: RolloutPlan) -> str:
    """Return a plan as :func:`recsys.rollout.plan.read_plan` reads it."""
    fields = plan.model_dump(mode="json", exclude_none=True)
    tables = {name: fields.pop(name) for name in ("steps", "guardrails")}
    lines = [f"{name} = {json.dumps(value)}" for name, value in fields.items()]
    for name, rows in tables.items():
        for row in rows:
            lines += ["", f"[[{name}]]", *(f"{key} = {json.dumps(value)}" for key, value in row.items())]
    return "\n".join([*lines, ""])
