"""Trials on a Ray cluster: Ray Tune runs them, Optuna suggests them. Nothing else here knows Ray.

Past and questions go into Ray's object store once, and so does what the trials of the ranker share; every
trial reads them there. The journal is kept by the driver alone, so Tune's own files are thrown away.
"""

import logging
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import ray
from ray import ObjectRef, tune
from ray.exceptions import RayError, RayTaskError
from ray.tune.experiment import Trial
from ray.tune.schedulers import AsyncHyperBandScheduler, FIFOScheduler, TrialScheduler
from ray.tune.search.optuna import OptunaSearch

from recsys.core.clock import monotonic_clock
from recsys.core.errors import FieldError, InputError, UnavailableError
from recsys.recall.shelf import Shelf
from recsys.training.two_stage import TrainingConfig
from tuning.journal import Outcome
from tuning.objectives import MEANINGS, Objective, Step
from tuning.parts import Parts, make_parts, make_shelf
from tuning.plan import Listener, Plan
from tuning.problem import Problem
from tuning.search import STUDY, distributions, sampler, storage_told
from tuning.settings_paths import with_settings
from tuning.trial import N_TREES, run_trial

Made = TypeVar("Made")

_WHOLE = "is_whole"
_FAILURE = "failure"
_OF_TUNE = {
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",  # the journal is kept by us
    "TUNE_DISABLE_SIGINT_HANDLER": "1",  # Ctrl-C is ours: it ends at once, every row is on the disk
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",  # a failed trial reports its error and no figure
    "TUNE_GLOBAL_CHECKPOINT_S": "86400",
    "RAY_AIR_NEW_OUTPUT": "0",  # the new one writes tables on standard output, however quiet it is told to be
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}


@dataclass(frozen=True, slots=True)
class Cluster:
    """Where trials run."""

    address: str | None  # ``auto`` or ``host:port``, from a machine of that cluster; None: one of our own
    n_cpus: int  # of our own
    store_bytes: int  # memory that the object store of our own may take


@contextmanager
def _session(cluster: Cluster) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in _OF_TUNE}
    os.environ.update(_OF_TUNE)
    is_ours = cluster.address is None
    try:
        ray.init(
            address=cluster.address or "local",
            num_cpus=cluster.n_cpus if is_ours else None,
            object_store_memory=cluster.store_bytes if is_ours else None,
            include_dashboard=False if is_ours else None,
            log_to_driver=False,
            logging_level=logging.ERROR,
        )
        yield
    except (RayError, ConnectionError) as error:
        where = f"Ray at {cluster.address or 'this machine'}"
        raise UnavailableError(where, _first_line(error) + _hint(cluster)) from error
    finally:
        ray.shutdown()
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})


def _hint(cluster: Cluster) -> str:
    """Say what Ray does not: it hands its token to no address that was given, unless it is told to."""
    has_said = cluster.address in (None, "auto") or "RAY_AUTH_MODE" in os.environ
    return "" if has_said else " (if the cluster asks for a token: RAY_AUTH_MODE=token)"


