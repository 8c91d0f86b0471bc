"""What the figures say, in sentences made from the paired intervals: nobody chooses what to leave out."""

from collections.abc import Sequence

from recsys.evaluation.impressions.judged import AUC, GAUC, NDCG_AT_10
from recsys.evaluation.results import PairedDifference, Skipped

SPOKEN_OF = (GAUC, NDCG_AT_10, AUC)


def findings(pairs: Sequence[PairedDifference], skipped: Sequence[Skipped]) -> list[str]:
    """Say of each of our models, question and metric where it is worse, not surely better, and better."""
    said = [f"{each.model} was skipped: {each.why}." for each in skipped]
    keys = dict.fromkeys((pair.model, pair.group, pair.metric) for pair in pairs if pair.metric in SPOKEN_OF)
    for model, group, metric in keys:
        own = [pair for pair in pairs if (pair.model, pair.group, pair.metric) == (model, group, metric)]
        lost = [pair for pair in own if pair.significant and pair.value < 0.0]
        doubtful = [pair for pair in own if not pair.significant]
        won = [pair for pair in own if pair.significant and pair.value > 0.0]
        verdicts = [
            f"{words} {', '.join(_against(pair) for pair in some)}"
            for words, some in (
                ("is significantly WORSE than", lost),
                ("does NOT surely differ from", doubtful),
                ("beats", won),
            )
            if some
        ]
        said.append(f"{metric.upper()} of {group}: {model} {'; '.join(verdicts)}.")
    return said or ["None of our models was compared with another."]


def _against(pair: PairedDifference) -> str:
    return f"{pair.against} ({pair.value:+.4f} [{pair.low:+.4f}, {pair.high:+.4f}])"
