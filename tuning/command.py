"""What ``marquee tune`` does: open or resume a sweep, run it, write its report, refit and publish."""

import os
import platform
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from pydantic import ValidationError

from recsys.cli.data_source import data_source
from recsys.cli.progress import steps_shown
from recsys.core.clock import monotonic_clock
from recsys.core.durable import replace_durably
from recsys.core.errors import ConflictError, DataFormatError, FieldError
from recsys.data.badrows import OnBadRow
from recsys.data.log import InteractionLog
from recsys.data.schema import Dataset
from recsys.evaluation.protocols import Setting
from recsys.lake.open import absolute_address
from recsys.registry.channels import Channel
from recsys.registry.open import absolute
from recsys.registry.store import Registry
from recsys.tracking.run import Tell, untold
from tuning.document import Final, Opening, SweepReport, report_of
from tuning.final import asked_the_gate, measure_once, publish
from tuning.journal import FILE, Journal, open_journal
from tuning.parts import store_bytes
from tuning.problem import Problem, log_of, make_problem
from tuning.progress import trials_shown
from tuning.ray_tune import Cluster, RayTuneRunner
from tuning.report_html import html_of
from tuning.report_plots import plots_of
from tuning.run import Found, Wish, run_sweep
from tuning.sweep import Budget, Sweep, read_sweep
from tuning.tracked import tracked

_OPENING = "sweep.json"
_REPORT = "report.json"
_SHOWN = ("report.html", _REPORT, "best.json", _OPENING)
_SECONDS_PER_MINUTE = 60.0


@dataclass(frozen=True, slots=True)
class Limits:
    """What was asked for in place of the sweep's own budget; None: nothing."""

    trials: int | None = None
    minutes: float | None = None
    concurrent: int | None = None

    def over(self, sweep: Sweep) -> Sweep:
        """Return the sweep with these in its budget."""
        given = {"trials": self.trials, "minutes": self.minutes, "concurrent": self.concurrent}
        budget = sweep.budget.model_dump() | {name: one for name, one in given.items() if one is not None}
        return sweep.model_copy(update={"budget": Budget.model_validate(budget)})


@dataclass(frozen=True, slots=True)
class Place:
    """Where a sweep lives, and what it is about."""

    folder: Path
    opening: Opening


def begin(data: str | Path, sweep_name: str, folder: Path, limits: Limits) -> Place:
    """Open a new sweep in a folder.

    Raises:
        FieldError: there is one in the folder already, or the sweep file is wrong.
        DataFormatError: there is no such data or sweep.
    """
    if (folder / FILE).exists():
        raise FieldError("--out", f"{folder}, where a sweep lies", f"a new folder, or --resume {folder}")
    sweep = limits.over(read_sweep(sweep_name))
    opening = Opening(
        data=absolute_address(data),
        fingerprint=data_source(data).fingerprint,
        sweep_name=Path(sweep_name).stem,
        sweep=sweep,
    )
    folder.mkdir(parents=True, exist_ok=True)
    replace_durably(folder / _OPENING, opening.model_dump_json(indent=2).encode())
    return Place(folder, opening)


def resume(folder: Path, data: str | Path | None, limits: Limits) -> Place:
    """Take up the sweep in a folder; other limits than before may be given.

    Raises:
        DataFormatError: no sweep lies there.
        ConflictError: the data are not what the sweep began with.
    """
    path = folder / _OPENING
    if not path.is_file():
        raise DataFormatError(folder, f"the folder of a sweep, with {_OPENING}", "none")
    try:
        before = Opening.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise DataFormatError(path, "the beginning of a sweep", error.errors()[0]["msg"]) from error
    place = data or before.data
    now = data_source(place).fingerprint
    if now != before.fingerprint:
        raise ConflictError(f"the data of the sweep, {place}", before.fingerprint[:16], now[:16])
    opening = before.model_copy(update={"data": absolute_address(place), "sweep": limits.over(before.sweep)})
    replace_durably(path, opening.model_dump_json(indent=2).encode())
    return Place(folder, opening)


