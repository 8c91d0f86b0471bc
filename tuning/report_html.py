"""The report of a sweep as one HTML file that needs nothing else."""

from collections.abc import Iterator, Mapping, Sequence
from html import escape

from recsys.core.html_page import page, table_of
from recsys.evaluation.results import MAIN_METRIC, WHOLE, Estimate
from tuning.document import DEFAULTS, Final, StepReport, SweepReport, gain
from tuning.journal import Ended, Outcome
from tuning.objectives import MEANINGS, Objective
from tuning.report_plots import coordinates_plot, front_plot, importance_plot, progress_plot, short
from tuning.settings_paths import Setting

_MOST_ROWS = 200
_WORTH = (MAIN_METRIC, "recall@10", "hit@10", "candidate_recall", "diversity@10")
_NAMES = {WHOLE: "the choice", DEFAULTS: "defaults"}


def html_of(report: SweepReport) -> str:
    """Return the whole page."""
    protocol = report.opening.sweep.data.protocol.value
    about = ", ".join((report.opening.data, protocol, report.machine, report.date))
    parts = [
        f"<h1>{escape(f'Sweep {report.opening.sweep_name}')}</h1>",
        f"<p class=muted>{escape(about)}</p>",
        _tiles(report),
        _final(report.final),
        _settings(report),
        *(part for step in report.steps for part in _step(report, step)),
    ]
    return page(f"Sweep {report.opening.sweep_name}", parts)


def number(value: Setting) -> str:
    """Return a setting or a figure in four digits."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    return f"{value:,}" if isinstance(value, int) else f"{value:.4g}"


def _tiles(report: SweepReport) -> str:
    counts = [(outcome, sum(step.count(outcome) for step in report.steps)) for outcome in Outcome]
    figures = [
        ("trials", str(report.n_trials)),
        *((outcome.value, str(n)) for outcome, n in counts),
        ("minutes of search", f"{report.minutes:.1f}"),
        ("bundle", report.bundle or "none"),
    ]
    tiles = "".join(f"<div class=tile>{escape(name)}<b>{escape(text)}</b></div>" for name, text in figures)
    return f"<div class=tiles>{tiles}</div>"


def _final(final: Final | None) -> str:
    head = "<h2>On the test, which no trial has seen</h2>"
    if final is None:
        return f"{head}<p class=muted>Not measured: the sweep ended before, or was told not to refit.</p>"
    rows = [
        (_NAMES.get(row.model, row.model), *(_estimate(row.metrics, metric) for metric in _WORTH))
        for row in final.rows
    ]
    pair = gain(final)
    words = ""
    if pair is not None:
        surely = "better" if pair.low > 0 else "worse" if pair.high < 0 else "not surely different"
        words = (
            f"<p>The choice less the defaults in {escape(MAIN_METRIC)}: {pair.value:+.4f} "
            f"[{pair.low:+.4f}, {pair.high:+.4f}], {surely}; {final.n_users:,} users, each asked once.</p>"
        )
    return f"{head}{table_of(('', *_WORTH), rows)}{words}"


def _estimate(metrics: Mapping[str, Estimate], metric: str) -> str:
    found = metrics.get(metric)
    return "\N{EN DASH}" if found is None else f"{found.value:.4f} [{found.low:.4f}, {found.high:.4f}]"


def _settings(report: SweepReport) -> str:
    spent = (
        f"<p class=muted>Chosen by {report.n_trials} trials on validation questions alone; "
        f"seed {report.opening.sweep.seed} of search, questions and trainings.</p>"
    )
    if not report.changed:
        return f"<h2>The choice</h2><p>The defaults: no trial was better.</p>{spent}"
    rows = [(path, number(value)) for path, value in report.changed.items()]
    return f"<h2>The choice: what differs from the defaults</h2>{table_of(('setting', 'value'), rows)}{spent}"


def _step(report: SweepReport, step: StepReport) -> Iterator[str]:
    yield f"<h2>{escape(f'Step {step.step.value}')}</h2><p class=muted>{escape(_about(step))}</p>"
    yield progress_plot(step)
    for other in step.objectives[1:]:
        yield f"<h3>{step.objectives[0].value} against {other.value}</h3>{front_plot(step, other)}"
    for objective, shares in step.importance.items():
        if shares:
            yield f"<h3>What matters for {escape(objective.value)}</h3>{importance_plot(shares)}"
    plot = coordinates_plot(step, report.opening.sweep.space.of(step.step))
    if plot:
        yield f"<h3>All trials, a line each; red is the choice</h3>{plot}"
    yield f"<h3>Trials</h3>{_trials(step)}"


def _about(step: StepReport) -> str:
    wanted = "; ".join(f"{each.value}: {MEANINGS[each].words}" for each in step.objectives)
    cut = f"; {step.n_cut} cut off by the end" if step.n_cut else ""
    return f"{wanted}. {len(step.rows)} trials, {step.seconds_of_trials / 60:.1f} minutes of work{cut}."


def _trials(step: StepReport) -> str:
    figures = [each for each in Objective if any(each in row.measures for row in step.rows)]
    paths = list(step.rows[0].parameters) if step.rows else []
    names = [short(path) for path in paths]
    head = ("trial", "outcome", *(each.value for each in figures), "trees", "s", *names)
    rows = [_cells(step, row, figures, paths) for row in step.rows[:_MOST_ROWS]]
    more = len(step.rows) - len(rows)
    rest = f"<p class=muted>{more} more are in report.json.</p>" if more > 0 else ""
    marks = "<p class=muted>★ the choice, ◆ on the Pareto front</p>"
    return marks + table_of(head, rows, n_words=2) + rest


def _cells(
    step: StepReport, row: Ended, figures: Sequence[Objective], paths: Sequence[str]
) -> tuple[str, ...]:
    marks = ("★" if row.number == step.chosen else "") + ("◆" if row.number in step.front else "")
    why = f": {row.error}" if row.error else ""
    deaths = f" (process died {row.n_deaths} times)" if row.n_deaths else ""
    return (
        f"{row.number} {marks}".strip(),
        f"{row.outcome.value}{why}{deaths}",
        *(number(row.measures[each]) if each in row.measures else "" for each in figures),
        str(row.curve[-1].n_trees) if row.curve else "",
        f"{row.seconds:.0f}",
        *(number(row.parameters[path]) for path in paths),
    )
