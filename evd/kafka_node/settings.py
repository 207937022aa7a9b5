"""A node's server.properties: its own settings over those of every node, which come with evd."""

from pathlib import Path

from evd.addresses import bracketed
from evd.kafka_node.config import KafkaNodeConfig
from evd.kafka_node.installation import SETTINGS_DIR


def server_properties(node: KafkaNodeConfig, log_dir: Path) -> str:
    """The text of the node's server.properties, its logs in `log_dir`."""
    files = ["node.properties"]
    if node.replication > 1:
        files.append("cluster.properties")
    own = _own_settings(node) | {"log.dirs": str(log_dir)}
    lines = [f"{name}={value}" for name, value in own.items()]
    return "\n".join([*((SETTINGS_DIR / file).read_text() for file in files), *lines, ""])


def _own_settings(node: KafkaNodeConfig) -> dict[str, str]:
    host = bracketed(node.listen_host)
    listeners = f"BROKER://{host}:{node.listen_port},CONTROLLER://{host}:{node.controller_port}"
    controllers = [f"{voter.host}:{voter.controller_port}" for voter in node.voters]
    return {
        "node.id": str(node.node_id),
        "listeners": listeners,
        "advertised.listeners": listeners,
        "controller.quorum.bootstrap.servers": ",".join(controllers)
        or f"{host}:{node.controller_port}",
    }
