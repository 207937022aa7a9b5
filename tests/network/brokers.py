"""The broker of a network: the embedded one, or a node of Apache Kafka.

$EVD_TEST_BROKER says which: `embedded` (also where it is not set), `kafka`, or `kafka-emptied`,
a node that has lost its disk whenever it is started again, as if it kept nothing.
"""

import os
from pathlib import Path
from typing import Final

from tests.network.processes import Program

EMBEDDED, KAFKA, KAFKA_EMPTIED = "embedded", "kafka", "kafka-emptied"
KIND: Final = os.environ.get("EVD_TEST_BROKER", EMBEDDED)
# From the start of a whole network until it can take drivers.
READY_S_MAX: Final = 15.0 if KIND == EMBEDDED else 40.0


def make_broker(folder: Path, port: int, kind: str = KIND) -> Program:
    """A broker on `port`, not started yet."""
    if kind == EMBEDDED:
        return Program("broker", ("evd-broker", "--listen-port", str(port)), folder)
    # Loaded late: what needs no Kafka need not know of it.
    from tests.kafka.cluster import ForgetfulNode, KafkaNode

    if kind not in (KAFKA, KAFKA_EMPTIED):
        raise ValueError(f"EVD_TEST_BROKER: there is no broker {kind!r}")
    made = KafkaNode if kind == KAFKA else ForgetfulNode
    return made(folder, port=port, name="broker")
