"""What arms cost a router: ``PROMETHEUS_MULTIPROC_DIR=$(mktemp -d) python -m deployments.dealing_cost``.

Microseconds of CPU time per request for dealing it, counting its answer and timing it. Without the variable
the counters are cheaper than they are in the graph.
"""

import json
import sys
import time
from typing import cast

from deployments.arm_figures import count_answers, took
from deployments.lists import Listed
from deployments.question import Answer, Degradation, Question, ShownItem
from deployments.showcase import Showcase
from deployments.traffic import InForce
from recsys.rollout.names import CANARY, STABLE
from recsys.rollout.traffic import (
    Arm,
    Experiment,
    ExperimentArm,
    Knobs,
    TrafficDocument,
    first_document,
)

_N = 20_000
_BATCH = 32
_BUNDLES = {"blue": "a" * 16, "green": "b" * 16}
_ITEMS = [ShownItem("i1", 1.0, 1, "svd")] * 10


def documents() -> dict[str, TrafficDocument]:
    """Return name -> a document; each has more to deal than the one before."""
    alone = first_document(_BUNDLES["blue"], salt="s", updated_s=0.0)
    halves = (
        ExperimentArm(arm="control", share=0.5),
        ExperimentArm(arm="other", share=0.5, knobs=Knobs(variety=0.2)),
    )
    arms = (Arm(arm=STABLE, lane="blue", share=0.9), Arm(arm=CANARY, lane="green", share=0.1))
    canary = alone.successor(updated_s=0.0, updated_by="cost", lanes=_BUNDLES, arms=arms)
    experiment = Experiment(name="variety", salt="v", arms=halves, started_s=0.0)
    more = canary.successor(
        updated_s=0.0,
        updated_by="cost",
        experiments=(experiment,),
        overrides={f"tester-{row}": CANARY for row in range(1_000)},
    )
    return {"one arm": alone, "a canary": canary, "a canary, an experiment, an allow-list": more}


def cost(document: TrafficDocument) -> dict[str, float]:
    """Return the microseconds of CPU time that a request costs."""
    showcases = {lane: cast("Showcase", None) for lane, bundle in document.lanes.items() if bundle}
    in_force = InForce(document, showcases)
    questions = [Question(request_id=f"q{row}", now_s=0.0, user_id=f"u{row}") for row in range(_N)]
    began_s = time.process_time()
    routed = [in_force.route(question) for question in questions]
    dealt_s = time.process_time()
    listed: list[Listed] = [Listed(_ITEMS, 10)] * _BATCH
    missing: list[list[Degradation]] = [[] for _ in range(_BATCH)]
    for start in range(0, _N, _BATCH):
        count_answers(routed[start : start + _BATCH], listed, missing)
    counted_s = time.process_time()
    answer = Answer("q", _ITEMS, STABLE, _BUNDLES["blue"], None, [])
    for _ in questions:
        took(answer, 0.01)
    timed_s = time.process_time()
    return {
        "dealing_us": round(1e6 * (dealt_s - began_s) / _N, 2),
        "counting_us": round(1e6 * (counted_s - dealt_s) / _N, 2),
        "timing_us": round(1e6 * (timed_s - counted_s) / _N, 2),
        "all_us": round(1e6 * (timed_s - began_s) / _N, 2),
    }


def main() -> None:
    """Print one line of JSON per document."""
    for name, document in documents().items():
        sys.stdout.write(json.dumps({"document": name, **cost(document)}) + "\n")


if __name__ == "__main__":
    main()
