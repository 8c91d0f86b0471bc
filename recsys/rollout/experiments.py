"""Experiments begun and ended: the traffic document deals them, a declaration says how they are judged."""

from recsys.core.durable import locked
from recsys.core.errors import FieldError, NotFoundError, RecsysError
from recsys.rollout.declarations import Declaration, Declarations
from recsys.rollout.desk import change
from recsys.rollout.experiment_plan import ExperimentPlan
from recsys.rollout.traffic import Experiment, TrafficDocument
from recsys.rollout.traffic_store import TrafficStore


def with_experiment(
    document: TrafficDocument, experiment: Experiment, *, now_s: float, by: str
) -> TrafficDocument:
    """Deal users to the arms of one more experiment.

    Raises:
        FieldError: its name is taken, one of its arms is killed, or another experiment turns one of its
            knobs.
    """
    for arm in experiment.arms:
        place = f"{experiment.name}/{arm.arm}"
        if place in document.killed:
            by_whom = f"arm {place}, which {document.killed[place].by} killed"
            raise FieldError("experiment", by_whom, "`marquee rollout revive` first")
    experiments = (*document.experiments, experiment)
    return document.successor(updated_s=now_s, updated_by=by, experiments=experiments)


def without_experiment(document: TrafficDocument, name: str, *, now_s: float, by: str) -> TrafficDocument:
    """Deal nobody to the arms of an experiment any more.

    Raises:
        NotFoundError: it is not under way.
    """
    left = tuple(experiment for experiment in document.experiments if experiment.name != name)
    if len(left) == len(document.experiments):
        known = ", ".join(experiment.name for experiment in left)
        raise NotFoundError("experiment under way", name, known)
    return document.successor(updated_s=now_s, updated_by=by, experiments=left)


def begin(
    store: TrafficStore, declarations: Declarations, name: str, plan: ExperimentPlan, *, now_s: float, by: str
) -> Declaration:
    """Declare an experiment, then deal users to its arms.

    The declaration is written first, so no user is dealt to what nobody declared. Who is killed in between
    leaves one that no document knows; it counts as if it were not there.

    Raises:
        FieldError: the plan contradicts itself, the name was used before, or another experiment turns one
            of its knobs.
    """
    declared = Declaration(experiment=plan.experiment(name, now_s), design=plan.design(name), declared_by=by)
    with locked(declarations.lock):
        earlier = declarations.find(name)
        if earlier is not None and (earlier.stopped_s is not None or is_under_way(store.read(), name)):
            raise FieldError("name", name, f"one that no experiment has had; {_listed(declarations)}")
        declarations.put(declared)
        try:
            change(store, lambda now: with_experiment(now, declared.experiment, now_s=now_s, by=by))
        except RecsysError:
            declarations.remove(name)
            raise
    return declared


def end(
    store: TrafficStore, declarations: Declarations, name: str, *, now_s: float, by: str
) -> Declaration | None:
    """Deal nobody to it any more, and write down when; what was served stays.

    May be repeated: who was killed in between does it again. Returns None for an experiment that the
    traffic document had without a declaration.

    Raises:
        NotFoundError: there is no such experiment under way.
    """
    with locked(declarations.lock):
        declared = declarations.find(name)
        if is_under_way(store.read(), name) or declared is None or declared.stopped_s is not None:
            change(store, lambda now: without_experiment(now, name, now_s=now_s, by=by))
        if declared is None:
            return None
        stopped = declared.model_copy(update={"stopped_s": now_s, "stopped_by": by})
        declarations.put(stopped)
        return stopped


def is_under_way(document: TrafficDocument, name: str) -> bool:
    """Tell whether users are dealt to an experiment."""
    return any(experiment.name == name for experiment in document.experiments)


def _listed(declarations: Declarations) -> str:
    return f"there were {', '.join(declarations.names())}"
