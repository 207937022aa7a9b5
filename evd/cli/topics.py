"""`evd topics`: makes the topics on a real Kafka."""

import argparse
import os
from collections.abc import Mapping, Sequence
from typing import ClassVar, Final

import attrs

from evd.adapters.supervisor.protocol import Supervisor
from evd.cli.command_line import Verbs, add_verb
from evd.cli.errors import say
from evd.flags import BOOTSTRAP, flag, parse_or_exit, read_flags, whole

VERB: Final = "topics"
PARTITIONS_MAX: Final = 1000
REPLICATION_MAX: Final = 9


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


def add_verbs(verbs: Verbs) -> None:
    """Add `topics`; behind it `main` reads flags of its own."""
    add_verb(verbs, VERB, "make the topics on a real Kafka (evd topics --help)", _topics)


def _topics(_: Supervisor, __: argparse.Namespace) -> int:
    return main([], os.environ)


def topics_config(argv: Sequence[str], env: Mapping[str, str]) -> TopicsConfig:
    """The command's configuration; ConfigError names what is wrong."""
    return TopicsConfig(**read_flags(TopicsConfig, argv, env))


def main(argv: Sequence[str], env: Mapping[str, str]) -> int:
    """Print a line for each topic; 1 if they could not be made."""
    config = parse_or_exit(topics_config, argv, env)
    # Loaded late: Kafka's client stands behind it.
    from evd.adapters.kafka.topics import TopicsFailed, ensure_topics

    try:
        topics = ensure_topics(config.kafka_bootstrap, config.partitions, config.replication)
    except TopicsFailed as error:
        say(error, "evd topics")
        return 1
    print("\n".join(each.line for each in topics))
    return 0
