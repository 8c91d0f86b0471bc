"""What exposures cost: ``python -m deployments.exposure_cost``, in CPU time per answer of ten items."""

import gc
import json
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from deployments.exposures import open_exposures
from deployments.question import Answer, Question, ShownItem
from deployments.settings import ExposureSettings
from recsys.core.errors import FieldError

_BATCH_SIZES = (1, 16, 64)
_N_ROUNDS = 16
_PER_ROUND = 1_024
_BETWEEN_S = 0.5  # the writer's thread gets through a round meanwhile, as it does between requests
_N_ITEMS = 10
_EXPERIMENTS = ({"variety": "more"}, {"variety": "less"})


def cost(batch_size: int, folder: Path) -> dict[str, float]:
    """Return the microseconds of CPU time that one answer costs the event loop, and the whole process.

    Args:
        batch_size: answers handed over together.
        folder: where files go.
    """
    n_answers = _N_ROUNDS * _PER_ROUND
    rounds = [
        [_batch(start, batch_size) for start in range(first, first + _PER_ROUND, batch_size)]
        for first in range(0, n_answers, _PER_ROUND)
    ]
    exposures = open_exposures(ExposureSettings(folder=folder), "cost")
    if exposures is None:
        raise FieldError("exposures.folder", "None", "a folder")
    gc.freeze()  # the answers made above are many: a garbage round over them is no cost of exposures
    began_s, loop_s = time.process_time(), 0.0
    for batches in rounds:
        loop_s -= time.thread_time()
        for questions, answers in batches:
            exposures.served(questions, answers)
        loop_s += time.thread_time()
        time.sleep(_BETWEEN_S)
    exposures.close()
    all_s = time.process_time() - began_s
    size = sum(path.stat().st_size for path in folder.rglob("*.parquet"))
    return {
        "batch": batch_size,
        "event_loop_us": round(1e6 * loop_s / n_answers, 2),
        "in_all_us": round(1e6 * all_s / n_answers, 2),
        "bytes_on_disk": round(size / n_answers, 1),
    }


def main() -> None:
    """Print one line of JSON per batch size."""
    for batch_size in _BATCH_SIZES:
        with TemporaryDirectory() as folder:
            sys.stdout.write(json.dumps(cost(batch_size, Path(folder) / "exposures")) + "\n")


def _batch(start: int, size: int) -> tuple[list[Question], list[Answer]]:
    numbers = range(start, start + size)
    questions = [
        Question(request_id=f"{number * 0x9E3779B97F4A7C15 % 2**128:032x}", now_s=2e9, user_id=f"u{number}")
        for number in numbers
    ]
    answers = [
        Answer(
            asked.request_id,
            _items(number),
            "stable",
            "0123456789abcdef",
            None,
            [],
            experiments=_EXPERIMENTS[number % len(_EXPERIMENTS)],
        )
        for asked, number in zip(questions, numbers, strict=True)
    ]
    return questions, answers


def _items(number: int) -> list[ShownItem]:
    return [
        ShownItem(f"i{(number * 7_919 + place * 104_729) % 20_000:06d}", 1.0 / (number + place), place, "svd")
        for place in range(1, _N_ITEMS + 1)
    ]


if __name__ == "__main__":
    main()
