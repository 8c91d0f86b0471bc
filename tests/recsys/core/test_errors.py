import inspect
import pickle

import pytest

from recsys.core import errors
from recsys.core.errors import (
    BadRowsError,
    BundleError,
    ConflictError,
    CorruptBundleError,
    DataFormatError,
    FieldError,
    IncompatibleBundleError,
    InputError,
    NotFoundError,
    RecsysError,
    ShapeError,
    UnavailableError,
)

EXAMPLES: dict[type[RecsysError], tuple[RecsysError, str]] = {
    RecsysError: (RecsysError("why"), "why"),
    InputError: (InputError("why"), "why"),
    FieldError: (FieldError("top_n", "0", "1 to 100"), "top_n: got 0; expected 1 to 100"),
    ShapeError: (ShapeError("scores", (2, 3), (3,)), "scores has shape (3,); expected (2, 3)"),
    DataFormatError: (DataFormatError("x", "a table", "nothing"), "x: looked for a table; found nothing"),
    BadRowsError: (
        BadRowsError(2, "row 7"),
        "2 bad row(s), the first: row 7 (go on without them: --on-bad-row skip)",
    ),
    NotFoundError: (
        NotFoundError("lane", "red", "blue, green"),
        "no lane named 'red'; there are: blue, green",
    ),
    ConflictError: (ConflictError("stable", "a", "b"), "stable changed meanwhile: expected a, found b"),
    BundleError: (BundleError("ab", "x.npy", "gone"), "bundle ab: x.npy: gone"),
    CorruptBundleError: (CorruptBundleError("ab", "x.npy", "gone"), "bundle ab: x.npy: gone"),
    IncompatibleBundleError: (IncompatibleBundleError("ab", "x", "old"), "bundle ab: x: old"),
    UnavailableError: (UnavailableError("ranking", "late"), "ranking is unavailable: late"),
}


def test_every_error_of_the_tree_has_an_example() -> None:
    tree = {
        value for _, value in inspect.getmembers(errors, inspect.isclass) if issubclass(value, RecsysError)
    }
    assert tree == set(EXAMPLES)


@pytest.mark.parametrize("kind", EXAMPLES, ids=lambda kind: kind.__name__)
def test_an_error_says_what_came_and_crosses_a_process_whole(kind: type[RecsysError]) -> None:
    error, sentence = EXAMPLES[kind]
    assert str(error) == sentence
    back = pickle.loads(pickle.dumps(error))
    assert (type(back), str(back)) == (kind, sentence)


def test_a_thing_that_is_not_there_is_named_without_a_list_when_there_are_none() -> None:
    assert str(NotFoundError("lane", "red")) == "no lane named 'red'"
