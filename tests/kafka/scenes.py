"""A whole network on nodes of Apache Kafka: one charging point, a driver, and who may not fall."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.kafka.cluster import KafkaCluster, KafkaNode
from tests.network.network import Network
from tests.network.scenes import CP_ID, DRIVER_ID, SESSION_S, Scene

SHORT = ("--session-seconds", str(SESSION_S))


@contextmanager
def network_on(cluster: KafkaCluster, folder: Path) -> Iterator[Network]:
    """A network whose Kafka is `cluster`; Central and one charging point are started."""
    with Network(folder, bootstrap=cluster.bootstrap) as network:
        # The story of a test that fails is theirs, too.
        network.programs |= {node.name: node for node in cluster.nodes}
        network.programs["broker"] = cluster.nodes[0]
        network.central().start()
        network.charging_point(CP_ID, engine_flags=SHORT).start()
        yield network


@contextmanager
def scene_on(cluster: KafkaCluster, folder: Path) -> Iterator[Scene]:
    """The same, available, with a driver that is made and not started."""
    with network_on(cluster, folder) as network:
        network.wait_available(CP_ID)
        network.driver(DRIVER_ID, CP_ID)
        yield Scene(network)


@contextmanager
def brokers_alone_fall(network: Network) -> Iterator[None]:
    """Whatever happens inside to Kafka's nodes, no other program ends or is restarted."""
    others = [each for each in network.programs.values() if not isinstance(each, KafkaNode)]
    others = [each for each in others if each.alive]
    pids = [each.pid for each in others]
    yield
    assert all(each.alive for each in others)
    assert pids == [each.pid for each in others]