class RayTuneRunner(AbstractContextManager["RayTuneRunner"]):
    """Runs the trials of a step, as many side by side as the budget says, a core each.

    Ray is started, or connected to, when the first trial is to be run, and left on the way out.
    """

    def __init__(self, problem: Problem, folder: Path, cluster: Cluster) -> None:
        """Start nothing yet.

        Args:
            problem: what the trials are asked; it goes into the object store once.
            folder: of the sweep; Tune's files lie in it while a step runs.
            cluster: where.

        Raises:
            FieldError: the address is that of a Ray client; Tune would take the journal's keeper to the other
                side of the connection.
        """
        if cluster.address is not None and cluster.address.startswith("ray://"):
            expected = "auto or host:port, from within the cluster (ray job submit, a RayJob)"
            raise FieldError("--address", cluster.address, expected)
        self._problem = problem
        self._folder = folder.absolute() / "ray"
        self._cluster = cluster
        self._open = ExitStack()
        self._shared: ObjectRef[Problem] | None = None
        self._shelf: ObjectRef[Shelf] | None = None

    def __exit__(self, *error: object) -> None:
        """Leave Ray, if it was needed."""
        self._open.close()

    def run(self, plan: Plan, listener: Listener) -> None:
        """See :class:`tuning.plan.Runner`."""
        began_s = monotonic_clock()
        problem = self._problem_there()
        shelf = self._shelf_there(problem, plan.base)
        parts = self._parts_there(problem, plan.base, shelf) if plan.step is Step.RANKER else None
        left_s = plan.time_left_s - (monotonic_clock() - began_s)
        if left_s <= 0.0:
            return
        work = tune.with_parameters(_work, shared=_Shared(problem, parts, shelf, plan))
        tuner = tune.Tuner(
            tune.with_resources(work, {"cpu": 1}),
            tune_config=tune.TuneConfig(
                search_alg=_suggestions(plan),
                scheduler=_scheduler(plan),
                num_samples=plan.n_left,
                max_concurrent_trials=plan.budget.concurrent,
                time_budget_s=left_s,
                reuse_actors=True,  # a process imports everything once, for all its trials
                trial_dirname_creator=lambda trial: str(trial.trial_id),
            ),
            run_config=tune.RunConfig(
                name=plan.step.value,
                storage_path=str(self._folder),
                failure_config=tune.FailureConfig(max_failures=plan.budget.tries - 1),
                callbacks=[_Told(listener)],
                verbose=0,
            ),
        )
        shutil.rmtree(self._folder, ignore_errors=True)
        try:
            tuner.fit()
        finally:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _problem_there(self) -> "ObjectRef[Problem]":
        if self._shared is None:
            self._open.enter_context(_session(self._cluster))
            self._shared = ray.put(self._problem)
        return self._shared

    def _shelf_there(self, problem: "ObjectRef[Problem]", config: TrainingConfig) -> "ObjectRef[Shelf]":
        if self._shelf is None:
            self._shelf = _made(make_shelf, problem, config, n_cpus=1, what="recall's vectors")
        return self._shelf

    def _parts_there(
        self, problem: "ObjectRef[Problem]", config: TrainingConfig, shelf: "ObjectRef[Shelf]"
    ) -> "ObjectRef[Parts]":
        n_cpus = 1 if self._cluster.address else self._cluster.n_cpus  # no trial runs beside it
        return _made(make_parts, problem, config, shelf, n_cpus=n_cpus, what="the ranker's rows")


def _made(make: Callable[..., Made], *args: object, n_cpus: int, what: str) -> "ObjectRef[Made]":
    """Make something on the cluster, and leave it there."""
    made: ObjectRef[Made] = ray.remote(num_cpus=n_cpus)(make).remote(*args)
    try:
        ray.get(ray.remote(num_cpus=1)(_is_there).remote(made))
    except RayTaskError as error:
        raise InputError(f"{what} cannot be made: {_named(error.cause)}") from error
    except RayError as error:
        raise UnavailableError("Ray", _named(error)) from error
    return made


class _Shared:
    """What trials get besides their parameters; the references are looked up on the trial's own machine."""

    def __init__(
        self,
        problem: "ObjectRef[Problem]",
        parts: "ObjectRef[Parts] | None",
        shelf: "ObjectRef[Shelf]",
        plan: Plan,
    ) -> None:
        self.problem = problem
        self.parts = parts
        self.shelf = shelf
        self.plan = plan


def _is_there(made: object) -> bool:
    return made is not None


