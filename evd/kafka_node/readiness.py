"""Waits beside a node until it serves: makes the network's topics, and says that it is ready.

The node itself turns into Java, so another process has to do that. A node whose data are gone then
has its topics again by itself, as the embedded broker has.
"""

import logging
import os
import select
import time
from typing import Final

from evd import logs
from evd.adapters.supervisor.notifier import Notifier
from evd.kafka_node.config import KafkaNodeConfig

GIVE_UP_S: Final = 120.0
# Bounds how long this process stays after its node has gone.
LOOK_S: Final = 2.0
RETRY_S: Final = 0.2
# systemd asks whose process it was that said READY; one that has ended belongs to nobody.
LINGER_S: Final = 1.0

logger = logging.getLogger(__name__)


def report_readiness(node: KafkaNodeConfig) -> None:
    """Leave a process behind that ends with this one at the latest.

    It makes the topics unless the node is to make none, and tells the service
    manager when the node serves. With nothing to do there is no such process.
    """
    if not node.partitions and "NOTIFY_SOCKET" not in os.environ:
        return
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
    os._exit(_report(node, server))


def _report(node: KafkaNodeConfig, server: int) -> int:
    # Loaded here, after the fork: the library has threads.
    from evd.adapters.kafka.survey import await_cluster
    from evd.adapters.kafka.topics import TopicsFailed, ensure_topics

    notifier = Notifier(os.environ)
    over = select.poll()
    over.register(server, select.POLLIN)
    failure = "no broker answers"
    deadline_s = time.monotonic() + GIVE_UP_S
    while time.monotonic() < deadline_s and not over.poll(0):
        found = await_cluster(node.address, 1, LOOK_S)
        if found is None or node.node_id not in found.broker_ids:
            continue
        try:
            if not node.partitions:
                topics = []
            elif len(found.broker_ids) < node.replication:
                raise TopicsFailed(f"{len(found.broker_ids)} of {node.replication} nodes serve")
            else:
                topics = ensure_topics(node.address, node.partitions, node.replication)
        except TopicsFailed as error:
            # It serves all the same; a topic that is missing may need the others.
            notifier.ready()
            failure = str(error)
            over.poll(RETRY_S * 1000)
            continue
        notifier.ready()
        news = [each.line for each in topics if each.is_news]
        logger.info("topics: %s", "; ".join(news) or "as they should be")
        over.poll(LINGER_S * 1000)
        return 0
    if not over.poll(0):
        logger.warning("the topics were not made (%s): `evd topics` makes them", failure)
    return 1
