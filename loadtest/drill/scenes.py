"""The scenes: what is wrong with a canary, and what should become of it."""

from dataclasses import dataclass, field
from typing import Final

from recsys.experiments.guardrails import Guardrail
from recsys.rollout.plan import RolloutPlan, Step

LOOK_EVERY_S: Final = 2.0

PLAN: Final = RolloutPlan(
    steps=(
        Step(share=0.01, min_time=5.0, min_exposures=5),
        Step(share=0.05, min_time=5.0, min_exposures=20),
        Step(share=0.25, min_time=5.0, min_exposures=250),
        Step(share=0.5, min_time=5.0, min_exposures=3_000),
        Step(share=1.0, min_time=5.0, min_exposures=300),
    ),
    guardrails=(
        Guardrail(metric="error_share", compare="difference", limit=0.002, min_sample=5),
        Guardrail(metric="degraded_share", compare="difference", limit=0.002, min_sample=5),
        Guardrail(metric="short_share", compare="difference", limit=0.01, min_sample=5),
        Guardrail(metric="answer_p95", compare="ratio", limit=2.5, min_sample=5),
        Guardrail(metric="watch_rate", compare="ratio", limit=0.97, min_sample=5),
        Guardrail(metric="skip_rate", compare="ratio", limit=1.1, min_sample=5),
        Guardrail(metric="sample_ratio", compare="value", limit=0.001, min_sample=100),
    ),
    hold=10.0,
)
"""A day's rollout in a minute: the same steps and guardrails, with little patience."""


PREFERENCE: Final = Guardrail(metric="preference", compare="value", limit=0.49, min_sample=50)
_IN_TURNS: Final = {"answer_p95": {"limit": 5.0}}  # an answer waits for both lanes, the busier one too
TURNS_FIRST: Final = PLAN.model_copy(
    update={
        "steps": (Step(share=0.0, interleave=1.0, min_time=5.0, min_exposures=6_000), *PLAN.steps),
        "guardrails": (
            *(rail.model_copy(update=_IN_TURNS.get(rail.metric, {})) for rail in PLAN.guardrails),
            PREFERENCE,
        ),
    }
)
"""Before any user has the canary, both bundles take turns in everybody's lists."""


@dataclass(frozen=True, slots=True)
class Scene:
    """A canary, and what should become of it."""

    name: str
    what: str
    fault: dict[str, float | int | bool] = field(default_factory=dict)
    """What its stages do wrong."""
    better: bool = False
    """It learned from everything and the stable bundle from little; else it is a twin of a stable bundle that
    learned from everything."""
    dies: bool = False
    """Processes of its lane are killed, again and again, once users are there."""
    seen_by: frozenset[str] = frozenset()
    """Guardrails that should take it back, any of them; none: it is promoted."""
    plan: RolloutPlan = PLAN


SCENES: Final = (
    Scene("better", "a better bundle", better=True),
    Scene("worse", "a shuffled ranker", {"shuffled": True}, seen_by=frozenset({"watch_rate", "skip_rate"})),
    Scene(
        "disliked",
        "a shuffled ranker, in interleaved lists",
        {"shuffled": True},
        seen_by=frozenset({"preference"}),
        plan=TURNS_FIRST,
    ),
    Scene("slow", "recall takes 100 ms longer", {"delay_s": 0.1}, seen_by=frozenset({"answer_p95"})),
    Scene(
        "failing",
        "raises on 2 % of batches",
        {"error_share": 0.02},
        seen_by=frozenset({"degraded_share", "error_share"}),
    ),
    Scene(
        "dying",
        "its lane is killed while it ramps",
        dies=True,
        seen_by=frozenset({"degraded_share", "answer_p95", "short_share"}),
    ),
    Scene("short", "names three candidates", {"n_candidates": 3}, seen_by=frozenset({"short_share"})),
)
