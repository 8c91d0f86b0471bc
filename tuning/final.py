"""What becomes of the choice: measured once on the test, fitted on everything, published."""

import getpass
from functools import partial

from recsys.data.log import InteractionLog
from recsys.data.schema import Dataset
from recsys.evaluation.model import Fit
from recsys.evaluation.protocols import EvaluationConfig, Setting, evaluate
from recsys.evaluation.results import WHOLE
from recsys.registry.channels import Channel
from recsys.registry.store import Registry, let_channel_name
from recsys.training.cross_fit import Step
from recsys.training.gate import GateConfig
from recsys.training.train import find_trained, train, training_key
from recsys.training.two_stage import TrainingConfig, fit_two_stage
from tuning.document import DEFAULTS, Final
from tuning.problem import final_split
from tuning.sweep import Questions


def measure_once(
    log: InteractionLog,
    dataset: Dataset,
    settings: TrainingConfig,
    questions: Questions,
    setting: Setting,
    *,
    on_step: Step,
) -> Final:
    """Fit the choice and the defaults on what comes before the test, and ask both the same questions.

    Args:
        log: everything there is; the last part of it is the test.
        dataset: whose catalogue is served.
        settings: the choice.
        questions: the protocol of the sweep.
        setting: for the report; its seed draws the bootstrap.
        on_step: told what is being done.
    """
    split = final_split(log, questions)
    defaults = TrainingConfig(seed=settings.seed)
    fits: dict[str, Fit] = {
        name: partial(fit_two_stage, config=config, on_step=_named(on_step, f"test: {name}"))
        for name, config in ((WHOLE, settings), (DEFAULTS, defaults))
    }
    report = evaluate(split, dataset.items, fits, setting, EvaluationConfig(), on_step=on_step)
    return Final(rows=report.rows, differences=report.differences, n_users=len(split))


def _named(on_step: Step, label: str) -> Step:
    return lambda name, share: on_step(f"{label}: {name}", share)


def publish(
    dataset: Dataset,
    fingerprint: str,
    settings: TrainingConfig,
    registry: Registry,
    *,
    channel: Channel | None,
    now_s: float,
    on_step: Step,
) -> str:
    """Fit the choice on all data, pass the gate, publish; return the bundle's name. Nothing is done twice.

    Args:
        dataset: everything there is.
        fingerprint: of the data set.
        settings: the choice.
        registry: where the bundle goes.
        channel: lets it name the bundle; None: no channel does.
        now_s: Unix time.
        on_step: told what is being done.

    Raises:
        GateClosedError: the choice does worse than popularity.
    """
    key = training_key(fingerprint, settings)
    name = find_trained(registry, key)
    if name is None:
        done = train(dataset, registry, settings, key=key, now_s=now_s, gate=GateConfig(), on_step=on_step)
        name = done.bundle.name
    if channel is not None:
        let_channel_name(registry, name, channel, by=getpass.getuser(), now_s=now_s)
    return name
