"""A node's server.properties: its own settings over those of every node in etc/kafka."""

import re
from pathlib import Path
from typing import Final

import attrs

from evd.addresses import bracketed, host_and_port
from evd.kafka_node.installation import SETTINGS_DIR

# From so many nodes on each partition has three copies.
CLUSTER_NODES_MIN: Final = 3
REPLICATION_MAX: Final = 3

_NODE_ID: Final = re.compile("[0-9]{1,5}")
# The id of a cluster or a directory.  A leading hyphen would be taken for a flag.
_ID: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]{21}")


def kafka_id(text: str) -> str:
    """An id in the form that Kafka gives to clusters and directories. Raises ValueError."""
    if _ID.fullmatch(text) is None:
        raise ValueError("must be 22 characters of A-Z, a-z, 0-9, _ and -, the first no -")
    return text


@attrs.frozen
class Voter:
    """One node of a cluster as all of them know it; `directory_id` names its disk."""

    node_id: int
    host: str
    controller_port: int
    directory_id: str

    @classmethod
    def parse(cls, text: str) -> "Voter":
        """Read `<node>@<host>:<controller port>:<directory id>`. Raises ValueError."""
        node_id, _, rest = text.partition("@")
        address, _, directory_id = rest.rpartition(":")
        host, port = host_and_port(address)
        if port is None or not _NODE_ID.fullmatch(node_id) or not _ID.fullmatch(directory_id):
            raise ValueError("must be node@host:port:directory-id, with commas between them")
        return cls(int(node_id), bracketed(host), port, directory_id)

    def __str__(self) -> str:
        return f"{self.node_id}@{self.host}:{self.controller_port}:{self.directory_id}"


@attrs.frozen(kw_only=True)
class Node:
    """One node: where it listens, where it keeps its data, and with whom it forms a cluster.

    `host` is what clients and other nodes are told to connect to. A node alone has no voters.
    """

    node_id: int
    host: str
    port: int
    controller_port: int
    data_dir: Path
    voters: tuple[Voter, ...] = ()

    @property
    def address(self) -> str:
        """The broker's address, as clients are told it."""
        return f"{bracketed(self.host)}:{self.port}"

    @property
    def replication(self) -> int:
        """How many copies a topic has here."""
        return REPLICATION_MAX if len(self.voters) >= CLUSTER_NODES_MIN else 1


def server_properties(node: Node, log_dir: Path) -> str:
    """The text of the node's server.properties, its logs in `log_dir`."""
    files = ["node.properties"]
    if len(node.voters) >= CLUSTER_NODES_MIN:
        files.append("cluster.properties")
    own = _own_settings(node) | {"log.dirs": str(log_dir)}
    lines = [f"{name}={value}" for name, value in own.items()]
    return "\n".join([*((SETTINGS_DIR / file).read_text() for file in files), *lines, ""])


def _own_settings(node: Node) -> dict[str, str]:
    host = bracketed(node.host)
    listeners = f"BROKER://{host}:{node.port},CONTROLLER://{host}:{node.controller_port}"
    controllers = [f"{voter.host}:{voter.controller_port}" for voter in node.voters]
    return {
        "node.id": str(node.node_id),
        "listeners": listeners,
        "advertised.listeners": listeners,
        "controller.quorum.bootstrap.servers": ",".join(controllers)
        or f"{host}:{node.controller_port}",
    }