def _work(parameters: dict[str, Any], shared: _Shared) -> None:
    plan = shared.plan
    try:
        config = with_settings(plan.base, parameters)
        measures = run_trial(
            ray.get(shared.problem),
            config,
            lambda so_far: tune.report(dict(so_far)),
            step=plan.step,
            parts=None if shared.parts is None else ray.get(shared.parts),
            shelf=ray.get(shared.shelf),
            look_every_trees=plan.budget.look_every_trees,
        )
    except Exception as error:  # noqa: BLE001 - whatever goes wrong in a trial becomes its row
        tune.report({_FAILURE: _named(error)})
        return
    tune.report({_WHOLE: True, N_TREES: config.boosting.n_trees, **measures})


class _Suggestions(OptunaSearch):
    """Optuna's suggestions; only whole trials count as complete."""

    knows_pruned = True  # with several objectives Optuna knows no pruned trials

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        if _FAILURE not in result:
            super().on_trial_result(trial_id, result)

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        if result is None or _WHOLE not in result:
            error = error or not self.knows_pruned or (result is not None and _FAILURE in result)
            result = None
        super().on_trial_complete(trial_id, result, error)


def _suggestions(plan: Plan) -> OptunaSearch:
    space = distributions(plan.space, plan.settings_now)
    metrics = [objective.value for objective in plan.objectives]
    modes = ["max" if MEANINGS[objective].larger_is_better else "min" for objective in plan.objectives]
    several = len(metrics) > 1
    suggestions = _Suggestions(
        space,
        metric=metrics if several else metrics[0],
        mode=modes if several else modes[0],
        sampler=sampler(plan.seed, plan.n_trials, len(plan.rows)),
        storage=storage_told(space, plan.objectives, plan.rows, plan.first),
        study_name=STUDY,
    )
    suggestions.knows_pruned = not several
    return suggestions


def _scheduler(plan: Plan) -> TrialScheduler:
    if not plan.stops_early:
        return FIFOScheduler()  # type: ignore[no-untyped-call]
    end = plan.most_trees + 1  # nothing that reaches its last tree is stopped before it is measured
    return AsyncHyperBandScheduler(
        time_attr=N_TREES,
        metric=Objective.NDCG.value,
        mode="max",
        max_t=end,
        grace_period=min(plan.budget.grace_trees, end),
        reduction_factor=plan.budget.reduction,
    )


class _Told(tune.Callback):
    """Hands on what Tune tells."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self._last: dict[str, Mapping[str, Any]] = {}

    def __getstate__(self) -> dict[str, Any]:
        """Tune keeps a copy of all it was given, to restore it; we never do, and a listener stays here."""
        return {}

    def on_trial_start(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:  # noqa: ANN401 - Tune's
        self._listener.started(trial.trial_id, dict(trial.config))

    def on_trial_result(
        self,
        iteration: int,
        trials: list[Trial],
        trial: Trial,
        result: dict[str, Any],
        **info: Any,  # noqa: ANN401 - Tune's
    ) -> None:
        is_new = result != self._last.get(trial.trial_id)
        self._last[trial.trial_id] = result
        if is_new and _WHOLE not in result and _FAILURE not in result:
            self._listener.looked(trial.trial_id, int(result[N_TREES]), float(result[Objective.NDCG]))

    def on_trial_recover(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:  # noqa: ANN401 - Tune's
        self._listener.died(trial.trial_id)

    def on_trial_complete(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:  # noqa: ANN401 - Tune's
        last = self._last.get(trial.trial_id, {})
        measures = {objective: float(last[objective]) for objective in Objective if objective in last}
        if _FAILURE in last:
            self._listener.ended(trial.trial_id, Outcome.FAILED, {}, error=str(last[_FAILURE]))
        else:
            outcome = Outcome.FINISHED if _WHOLE in last else Outcome.STOPPED
            self._listener.ended(trial.trial_id, outcome, measures)

    def on_trial_error(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:  # noqa: ANN401 - Tune's
        error = trial.get_error()
        self._listener.ended(
            trial.trial_id, Outcome.FAILED, {}, error="its process died" if error is None else _named(error)
        )


def _named(error: BaseException) -> str:
    return f"{type(error).__name__}: {_first_line(error)}"


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else repr(error)
