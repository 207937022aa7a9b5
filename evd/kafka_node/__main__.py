"""`evd-kafka`: a node of Apache Kafka, as a program for a supervisor.

It prepares the node's directory and then becomes Java: the process that the supervisor started is
the one that it signals. Its data outlive it; a directory that is empty gets a new, empty log.
"""

import os
import socket
import sys
from typing import Final, NoReturn

from evd.daemons.lifecycle import naming_port
from evd.flags import ConfigError, parse_or_exit, refuse
from evd.kafka_node.config import KafkaNodeConfig, kafka_node_config
from evd.kafka_node.installation import NotInstalled, find_installation
from evd.kafka_node.readiness import report_readiness
from evd.kafka_node.settings import Node
from evd.kafka_node.storage import StorageFailed, prepare

EXIT_FAILED: Final = 1


def main() -> NoReturn:
    """Become the node."""
    sys.argv[0] = KafkaNodeConfig.PROGRAM
    config = parse_or_exit(kafka_node_config)
    node = Node(
        node_id=config.node_id,
        host=config.listen_host,
        port=config.listen_port,
        controller_port=config.controller_port,
        data_dir=config.data_dir.absolute(),
        voters=config.voters,
    )
    try:
        installation = find_installation()
        _check_ports(node)
        settings = prepare(node, installation, config.cluster_id)
    except ConfigError as error:
        sys.exit(refuse(error))
    except (NotInstalled, StorageFailed) as failure:
        print(f"{KafkaNodeConfig.PROGRAM}: {failure}", file=sys.stderr)
        sys.exit(EXIT_FAILED)
    report_readiness(node, config.partitions)
    command = installation.command("kafka.Kafka", str(settings), heap_mb=config.heap_mb)
    os.execv(command[0], command)


def _check_ports(node: Node) -> None:
    # Kafka tells of a taken port in forty lines, and only after a second.
    for name, port in (("--listen-port", node.port), ("--controller-port", node.controller_port)):
        with naming_port(name, node.host, port, host_flag="--listen-host"):
            socket.create_server(
                (node.host, port), family=socket.AF_INET6 if ":" in node.host else socket.AF_INET
            ).close()


if __name__ == "__main__":
    main()
