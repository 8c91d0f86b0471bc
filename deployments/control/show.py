"""A rollout in words, as a table and as a plot."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Group, RenderableType
from rich.table import Column, Table
from rich.text import Text

from recsys.experiments.guardrails import Outcome
from recsys.rollout.state import Decision, Phase, RolloutState, What
from recsys.rollout.traffic import TrafficDocument

_COLOURS = {
    Phase.PREPARING: "yellow",
    Phase.RAMPING: "cyan",
    Phase.HOLDING: "green",
    Phase.PROMOTED: "green",
    Phase.ABORTED: "red",
}
_MARKS = {Outcome.OK: "green", Outcome.BAD: "red", Outcome.UNKNOWN: "yellow", Outcome.SKIPPED: "dim"}


def summary(document: TrafficDocument, now_s: float) -> RenderableType:
    """Return where the rollout stands, and what else decides who gets what."""
    state = document.rollout
    lines = [] if state is None else _standing(document, state, now_s)
    if state is None:
        lines.append(Text(f"no rollout yet; all users get bundle {document.bundle_of(document.arms[0])}"))
    for arm, kill in document.killed.items():
        lines.append(Text(f"arm {arm} is killed by {kill.by}: {kill.why or 'no reason given'}", style="red"))
    if document.experiments:
        names = ", ".join(experiment.name for experiment in document.experiments)
        lines.append(Text(f"experiments: {names}"))
    if document.overrides:
        lines.append(Text(f"allow-list: {len(document.overrides):,} users"))
    if state is not None:
        latest = state.decisions[-1]
        lines.append(Text(f"last decision: {latest.what} by {latest.by}: {latest.why}"))
        lines += _verdicts(latest)
    return Group(*lines)


def _standing(document: TrafficDocument, state: RolloutState, now_s: float) -> list[Text]:
    since = f" for {_age(now_s - state.since_s)}"
    before = f"before it {state.stable_bundle} on {state.stable_lane}"
    lines = [
        Text.assemble("rollout ", (state.id, "bold"), ": ", (_phase(state), _COLOURS[state.phase]), since),
        Text(f"bundle {state.bundle} on {state.lane}; {before}"),
        Text("users: " + ", ".join(f"{arm.arm} {arm.share:.1%}" for arm in document.arms)),
    ]
    if state.phase is Phase.RAMPING:
        step = state.at_step
        least = f"at least {_age(step.min_time)} and {step.min_exposures:,} exposures"
        beside = {"shadow": step.shadow, "interleaved": step.interleave}
        unseen = "".join(f", {name} {share:.1%}" for name, share in beside.items() if share)
        number = f"step {state.step + 1} of {len(state.plan.steps)}"
        lines.append(Text(f"{number}: {step.share:.1%}{unseen}, {least}"))
    return lines


def history_tables(states: Sequence[RolloutState]) -> Group:
    """Return every decision of some rollouts, from old to new, with what it rested on."""
    return Group(*(_history_table(state) for state in states))


def _history_table(state: RolloutState) -> Table:
    begun = datetime.fromtimestamp(state.decisions[0].at_s, UTC)
    table = Table(
        Column("when", no_wrap=True),
        Column("what", no_wrap=True),
        Column("users", justify="right"),
        "by",
        Column("why, and what was measured", ratio=1),
        title=f"{state.id} of bundle {state.bundle}, begun {begun:%Y-%m-%d} (UTC)",
        title_justify="left",
        expand=True,
    )
    for decision in state.decisions:
        at = datetime.fromtimestamp(decision.at_s, UTC)
        table.add_row(
            f"{at:%H:%M:%S}" if at.date() == begun.date() else f"{at:%m-%d %H:%M}",
            Text(decision.what, style=_COLOURS[decision.phase]),
            f"{decision.share:.1%}",
            decision.by,
            _why(decision),
        )
    return table


def plot_history(states: Sequence[RolloutState], path: Path) -> None:
    """Draw the canary's share over time, with every decision and the reason of each end."""
    import matplotlib as mpl  # noqa: PLC0415 - an extra, for plots alone

    mpl.use("Agg")
    from matplotlib import pyplot as plt  # noqa: PLC0415

    figure, axes = plt.subplots(len(states), 1, figsize=(10, 3.2 * len(states)), squeeze=False)
    for axis, state in zip(axes[:, 0], states, strict=True):
        times = [(decision.at_s - state.decisions[0].at_s) / 60 for decision in state.decisions]
        shares = [100 * decision.share for decision in state.decisions]
        axis.step(times, shares, where="post", color="tab:blue")
        for what, colour, marker in (
            (What.STEP, "tab:blue", "o"),
            (What.HOLD, "tab:orange", "s"),
            (What.PROMOTE, "tab:green", "^"),
            (What.ABORT, "tab:red", "v"),
        ):
            own = [place for place, decision in enumerate(state.decisions) if decision.what is what]
            axis.plot([times[p] for p in own], [shares[p] for p in own], marker, color=colour, label=what)
        ended = next((d for d in reversed(state.decisions) if d.what in (What.ABORT, What.PROMOTE)), None)
        title = f"{state.id}: {state.phase}" + (f" ({ended.why[:100]})" if ended else "")
        axis.set_title(title, fontsize=9, loc="left")
        axis.set(xlabel="minutes", ylabel="users of the canary, %", ylim=(-5, 105))
        axis.legend(fontsize=8, loc="upper left")
        axis.grid(alpha=0.3)
    figure.tight_layout()
    figure.savefig(path, dpi=120)
    plt.close(figure)


def _phase(state: RolloutState) -> str:
    return f"{state.phase}, paused" if state.paused else str(state.phase)


def _why(decision: Decision) -> Text:
    text = Text(decision.why)
    for verdict in decision.verdicts:
        text.append(f"\n  {verdict.metric}: {verdict.why}", style=_MARKS[verdict.outcome])
    return text


def _verdicts(decision: Decision) -> list[Text]:
    return [
        Text(f"  {verdict.metric}: {verdict.outcome} ({verdict.why})", style=_MARKS[verdict.outcome])
        for verdict in decision.verdicts
    ]


def _age(seconds: float) -> str:
    """Return a duration as people say it."""
    for unit, size in (("d", 86_400.0), ("h", 3_600.0), ("min", 60.0)):
        if seconds >= 2 * size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds:.0f} s"
