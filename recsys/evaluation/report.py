"""The report as files: JSON for machines, Markdown for people, and the plots beside it."""

from pathlib import Path

from recsys.evaluation.results import MAIN_METRIC, Estimate, Report, Row

_COLUMNS = (MAIN_METRIC, "recall@10", "mrr@10", "hit@10", "candidate_recall")
_BEYOND = ("diversity@", "novelty_bits@", "popularity_percentile@")


def to_json(report: Report) -> bytes:
    """Return the report as JSON, two spaces deep, with a final newline."""
    return report.model_dump_json(indent=2).encode() + b"\n"


def to_markdown(report: Report, plots: tuple[Path, ...] = ()) -> str:
    """Return the report as a page; ``plots`` are linked by their file names."""
    parts = [
        f"# {report.data}, {report.protocol}",
        _setting(report),
        "## Findings\n\n" + "\n".join(f"- {sentence}" for sentence in report.findings),
        "## Accuracy and cost\n\n" + _accuracy(report),
        "## Beyond accuracy\n\n" + _beyond(report),
        "## Groups of users, by their history\n\n" + _buckets(report),
    ]
    if report.differences:
        parts.append("## Differences over the same users\n\n" + _differences(report))
    parts += [f"![{path.stem.replace('_', ' ')}]({path.name})" for path in plots]
    return "\n\n".join(parts) + "\n"


def _setting(report: Report) -> str:
    counts = report.counts
    return (
        f"{counts.n_items:,} items, {counts.n_users:,} users, {counts.n_train_events:,} training events; "
        f"{counts.n_test_users:,} test users ({counts.n_cold_users:,} without history, "
        f"{counts.n_tied_users:,} asked at the very time of their last item), "
        f"{counts.n_targets:,} targets. Full ranking over all items, seen items removed. "
        f"Brackets: {report.level:.0%} bootstrap intervals over users ({report.n_resamples:,} resamples, "
        f"seed {report.seed}). Made on {report.date}, {report.machine}."
    )


def _accuracy(report: Report) -> str:
    shown = [name for name in _COLUMNS if any(name in row.metrics for row in report.rows)]
    lines = [
        [row.model, *(_estimate(row.metrics.get(name)) for name in shown), *_cost(row)] for row in report.rows
    ]
    lines += [[each.model, f"skipped: {each.why}"] + [""] * (len(shown) + 2) for each in report.skipped]
    return _table(["model", *shown, "fit s", "peak MB", "answer s"], lines)


def _cost(row: Row) -> list[str]:
    peak = f"{row.peak_mb:,.0f}" if row.peak_is_of_fit else f"<= {row.peak_mb:,.0f}"
    return [f"{row.fit_s:.1f}", peak, f"{row.answer_s:.1f}"]


def _beyond(report: Report) -> str:
    if not report.rows:
        return "No model was evaluated."
    first = report.rows[0]
    means = [name for name in first.metrics if name.startswith(_BEYOND)]
    lines = [
        [
            row.model,
            *(f"{value:.3f}" for value in row.exposure.values()),
            *(f"{row.metrics[name].value:.3f}" for name in means),
        ]
        for row in report.rows
    ]
    return _table(["model", *first.exposure, *means], lines)


def _buckets(report: Report) -> str:
    lines = [
        [row.model, group, f"{result.n_users:,}", *(_estimate(result.metrics[name]) for name in _COLUMNS[:2])]
        for row in report.rows
        for group, result in ({"none": row.cold} | row.buckets | {"any, without ties": row.untied}).items()
        if result is not None
    ]
    return _table(["model", "history", "users", *_COLUMNS[:2]], lines)


def _differences(report: Report) -> str:
    lines = [
        [
            pair.metric,
            pair.group,
            f"{pair.model} - {pair.against}",
            f"{pair.value:+.4f} [{pair.low:+.4f}, {pair.high:+.4f}]",
            f"{pair.p:.3f}",
            "yes" if pair.significant else "no",
        ]
        for pair in report.differences
    ]
    return _table(["metric", "users", "models", "difference", "p", "significant"], lines)


def _estimate(estimate: Estimate | None) -> str:
    return "" if estimate is None else f"{estimate.value:.4f} [{estimate.low:.4f}, {estimate.high:.4f}]"


def _table(head: list[str], lines: list[list[str]]) -> str:
    ruled = [head, ["---"] * len(head), *lines]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in ruled)
