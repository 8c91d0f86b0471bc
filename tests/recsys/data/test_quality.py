import dataclasses

import numpy as np
import polars as pl
import pytest

from recsys.data.log import InteractionLog
from recsys.data.quality import Finding, check_leakage, check_protocols, check_quality
from recsys.data.schema import INTERACTIONS, ITEMS, Dataset
from recsys.data.splits import Split, global_time, leave_last_out

NOW_S = 1_000.0


def dataset(*interactions: tuple[str, str, str, float], items: dict[str, float | None]) -> Dataset:
    """Interactions are (user, item, kind, time); items are id -> published."""
    rows = [(*row, None, None) for row in interactions]
    catalogue: list[tuple[object, ...]] = [
        (item, None, [], None, None, published_s, None, True) for item, published_s in items.items()
    ]
    return Dataset(
        "x",
        pl.DataFrame(rows, schema=INTERACTIONS, orient="row"),
        pl.DataFrame(catalogue, schema=ITEMS, orient="row"),
    )


def found(data: Dataset) -> dict[str, Finding]:
    return {finding.check: finding for finding in check_quality(data, now_s=NOW_S)}


CLEAN = (("u", "a", "watch", 1.0), ("u", "b", "watch", 2.0), ("v", "a", "watch", 1.0))


def test_clean_data_has_every_check_with_nothing_found() -> None:
    findings = found(dataset(*CLEAN, items={"a": 0.0, "b": None}))
    assert {check: finding.n for check, finding in findings.items()} == dict.fromkeys(findings, 0)
    assert len(findings) == 8


@pytest.mark.parametrize(
    ("check", "extra", "of", "example"),
    [
        ("repeated", ("u", "a", "watch", 1.0), 4, "user u item a (watch) at 1 s"),
        ("unknown-items", ("u", "z", "watch", 5.0), 4, "item z"),
        ("after-now", ("u", "a", "watch", 1_001.0), 4, "user u item a at 1001 s"),
        ("lookalike-users", ("U ", "a", "watch", 5.0), 3, "'u' and 'U '"),
        ("standing-clock", ("v", "b", "watch", 1.0), 2, "user v (2 interactions)"),
    ],
)
def test_one_row_too_many_is_found_by_its_check_alone(
    check: str, extra: tuple[str, str, str, float], of: int, example: str
) -> None:
    findings = found(dataset(*CLEAN, extra, items={"a": 0.0, "b": None}))
    assert {name for name, finding in findings.items() if finding.n} == {check}
    assert findings[check].n == 1
    assert findings[check].of == of
    assert findings[check].examples == (example,)


def test_another_kind_at_the_same_time_repeats_nothing() -> None:
    assert found(dataset(*CLEAN, ("u", "a", "like", 1.0), items={"a": None, "b": None}))["repeated"].n == 0


def test_an_item_met_before_its_publication_is_time_travel() -> None:
    finding = found(dataset(*CLEAN, items={"a": 86_401.0, "b": 2.0}))["before-publication"]
    assert (finding.n, finding.of) == (2, 3)
    assert finding.examples[0] == "user u met item a 1.0 days early"


def test_items_that_nobody_met_or_that_look_alike_are_counted() -> None:
    findings = found(dataset(*CLEAN, items={"a": None, "b": None, "B": None}))
    assert (findings["untouched-items"].n, findings["untouched-items"].of) == (1, 3)
    assert findings["lookalike-items"].examples == ("'b' and 'B'",)


def log() -> InteractionLog:
    """User u0 meets items 1, 2, 3 at 1, 2, 3; user u1 meets items 1, 4 at 1, 9."""
    return InteractionLog(
        np.array([0, 3, 5]),
        np.array([1, 2, 3, 1, 4], dtype=np.int32),
        np.array([1.0, 2.0, 3.0, 1.0, 9.0]),
        np.zeros(5, dtype=np.int16),
        ("u0", "u1"),
        (),
        5,
    )


def leaks(split: Split) -> dict[str, int]:
    return {finding.check: finding.n for finding in check_leakage(split)}


def test_global_time_leaks_nothing() -> None:
    assert leaks(global_time(log(), 3.0)) == {"target-in-train": 0, "own-future": 0, "future-of-others": 0}


def test_leave_last_out_learns_from_what_others_did_later() -> None:
    everyone = leave_last_out(log())
    assert leaks(everyone) == {"target-in-train": 0, "own-future": 0, "future-of-others": 0}
    only_u0 = dataclasses.replace(everyone, train=log().of_users(np.array([False, True])))
    assert leaks(only_u0)["future-of-others"] == 1


def test_a_split_that_trains_on_everything_leaks_every_answer() -> None:
    careless = dataclasses.replace(global_time(log(), 3.0), train=log())
    assert leaks(careless) == {"target-in-train": 2, "own-future": 1, "future-of-others": 2}
    assert check_leakage(careless)[0].examples[0] == "user u0 item row 3"


def test_every_protocol_is_checked_when_there_is_something_to_split() -> None:
    checked = check_protocols(dataset(*CLEAN, items={"a": 0.0, "b": None}))
    assert {protocol: [each.n for each in found] for protocol, found in checked.items()} == {
        "leave-last-out": [0, 0, 0],
        "global-time": [0, 0, 0],
    }
    assert check_protocols(dataset(items={"a": 0.0})) == {}
