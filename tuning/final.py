"""What becomes of the choice: measured once on the test, fitted on everything, published."""

import getpass
from functools import partial

from recsys.data.log import InteractionLog
from recsys.data.schema import Dataset
from recsys.evaluation.baselines import BASELINES
from recsys.evaluation.model import Fit
from recsys.evaluation.protocols import EvaluationConfig, Setting, evaluate
from recsys.evaluation.results import WHOLE
from recsys.recall.shelf import Shelf
from recsys.registry.channels import Channel
from recsys.registry.store import Registry, let_channel_name
from recsys.training.cross_fit import Step
from recsys.training.gate import GateConfig, judged
from recsys.training.train import find_trained, train, training_key
from recsys.training.two_stage import TrainingConfig, fit_two_stage
from tuning.document import DEFAULTS, Final
from tuning.problem import final_split
from tuning.sweep import Questions

GATE = GateConfig()
"""What a choice must not be worse than on the test."""


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

    What the gate compares with is asked them, too: whoever has passed here need not be fitted again for it.

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
    shelf = Shelf()  # both learn from the same log, and mostly under the same settings
    fits: dict[str, Fit] = {name: BASELINES[name] for name in GATE.baselines}
    fits |= {
        name: partial(fit_two_stage, config=config, shelf=shelf, on_step=_named(on_step, f"test: {name}"))
        for name, config in ((WHOLE, settings), (DEFAULTS, defaults))
    }
    report = evaluate(split, dataset.items, fits, setting, EvaluationConfig(), on_step=on_step)
    return Final(rows=report.rows, differences=report.differences, n_users=len(split))


def asked_the_gate(final: Final) -> bool:
    """Return whether all that the gate compares with was measured, too: earlier versions left it out."""
    return {WHOLE, *GATE.baselines} <= {row.model for row in final.rows}


def _named(on_step: Step, label: str) -> Step:
    return lambda name, share: on_step(f"{label}: {name}", share)


def publish(
    dataset: Dataset,
    fingerprint: str,
    settings: TrainingConfig,
    final: Final,
    registry: Registry,
    *,
    channel: Channel | None,
    now_s: float,
    on_step: Step,
) -> str:
    """Pass the gate, fit the choice on all data, publish; return the bundle's name. Nothing is done twice.

    Args:
        dataset: everything there is.
        fingerprint: of the data set.
        settings: the choice.
        final: how it did on the test.
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
        passed = judged(final.rows, final.differences, GATE)
        done = train(dataset, registry, settings, key=key, now_s=now_s, passed=passed, on_step=on_step)
        name = done.bundle.name
    if channel is not None:
        let_channel_name(registry, name, channel, by=getpass.getuser(), now_s=now_s)
    return name
