"""The broker of the network: evd-broker, or a node of Apache Kafka in its place.

The choice is a file of the network's own, like its charging points, and so holds until another one
is made.
"""

from collections.abc import Sequence
from typing import Final

from evd.adapters.supervisor.protocol import Program, Supervisor
from evd.addresses import host_and_port
from evd.cli.errors import ToolFailed
from evd.cli.ports import CONTROLLER_PORTS, PortChoice, after
from evd.cli.programs import BROKER, KAFKA, settings_of_central
from evd.flags import ConfigError
from evd.kafka_node.config import kafka_node_config
from evd.kafka_node.installation import NotInstalled, find_installation

# As many as evd-broker has: no key moves to another partition while the network changes over.
PARTITIONS: Final = 4
# Java and an empty disk, on a machine that starts everything else as well.
KAFKA_READY_S: Final = 60.0
# Below the network's root, where its programs run.
DATA_DIR: Final = "var/kafka"

_BROKER_UNIT: Final = "broker"
_KAFKA_UNIT: Final = "kafka"


def choose_broker(supervisor: Supervisor, kafka: bool | None) -> bool:
    """Define the wanted broker in the place of the other; None leaves it as it is.

    Returns whether it is a node of Kafka; ToolFailed where it should be, and can't.
    """
    programs = supervisor.programs()
    has_kafka = _has(programs, KAFKA)
    wants_kafka = has_kafka if kafka is None else kafka
    if wants_kafka:
        try:
            find_installation()
        except NotInstalled as failure:
            raise ToolFailed(f"{failure}.") from None
    if kafka and not has_kafka:
        bootstrap = settings_of_central(supervisor).kafka_bootstrap
        supervisor.add(_KAFKA_UNIT, [_node_at(bootstrap, PortChoice(programs))])
    if kafka is False and not _has(programs, BROKER):
        supervisor.add(_BROKER_UNIT, [Program(BROKER, None, ())])
    if kafka is not None:
        supervisor.remove(_BROKER_UNIT if kafka else _KAFKA_UNIT)
    return wants_kafka


def _has(programs: Sequence[Program], group: str) -> bool:
    return any(each.group == group for each in programs)


def _node_at(bootstrap: str, ports: PortChoice) -> Program:
    """A node that serves where Central looks for one."""
    try:
        host, port = host_and_port(bootstrap)
        candidates = (*(after(port) if port else ()), *CONTROLLER_PORTS)
        flags = (
            *("--data-dir", DATA_DIR),
            *("--listen-host", host, "--listen-port", str(port)),
            *("--controller-port", str(ports.take(candidates))),
            *("--partitions", str(PARTITIONS)),
        )
        kafka_node_config(flags, {})
    except (ConfigError, ValueError):
        raise ToolFailed(
            f"Central looks for Kafka at {bootstrap}, which can't be one node of this host.", 2
        ) from None
    return Program(KAFKA, None, flags)
