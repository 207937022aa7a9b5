"""Kafka under Trio: producers, consumers and the making of topics.

librdkafka works in threads of its own and calls back into the thread that polls. So each client
has one Python thread that polls it, and only whole batches and bursts cross over to Trio.
"""

from evd.adapters.kafka.consumer import Batch, Consumer, open_consumer
from evd.adapters.kafka.placement import RawMessage, Start, marks_after
from evd.adapters.kafka.producer import Producer, open_producer
from evd.adapters.kafka.topics import TOPICS, TopicsFailed, ensure_topics

__all__ = [
    "TOPICS",
    "Batch",
    "Consumer",
    "Producer",
    "RawMessage",
    "Start",
    "TopicsFailed",
    "ensure_topics",
    "marks_after",
    "open_consumer",
    "open_producer",
]