@dataclass(frozen=True, slots=True)
class Ending:
    """What becomes of the choice."""

    registry: Registry
    address: str  # of the registry
    channel: Channel | None
    refit: bool


def tune(
    place: Place,
    wish: Wish,
    ending: Ending,
    *,
    address: str | None,
    on_bad_row: OnBadRow,
    now_s: float,
    tell: Tell = untold,
) -> SweepReport:
    """Run what is left of a sweep; the report is written before the refit and once more after it."""
    opening = place.opening
    with steps_shown() as on_step:
        on_step(f"reading {opening.data}", 0.0)
        dataset = data_source(opening.data).load(on_bad_row=on_bad_row, now_s=now_s).dataset
        log = log_of(dataset)
        problem = make_problem(log, dataset.items, opening.sweep.data, seed=opening.sweep.seed)
    with open_journal(place.folder) as journal, tracked(opening, journal, tell) as told:
        found = _search(place, problem, journal, wish, address)
        report = report_of(
            opening,
            journal,
            found,
            machine=machine(),
            date=datetime.fromtimestamp(now_s, UTC).date().isoformat(),
            minutes=journal.elapsed_s / _SECONDS_PER_MINUTE,
        )
        report = report.model_copy(update={"final": _measured_before(place.folder, found)})
        write(report, place.folder)
        told.reported(report, partial(files_of, report, place.folder))
        if ending.refit:
            report = _refitted(report, log, dataset, ending, now_s)
            write(report, place.folder)
            told.reported(report, partial(files_of, report, place.folder))
        if report.bundle is not None:
            told.published(report.bundle, ending.registry, absolute(ending.address))
    return report


def _search(place: Place, problem: Problem, journal: Journal, wish: Wish, address: str | None) -> Found:
    sweep = place.opening.sweep
    cluster = Cluster(address, sweep.budget.concurrent, store_bytes(problem, sweep.base))
    with trials_shown() as show, RayTuneRunner(problem, place.folder, cluster) as runner:
        return run_sweep(sweep, journal, runner, wish, clock=monotonic_clock, show=show)


def _refitted(
    report: SweepReport, log: InteractionLog, dataset: Dataset, ending: Ending, now_s: float
) -> SweepReport:
    sweep = report.opening.sweep
    with steps_shown() as on_step:
        final = report.final
        if final is None:
            setting = Setting(
                dataset.name, sweep.data.protocol.value, report.machine, report.date, sweep.seed
            )
            final = measure_once(log, dataset, report.settings, sweep.data, setting, on_step=on_step)
        bundle = publish(
            dataset,
            report.opening.fingerprint,
            report.settings,
            final,
            ending.registry,
            channel=ending.channel,
            now_s=now_s,
            on_step=on_step,
        )
    return report.model_copy(update={"final": final, "bundle": bundle})


def _measured_before(folder: Path, found: Found) -> Final | None:
    """Return what an earlier run has measured of the same choice: the test is asked once."""
    path = folder / _REPORT
    if not path.is_file():
        return None
    before = SweepReport.model_validate_json(path.read_bytes())
    final = before.final if before.settings == found.settings else None
    return final if final is not None and asked_the_gate(final) else None


def write(report: SweepReport, folder: Path) -> None:
    """Write report and choice; ``best.json`` is what ``marquee train --config`` reads."""
    replace_durably(folder / "best.json", report.settings.model_dump_json(indent=2).encode())
    replace_durably(folder / _REPORT, report.model_dump_json(indent=2).encode())
    replace_durably(folder / "report.html", html_of(report).encode())


def files_of(report: SweepReport, folder: Path) -> dict[str, str]:
    """Return the files of a sweep that show it to others, and its plots, by path."""
    space = report.opening.sweep.space
    plots = {
        f"plots/{step.step.value}/{name}.svg": plot
        for step in report.steps
        for name, plot in plots_of(step, space.of(step.step)).items()
    }
    return {name: (folder / name).read_text(encoding="utf-8") for name in _SHOWN} | plots


def machine() -> str:
    """Return what the figures were measured on."""
    python = platform.python_version()
    return f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, Python {python}"
