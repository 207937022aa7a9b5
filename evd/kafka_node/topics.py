"""Makes the network's topics once a node serves, from a process of its own.

The node itself turns into Java, so somebody else has to wait for it. A node whose data are gone
then has its topics again by itself, as the embedded broker has.
"""

import logging
import os
import select
import time
from typing import Final

from evd import logs

GIVE_UP_S: Final = 120.0
RETRY_S: Final = 0.3

logger = logging.getLogger(__name__)


def make_topics_later(bootstrap: str, partitions: int, replication: int) -> None:
    """Leaves a process behind that makes the topics, and ends with them or with this process."""
    server = os.pidfd_open(os.getpid())
    starter = os.fork()
    if starter:
        os.waitpid(starter, 0)
        os.close(server)
        return
    # Its parent ends at once: Java would never collect a child that it does not know.
    if os.fork():
        os._exit(0)
    logs.configure("Kafka")
    os._exit(_make_topics(server, bootstrap, partitions, replication))


def _make_topics(server: int, bootstrap: str, partitions: int, replication: int) -> int:
    # Loaded here, after the fork: the library has threads.
    from evd.adapters.kafka.topics import TopicsFailed, ensure_topics
    from evd.adapters.kafka_survey import await_cluster

    over = select.poll()
    over.register(server, select.POLLIN)
    failure = "no broker answers"
    deadline_s = time.monotonic() + GIVE_UP_S
    while time.monotonic() < deadline_s and not over.poll(RETRY_S * 1000):
        if await_cluster(bootstrap, replication, RETRY_S) is None:
            continue
        try:
            lines = ensure_topics(bootstrap, partitions, replication)
        except TopicsFailed as error:
            failure = str(error)
            continue
        made = [line for line in lines if "there already" not in line]
        logger.info("topics: %s", "; ".join(made) or "all there")
        return 0
    logger.warning("the topics were not made (%s): `evd topics` makes them", failure)
    return 1
