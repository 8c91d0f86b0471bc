from pathlib import Path

import pytest
from pydantic import ValidationError

from deployments.settings import GraphArgs


def event_log(given: object) -> object:
    others = {"registry": "r", "traffic": "t", "state_url": "sqlite:///s.db"}
    args = GraphArgs.model_validate({**others, "event_log": given})
    assert GraphArgs.model_validate_json(args.model_dump_json()) == args
    return args.event_log


def test_a_log_is_a_folder_or_a_broker() -> None:
    assert event_log("events") == Path("events")
    assert event_log(Path("/data/events")) == Path("/data/events")
    assert event_log("kafka://one:9092/shop") == "kafka://one:9092/shop"


@pytest.mark.parametrize("given", ["kafka://", "kafka:/one:9092", "kafka://one", 7, None])
def test_an_address_that_is_none_is_not_taken_for_a_folder(given: object) -> None:
    with pytest.raises(ValidationError, match="event_log"):
        event_log(given)
