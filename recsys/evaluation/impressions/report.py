"""The report as a page in Markdown; the JSON is the report's own."""

from pathlib import Path

from recsys.evaluation.impressions.judged import METRICS
from recsys.evaluation.impressions.results import Asked, ImpressionReport
from recsys.evaluation.results import Estimate

_SECONDS_PER_MINUTE = 60.0


def to_markdown(report: ImpressionReport, plots: tuple[Path, ...] = ()) -> str:
    """Return the report as a page; ``plots`` are linked by their file names."""
    parts = [
        f"# {report.data}, shown items",
        _setting(report),
        "## Findings\n\n" + "\n".join(f"- {sentence}" for sentence in report.findings),
    ]
    parts += [_question(report, asked) for asked in report.asked]
    parts.append("## Cost\n\n" + _costs(report))
    if report.differences:
        parts.append("## Differences over the same users\n\n" + _differences(report))
    parts += [f"![{path.stem.replace('_', ' ')}]({path.name})" for path in plots]
    return "\n\n".join(parts) + "\n"


def _setting(report: ImpressionReport) -> str:
    return (
        f"What users were shown in the last {report.test_days:g} days ({report.n_sessions:,} sessions), "
        f"scored by models that learned from what came before: {report.n_train_events:,} positive "
        f"interactions, for some models {report.n_past_impressions:,} impressions; {report.n_items:,} items. "
        f"A session ends after {report.gap_s / _SECONDS_PER_MINUTE:g} minutes without an impression; a "
        f"user's history reaches up to the beginning of the session, days after the cut too, and nothing "
        f"within the session counts. {report.n_across:,} sessions across the cut are left out; "
        f"{report.n_users_without_past:,} users have no history. Brackets: {report.level:.0%} bootstrap "
        f"intervals over users ({report.n_resamples:,} resamples, seed {report.seed}). Made on "
        f"{report.date}, {report.machine}."
    )


def _question(report: ImpressionReport, asked: Asked) -> str:
    lines = [
        [each.model, *(_estimate(each.metrics.get(metric)) for metric in METRICS)]
        for each in report.judgements
        if (each.target, each.shower) == (asked.target, asked.shower)
    ]
    counts = (
        f"{asked.n_impressions:,} impressions of {asked.n_users:,} users, {asked.chosen_share:.1%} chosen. "
        f"AUC takes all of them. The rest is over the {asked.n_mixed_users:,} users with both answers and "
        f"their {asked.n_mixed_impressions:,} impressions ({asked.n_users - asked.n_mixed_users:,} users are "
        f"left out); {asked.n_within_ten:,} of them have at most ten impressions: the cut at 10 cuts nothing."
    )
    title = f"## {asked.target.value.replace('_', ' ').capitalize()}, shown by {asked.shower.value}"
    return f"{title}\n\n{counts}\n\n" + _table(["model", *METRICS], lines)


def _costs(report: ImpressionReport) -> str:
    lines = [[each.model, f"{each.fit_s:.1f}", f"{each.answer_s:.1f}"] for each in report.costs]
    lines += [[each.model, f"skipped: {each.why}", ""] for each in report.skipped]
    return _table(["model", "fit s", "answer s"], lines)


def _differences(report: ImpressionReport) -> str:
    lines = [
        [
            pair.group,
            pair.metric,
            f"{pair.model} - {pair.against}",
            f"{pair.value:+.4f} [{pair.low:+.4f}, {pair.high:+.4f}]",
            f"{pair.p:.3f}",
            "yes" if pair.significant else "no",
        ]
        for pair in report.differences
    ]
    return _table(["impressions", "metric", "models", "difference", "p", "significant"], lines)


def _estimate(estimate: Estimate | None) -> str:
    return "" if estimate is None else f"{estimate.value:.4f} [{estimate.low:.4f}, {estimate.high:.4f}]"


def _table(head: list[str], lines: list[list[str]]) -> str:
    ruled = [head, ["---"] * len(head), *lines]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in ruled)
