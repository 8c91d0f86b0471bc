"""What the figures say, in sentences made from the paired intervals: nobody chooses what to leave out."""

from collections.abc import Sequence

from recsys.evaluation.results import ALL_USERS, MAIN_METRIC, WHOLE, PairedDifference, Row, Skipped

_NAME = MAIN_METRIC.upper()


def findings(rows: Sequence[Row], skipped: Sequence[Skipped], pairs: Sequence[PairedDifference]) -> list[str]:
    """Say against which models the whole pipeline is better, not surely better, or worse.

    Only :data:`MAIN_METRIC` is spoken of: first over all users, then wherever a group of users differs from
    "significantly better". "Significantly" means that the paired interval leaves out 0 (and of fewer
    than 20 users nothing is claimed); the intervals are not widened for the number of comparisons.
    """
    said = [f"{each.model} was skipped: {each.why}." for each in skipped]
    if not any(row.model == WHOLE for row in rows):
        return [*said, f"{WHOLE} was not evaluated, so nothing is compared with it."]
    main = [pair for pair in pairs if pair.metric == MAIN_METRIC]
    overall = [pair for pair in main if pair.group == ALL_USERS]
    if not overall:
        return [*said, f"{WHOLE} was evaluated alone, so nothing is compared with it."]
    won = [pair for pair in overall if pair.significant and pair.value > 0.0]
    doubtful = [pair for pair in overall if not pair.significant]
    lost = [pair for pair in overall if pair.significant and pair.value < 0.0]
    said += [f"{WHOLE} is significantly WORSE than {_against(pair)} on {_NAME}." for pair in lost]
    said += [f"{WHOLE} does NOT beat {_against(pair)} significantly on {_NAME}." for pair in doubtful]
    if won:
        narrowest = min(won, key=lambda pair: pair.low)
        names = ", ".join(pair.against for pair in won)
        said.append(
            f"{WHOLE} beats {names} significantly on {_NAME}; the smallest sure lead is over "
            f"{_against(narrowest)}."
        )
    return said + _groups([pair for pair in main if pair.group != ALL_USERS])


def _groups(pairs: Sequence[PairedDifference]) -> list[str]:
    """Name each group in which the pipeline is not significantly better than some model."""
    said = []
    for group in dict.fromkeys(pair.group for pair in pairs):
        of_group = [pair for pair in pairs if pair.group == group]
        who = f"For users with history {group}" if group[0] in "0123456789>" else "For users without history"
        for words, some in (
            (
                "is significantly WORSE than",
                [pair for pair in of_group if pair.significant and pair.value < 0.0],
            ),
            ("does NOT significantly beat", [pair for pair in of_group if not pair.significant]),
        ):
            if some:
                others = ", ".join(_against(pair) for pair in some)
                said.append(f"{who} ({of_group[0].n_users:,} users) {WHOLE} {words} {others} on {_NAME}.")
    return said


def _against(pair: PairedDifference) -> str:
    return f"{pair.against} ({pair.value:+.4f} [{pair.low:+.4f}, {pair.high:+.4f}])"
