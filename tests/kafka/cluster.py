"""One node of Apache Kafka or several, to be killed, wiped and brought back."""

import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from evd.adapters.kafka.survey import Cluster, await_cluster
from evd.kafka_node.config import Voter
from evd.kafka_node.storage import new_id
from tests.network.processes import Program, free_port
from tests.network.waiting import NeverTrue, wait_until

HOST = "127.0.0.1"
START_S_MAX = 40.0
ANSWER_S_MAX = 1.0


class KafkaNode(Program):
    """The program evd-kafka, on the same ports over all its lives.

    It makes the topics itself, each with so many `partitions`; with 0 it makes none.
    """

    def __init__(
        self,
        folder: Path,
        node_id: int = 1,
        partitions: int = 4,
        flags: Sequence[str] = (),
        *,
        port: int | None = None,
        name: str | None = None,
    ) -> None:
        self.node_id = node_id
        self.port = port or free_port()
        self.controller_port = free_port()
        self.data_dir = folder / f"kafka-{node_id}"
        self.own_flags = (
            *("--data-dir", str(self.data_dir)),
            *("--listen-port", str(self.port)),
            *("--controller-port", str(self.controller_port)),
            *("--partitions", str(partitions)),
            *("--node-id", str(node_id)),
            *flags,
        )
        super().__init__(name or f"kafka-{node_id}", ("evd-kafka", *self.own_flags), folder)

    @property
    def address(self) -> str:
        return f"{HOST}:{self.port}"

    def wait_until_up(self, end_s: float, *, is_supervised: bool = False) -> Cluster:
        """Waits until it serves, till the monotonic `end_s` at the longest.

        One that is supervised is started whenever it does not run.
        """
        while True:
            if is_supervised and not self.alive:
                self.start()
            found = await_cluster(self.address, 1, ANSWER_S_MAX)
            if found is not None and self.node_id in found.broker_ids:
                return found
            if time.monotonic() > end_s:
                raise NeverTrue(f"{self.name} does not serve\n{self.logged()[-2000:]}")

    def start_supervised(self) -> Cluster:
        """Starts it, and again when it ends, as its supervisor does, until it serves."""
        return self.wait_until_up(time.monotonic() + START_S_MAX, is_supervised=True)

    def wipe(self) -> None:
        """Forgets all that it kept. It must not be running."""
        if self.alive:
            raise RuntimeError(f"{self.name} runs: kill it first")
        shutil.rmtree(self.data_dir)


class ForgetfulNode(KafkaNode):
    """A node whose disk is another one at each start."""

    def start(self) -> Program:
        if self.data_dir.exists():
            self.wipe()
        return super().start()


class KafkaCluster:
    """One node, or several that form a cluster; each is started, killed and wiped by itself too.

    `bootstrap` is the same over all their lives. Where each topic has `partitions` (0: none are
    made), the nodes make the topics by themselves, also after a wipe.
    """

    def __init__(self, folder: Path, count: int = 1, partitions: int = 4) -> None:
        self.nodes = [KafkaNode(folder, node_id, partitions) for node_id in range(1, count + 1)]
        self.bootstrap = ",".join(f"{HOST}:{node.port}" for node in self.nodes)
        self._agree()

    def _agree(self) -> None:
        # A node alone draws its own ids.
        if len(self.nodes) == 1:
            return
        voters = ",".join(
            str(Voter(node.node_id, HOST, node.controller_port, new_id())) for node in self.nodes
        )
        for node in self.nodes:
            del node.argv[1 + len(node.own_flags) :]
            node.argv += ["--voters", voters]
        cluster_id = new_id()
        for node in self.nodes:
            node.argv += ["--cluster-id", cluster_id]

    def start(self) -> Cluster:
        """Starts those that do not run, and returns when all serve."""
        for node in self.nodes:
            if not node.alive:
                node.start()
        return self.wait_until_up()

    def wait_until_up(self, within_s: float = START_S_MAX) -> Cluster:
        """Waits until every node that runs serves, by its own word."""
        end_s = time.monotonic() + within_s
        # Each is asked: one that has lost its majority goes on telling what was true before.
        return [node.wait_until_up(end_s) for node in self.nodes if node.alive][-1]

    def wait_until_whole(self, within_s: float = START_S_MAX) -> None:
        """Waits until each partition is in sync on every node that should have it."""
        admin = AdminClient({"bootstrap.servers": self.bootstrap})

        def whole() -> bool:
            try:
                topics = admin.list_topics(timeout=ANSWER_S_MAX).topics.values()
            except KafkaException:
                return False
            partitions = [each for topic in topics for each in topic.partitions.values()]
            return all(set(each.isrs) == set(each.replicas) for each in partitions)

        wait_until(whole, within_s, "each partition is in sync on all its nodes")

    def kill(self) -> None:
        for node in self.nodes:
            node.end()

    def wipe(self) -> None:
        """Forgets everything, as after the loss of all disks: the next start is another cluster."""
        for node in self.nodes:
            node.wipe()
        self._agree()

    def restart(self) -> Cluster:
        self.kill()
        return self.start()


@contextmanager
def kafka_cluster(folder: Path, count: int = 1, partitions: int = 4) -> Iterator[KafkaCluster]:
    """A cluster that is up; nothing of it is left at the end."""
    cluster = KafkaCluster(folder, count, partitions)
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.kill()
