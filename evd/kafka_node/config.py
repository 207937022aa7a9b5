"""The settings of a node of Apache Kafka: its flags and variables."""

import re
from collections.abc import Mapping, Sequence
from ipaddress import ip_address
from pathlib import Path
from typing import ClassVar, Final

import attrs

from evd.addresses import bracketed, host_and_port
from evd.flags import HOST, PATH, PORT, ConfigError, Kind, flag, read_flags, whole
from evd.kafka_node.installation import HEAP_MB

NODE_ID_MAX = 99_999
HEAP_MB_MAX = 65_536
PARTITIONS_MAX = 1000
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


def _voters(text: str) -> tuple[Voter, ...]:
    return tuple(Voter.parse(each.strip()) for each in text.split(","))


@attrs.frozen(kw_only=True, slots=False)
class KafkaNodeConfig:
    """Runs a node of Apache Kafka, alone or as one of several, until it is told to stop."""

    PROGRAM: ClassVar[str] = "evd-kafka"
    PREFIX: ClassVar[str] = "EVD_KAFKA_"

    data_dir: Path = flag(PATH, "where it keeps its logs and settings")
    listen_host: str = flag(HOST, "this host, as clients are told it", default="127.0.0.1")
    listen_port: int = flag(PORT, "Kafka's protocol, for clients", default=9092)
    controller_port: int = flag(PORT, "Kafka's protocol, among the nodes", default=9093)
    partitions: int = flag(
        whole(0, PARTITIONS_MAX), "of each topic that it makes; 0 = it makes none", default=0
    )
    heap_mb: int = flag(whole(64, HEAP_MB_MAX, "MB", "MB"), "Java's heap", default=HEAP_MB)
    node_id: int = flag(whole(0, NODE_ID_MAX), "its number in the cluster", default=1)
    voters: tuple[Voter, ...] = flag(
        Kind(_voters, "NODE@HOST:PORT:DIRECTORY[,…]"),
        "all nodes of its cluster, with their controllers' ports",
        default=(),
    )
    cluster_id: str | None = flag(
        Kind(kafka_id, "ID"), "its cluster's; a node alone draws its own", default=None
    )

    @property
    def address(self) -> str:
        """The broker's address, as clients are told it."""
        return f"{bracketed(self.listen_host)}:{self.listen_port}"

    @property
    def replication(self) -> int:
        """The number of copies that a topic has here."""
        return REPLICATION_MAX if len(self.voters) >= CLUSTER_NODES_MIN else 1


def kafka_node_config(argv: Sequence[str], env: Mapping[str, str]) -> KafkaNodeConfig:
    """The node's configuration; ConfigError names what is wrong."""
    config = KafkaNodeConfig(**read_flags(KafkaNodeConfig, argv, env))
    if config.controller_port == config.listen_port:
        raise ConfigError("--controller-port: must be another one than --listen-port")
    if config.voters and config.cluster_id is None:
        raise ConfigError("--cluster-id: is required with --voters, the same on every node")
    if config.voters and config.node_id not in {voter.node_id for voter in config.voters}:
        raise ConfigError(f"--voters: has no node {config.node_id}")
    if _is_unspecified(config.listen_host):
        raise ConfigError("--listen-host: must be an address by which clients reach this host")
    return config


def _is_unspecified(host: str) -> bool:
    try:
        return ip_address(host).is_unspecified
    except ValueError:
        return False
