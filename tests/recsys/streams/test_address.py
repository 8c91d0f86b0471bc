import pytest

from recsys.core.errors import FieldError
from recsys.streams.address import KafkaAddress


def test_an_address_names_brokers_and_topics() -> None:
    address = KafkaAddress.of("kafka://one:9092,[::1]:9093/shop")
    assert address.servers == "one:9092,[::1]:9093"
    assert [address.events, address.catalogue] == ["shop.events", "shop.catalogue"]
    assert [address.exposures, address.dead_letters] == ["shop.exposures", "shop.dead-letters"]


def test_without_a_prefix_topics_are_marquees() -> None:
    assert KafkaAddress.of("kafka://one:9092").events == "marquee.events"


@pytest.mark.parametrize(
    "text",
    ["one:9092", "kafka://", "kafka://one", "kafka://one:9092,", "kafka://one:9092/a b", "http://one:9092/a"],
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(FieldError, match="expected kafka://HOST:PORT"):
        KafkaAddress.of(text)
