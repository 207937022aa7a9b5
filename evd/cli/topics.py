"""`evd topics`: makes the topics on a real Kafka."""

import sys
from collections.abc import Mapping, Sequence
from typing import ClassVar

import attrs

from evd.adapters.kafka import TopicsFailed, ensure_topics
from evd.flags import BOOTSTRAP, flag, parse_or_exit, read_flags, whole

PARTITIONS_MAX = 1000
REPLICATION_MAX = 9


@attrs.frozen(kw_only=True, slots=False)
class TopicsConfig:
    """Makes the topics that are missing on a real Kafka; safe to repeat."""

    PROGRAM: ClassVar[str] = "evd topics"
    PREFIX: ClassVar[str] = "EVD_TOPICS_"

    kafka_bootstrap: str = flag(BOOTSTRAP, "Kafka's brokers", default="localhost:9092")
    partitions: int = flag(
        whole(1, PARTITIONS_MAX), "of each topic (central.beacons has one)", default=16
    )
    replication: int = flag(whole(1, REPLICATION_MAX), "copies of each partition", default=1)


def topics_config(argv: Sequence[str], env: Mapping[str, str]) -> TopicsConfig:
    """The command's configuration; ConfigError names what is wrong."""
    return TopicsConfig(**read_flags(TopicsConfig, argv, env))


def main(argv: Sequence[str], env: Mapping[str, str]) -> int:
    """Prints a line for each topic; 1 if they could not be made."""
    config = parse_or_exit(topics_config, argv, env)
    try:
        topics = ensure_topics(config.kafka_bootstrap, config.partitions, config.replication)
    except TopicsFailed as error:
        print(f"evd topics: {error}", file=sys.stderr)
        return 1
    print("\n".join(each.line for each in topics))
    return 0
