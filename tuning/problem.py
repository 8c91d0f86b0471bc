"""What every trial is asked: the past it may learn from, and the validation questions.

The test is cut off first and is not here at all: no trial can see it, and nothing that is chosen by these
figures has been chosen on it.
"""

from dataclasses import dataclass

import polars as pl

from recsys.core.errors import InputError
from recsys.data.log import InteractionLog, Vocabulary, encode
from recsys.data.schema import Dataset
from recsys.data.splits import Split
from recsys.evaluation.groups import sample_tests
from recsys.evaluation.lists import CatalogueFacts, catalogue_facts
from recsys.evaluation.protocols import split_by
from tuning.sweep import Questions


@dataclass(frozen=True, slots=True)
class Problem:
    """Made once for a sweep, and shared by all its trials."""

    split: Split  # train and validation; positions of the test are in none of its logs
    items: pl.DataFrame  # the catalogue
    facts: CatalogueFacts  # of what may be learned from


def log_of(dataset: Dataset) -> InteractionLog:
    """Return all positive interactions."""
    return encode(dataset, Vocabulary(dataset.items["item_id"].to_list()))


def final_split(log: InteractionLog, questions: Questions) -> Split:
    """Return what is measured once, when everything is chosen."""
    return split_by(questions.protocol, log, test_share=questions.test_share)


def make_problem(log: InteractionLog, items: pl.DataFrame, questions: Questions, *, seed: int) -> Problem:
    """Cut off the test, then split what is left in the same way.

    Args:
        log: everything there is.
        items: the catalogue; row order gives the log's item rows.
        questions: protocol and sizes.
        seed: chooses who is asked.

    Raises:
        InputError: there is nobody to ask.
    """
    past = final_split(log, questions).train
    if len(past.item_rows) == 0:
        raise InputError("nothing is left to learn from before the test")
    split = split_by(questions.protocol, past, test_share=questions.test_share)
    if len(split) == 0:
        raise InputError(
            f"nobody can be asked on validation: {questions.protocol.value} wants users with three positions"
            if questions.protocol.value == "leave-last-out"
            else "nobody can be asked on validation: nothing new happened in the newest part of the past"
        )
    split = sample_tests(split, questions.max_users, seed=seed)
    return Problem(split, items, catalogue_facts(split.train, items))
