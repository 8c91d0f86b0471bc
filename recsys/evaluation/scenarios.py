"""Cold start as tables: what a scenario measured, of which method, and how surely."""

import numpy as np
from numpy.typing import NDArray

from recsys.core.settings import FrozenModel
from recsys.evaluation.intervals import LEVEL, intervals, paired_differences
from recsys.evaluation.results import FEWEST_USERS, Estimate


class ScenarioRow(FrozenModel):
    """One method under one circumstance."""

    method: str
    circumstance: str
    """For example ``3 clicks`` or ``recall@50``."""
    n_users: int
    result: Estimate
    against: str
    """The best of the baselines, by its mean."""
    difference: Estimate | None
    """To that baseline, over the same users; None for the baselines themselves."""
    verdict: str
    """``better``, ``worse`` or ``no telling``; empty for baselines."""


class ScenarioReport(FrozenModel):
    """Everything a scenario found."""

    data: str
    scenario: str
    how: str
    """What was held out, asked and known."""
    metric: str
    seed: int
    level: float = LEVEL
    rows: list[ScenarioRow]


def rows_of(
    circumstance: str,
    values: dict[str, NDArray[np.float64]],
    baselines: tuple[str, ...],
    *,
    seed: int,
) -> list[ScenarioRow]:
    """Compare methods under one circumstance with the best of their baselines.

    Args:
        circumstance: what it is called.
        values: method -> one number per user, shape (users,), the same users in the same order.
        baselines: names among ``values``.
        seed: of the bootstrap.
    """
    best = max(baselines, key=lambda name: float(values[name].mean()))
    rows = []
    for method, own in values.items():
        found = intervals(own[:, None], seed=seed)[0]
        difference, verdict = None, ""
        if method not in baselines:
            pair = paired_differences(own[:, None], values[best][:, None], seed=seed)[0]
            difference = Estimate(value=pair.value, low=pair.low, high=pair.high)
            sure = pair.significant and len(own) >= FEWEST_USERS
            verdict = ("better" if pair.value > 0 else "worse") if sure else "no telling"
        rows.append(
            ScenarioRow(
                method=method,
                circumstance=circumstance,
                n_users=len(own),
                result=Estimate(value=found.value, low=found.low, high=found.high),
                against=best,
                difference=difference,
                verdict=verdict,
            )
        )
    return rows


def scenario_page(report: ScenarioReport) -> str:
    """Return a report as a page in Markdown; first of all where we lose."""
    lost = [row for row in report.rows if row.verdict == "worse"]
    lines = [
        f"# {report.data}: {report.scenario}",
        "",
        (
            f"{report.how} Metric: {report.metric}. Brackets: {report.level:.0%} bootstrap intervals over "
            f"users, seed {report.seed}; `difference` is to the best baseline over the same users."
        ),
        "",
        *(
            f"- **{row.method} loses to {row.against}** at {row.circumstance}: "
            f"{_signed(row.difference) if row.difference else ''}"
            for row in lost
        ),
        *([] if lost else ["- Surely worse than the best baseline: nowhere."]),
        "",
        f"| circumstance | method | users | {report.metric} | difference | to | verdict |",
        "| --- | --- | ---: | ---: | ---: | --- | --- |",
    ]
    lines += [
        f"| {row.circumstance} | {row.method} | {row.n_users:,} | {_plain(row.result)} "
        f"| {_signed(row.difference) if row.difference else ''} "
        f"| {row.against if row.difference else ''} | {row.verdict} |"
        for row in report.rows
    ]
    return "\n".join(lines) + "\n"


def _plain(found: Estimate) -> str:
    return f"{found.value:.4f} [{found.low:.4f}, {found.high:.4f}]"


def _signed(found: Estimate) -> str:
    return f"{found.value:+.4f} [{found.low:+.4f}, {found.high:+.4f}]"
