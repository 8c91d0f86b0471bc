"""What the figures say, in sentences made from the paired intervals: nobody chooses what to leave out."""

from collections.abc import Sequence

from recsys.evaluation.results import (
    ALL_USERS,
    COLD_USERS,
    FEWEST_USERS,
    MAIN_METRIC,
    UNTIED_USERS,
    WHOLE,
    PairedDifference,
    Row,
    Skipped,
)

_NAME = MAIN_METRIC.upper()
_WORDS = {
    COLD_USERS: "For users without history",
    UNTIED_USERS: "For users whose target is later than all their history",
}


def findings(rows: Sequence[Row], skipped: Sequence[Skipped], pairs: Sequence[PairedDifference]) -> list[str]:
    """Say against which models the whole pipeline is better, not surely better, or worse.

    Only :data:`MAIN_METRIC` is spoken of: first over all users, then wherever a group of users differs from
    "significantly better". "Significantly" means that the paired interval leaves out 0 (and of fewer
    than 20 users nothing is claimed); the intervals are not widened for the number of comparisons.
    """
    said = [f"{each.model} was skipped: {each.why}." for each in skipped]
    whole = next((row for row in rows if row.model == WHOLE), None)
    if whole is None:
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
    return said + _ties(whole) + _groups([pair for pair in main if pair.group != ALL_USERS])


def _ties(whole: Row) -> list[str]:
    """Say what is left of the figure where the order of the file gives nothing away."""
    if whole.untied is None:
        return []
    left = whole.untied.metrics[MAIN_METRIC]
    interval = f"{left.value:.4f} [{left.low:.4f}, {left.high:.4f}]"
    sentence = (
        "Some users are asked at the very time of their last item, where the order is that of the file; "
        f"over the other {whole.untied.n_users:,} {WHOLE} has {_NAME} {interval}, "
        f"over all {whole.metrics[MAIN_METRIC].value:.4f}."
    )
    return [sentence]


def _groups(pairs: Sequence[PairedDifference]) -> list[str]:
    """Name each group in which the pipeline is not significantly better than some model."""
    said = []
    for group in dict.fromkeys(pair.group for pair in pairs):
        of_group = [pair for pair in pairs if pair.group == group]
        who = _WORDS.get(group, f"For users with a history of {group}")
        if of_group[0].n_users < FEWEST_USERS:
            said.append(f"{who} nothing can be said: they are {of_group[0].n_users}, too few.")
            continue
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
