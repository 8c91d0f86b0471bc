"""Making topics."""

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient, NewTopic

from recsys.core.errors import UnavailableError
from recsys.streams.address import KafkaAddress
from recsys.streams.connection import connection
from recsys.streams.topics import PART, TopicSettings, configurations


def make_topics(address: KafkaAddress, settings: TopicSettings, *, timeout_s: float = 30.0) -> list[str]:
    """Make the topics that are missing and return their names.

    Raises:
        UnavailableError: no broker answers, or it refuses.
    """
    wanted = [
        NewTopic(name, settings.partitions, settings.replicas, config=config)
        for name, config in configurations(address, settings).items()
    ]
    made = []
    client = AdminClient(connection(address))  # held: without it nobody hears the answers
    for name, future in client.create_topics(wanted, operation_timeout=timeout_s).items():
        try:
            future.result(timeout_s)
            made.append(name)
        except KafkaException as error:
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise UnavailableError(PART, f"topic {name}: {error.args[0].str()}") from error
        except TimeoutError as error:
            raise UnavailableError(PART, f"topic {name}: no answer within {timeout_s:g} s") from error
    return made
