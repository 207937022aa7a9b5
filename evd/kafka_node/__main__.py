"""`evd-kafka`: a node of Apache Kafka, as a program for a supervisor.

It prepares the node's directory and then becomes Java: the process that the supervisor started is
the one that it signals. Its data outlive it; a directory that is empty gets a new, empty log.
"""

import os
import socket
import sys
from typing import Final, NoReturn

from evd.config import restrict_modes
from evd.core.wire.fields import printable
from evd.daemons.lifecycle import naming_port
from evd.flags import ConfigError, parse_or_exit, refuse
from evd.kafka_node.config import KafkaNodeConfig, kafka_node_config
from evd.kafka_node.installation import NotInstalled, find_installation
from evd.kafka_node.readiness import report_readiness
from evd.kafka_node.storage import StorageFailed, prepare

EXIT_FAILED: Final = 1


def main() -> NoReturn:
    """Become the node."""
    sys.argv[0] = KafkaNodeConfig.PROGRAM
    restrict_modes()
    node = parse_or_exit(kafka_node_config)
    try:
        installation = find_installation()
        _check_ports(node)
        settings = prepare(node, installation)
    except ConfigError as error:
        sys.exit(refuse(error))
    except (NotInstalled, StorageFailed) as failure:
        print(f"{KafkaNodeConfig.PROGRAM}: {printable(str(failure))}", file=sys.stderr)
        sys.exit(EXIT_FAILED)
    report_readiness(node)
    command = installation.command("kafka.Kafka", str(settings), heap_mb=node.heap_mb)
    os.execv(command[0], command)


def _check_ports(node: KafkaNodeConfig) -> None:
    # Kafka tells of a taken port in forty lines, and only after a second.
    host = node.listen_host
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for field in ("listen_port", "controller_port"):
        port = getattr(node, field)
        with naming_port("--" + field.replace("_", "-"), host, port, host_flag="--listen-host"):
            socket.create_server((host, port), family=family).close()


if __name__ == "__main__":
    main()
