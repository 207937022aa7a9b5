"""The settings of a node of Apache Kafka: its flags and variables."""

from collections.abc import Mapping, Sequence
from ipaddress import ip_address
from pathlib import Path
from typing import ClassVar

import attrs

from evd.flags import HOST, PATH, PORT, ConfigError, Kind, flag, read_flags, whole
from evd.kafka_node.installation import HEAP_MB
from evd.kafka_node.settings import Voter, kafka_id

NODE_ID_MAX = 99_999
HEAP_MB_MAX = 65_536
PARTITIONS_MAX = 1000


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
