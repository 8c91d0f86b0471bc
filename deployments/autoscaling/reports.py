"""From what replicas report to what the policy sees. No Ray: series of (when, value) per replica."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from deployments.autoscaling import demand
from deployments.autoscaling.seen import GraphSeen, LaneSeen, StageSeen

Series = Sequence[tuple[float, float]]
"""When (Unix time) and what, oldest first."""

_FEWEST = 20  # requests in a window, for the cost of one to mean anything


@dataclass(frozen=True, slots=True)
class Reported:
    """One deployment: how many replicas, and what they reported lately."""

    running: int
    target: int
    figures: Mapping[str, Sequence[Series]] = field(default_factory=dict)  # name -> one series per replica


def graph_seen(
    at_s: float,
    now_s: float,
    window_s: float,
    router: Reported,
    lanes: Mapping[str, tuple[Reported, Reported]],
) -> GraphSeen:
    """Put together what the policy sees.

    Args:
        at_s: monotonic time of the decision.
        now_s: Unix time, as in the series.
        window_s: older values do not count.
        router: the routers.
        lanes: lane -> recall and ranking.
    """
    since_s = now_s - window_s
    latest_per_s, latest_over_s = _latest_rate(router, demand.ASKED, since_s)
    return GraphSeen(
        at_s=at_s,
        asked_per_s=_rate(router, demand.ASKED, since_s),
        latest_per_s=latest_per_s,
        latest_over_s=latest_over_s,
        computed=_computed(router, since_s),
        waiting=sum(_latest(router, demand.WAITING, since_s)),
        tail_s=max((tail for tail in _latest(router, demand.TAIL, since_s) if tail >= 0), default=None),
        router=StageSeen(
            running=router.running, target=router.target, busy=_rate(router, demand.BUSY, since_s)
        ),
        lanes={
            lane: LaneSeen(
                has_bundle=any(_latest(router, f"{demand.BUNDLE}{lane}", since_s)),
                has_arm=any(_latest(router, f"{demand.ARM}{lane}", since_s)),
                share=max(_latest(router, f"{demand.SHARE}{lane}", since_s), default=0.0),
                recall=_stage(recall, since_s, window_s),
                ranking=_stage(ranking, since_s, window_s),
            )
            for lane, (recall, ranking) in lanes.items()
        },
    )


def _computed(router: Reported, since_s: float) -> float:
    """Return which part of the requests the cache did not have; all of them when nothing was looked for."""
    looked_up, computed = _rate(router, demand.LOOKED_UP, since_s), _rate(router, demand.COMPUTED, since_s)
    return computed / looked_up if computed is not None and looked_up else 1.0


def _stage(reported: Reported, since_s: float, window_s: float) -> StageSeen:
    served_per_s = _rate(reported, demand.SERVED, since_s)
    enough = served_per_s is not None and served_per_s * window_s >= _FEWEST
    return StageSeen(
        running=reported.running,
        target=reported.target,
        busy=_rate(reported, demand.BUSY, since_s),
        served_per_s=served_per_s if enough else None,
    )


def _recent(reported: Reported, name: str, since_s: float) -> Iterable[Series]:
    for series in reported.figures.get(name, ()):
        recent = [point for point in series if point[0] >= since_s]
        if recent:
            yield recent


def _rate(reported: Reported, name: str, since_s: float) -> float | None:
    """Return how fast a count grows, replicas together; None when no replica has reported it twice."""
    rates = [
        (series[-1][1] - series[0][1]) / (series[-1][0] - series[0][0])
        for series in _recent(reported, name, since_s)
        if series[-1][0] > series[0][0]
    ]
    return sum(rates) if rates else None


def _latest_rate(reported: Reported, name: str, since_s: float) -> tuple[float | None, float]:
    """Return how fast a count grew between the last two reports, and how long lay between them."""
    pairs = [series[-2:] for series in _recent(reported, name, since_s) if len(series) > 1]
    gaps_s = [last[0] - first[0] for first, last in pairs]
    if not pairs or min(gaps_s) <= 0.0:
        return None, 0.0
    rates = [(last[1] - first[1]) / gap_s for (first, last), gap_s in zip(pairs, gaps_s, strict=True)]
    return sum(rates), max(gaps_s)


def _latest(reported: Reported, name: str, since_s: float) -> list[float]:
    return [series[-1][1] for series in _recent(reported, name, since_s)]
