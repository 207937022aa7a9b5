"""evd-broker: the embedded broker, so that everything runs without a Kafka installation.

It speaks Kafka's protocol to any number of clients and keeps everything in memory: a restart loses
all messages and offsets, and every reader of ours expects that.  Its log is a list searched from
its start, so each old message costs time with each new one: old messages are deleted.
"""

import logging
from collections import deque
from collections.abc import Mapping
from typing import Final, NoReturn

import trio

from evd.adapters.mock_cluster import MockCluster, MockClusterFailed, bound_socket
from evd.config import BrokerConfig, broker_config
from evd.core.wire.messages import (
    BEACONS,
    COMMANDS,
    DEAD_LETTERS,
    REQUESTS,
    SESSIONS,
    STATUS,
    TELEMETRY,
    UPDATES,
)
from evd.daemons.lifecycle import Lifecycle, listen, naming_port, run_program

PARTITIONS: Final[Mapping[str, int]] = {
    BEACONS: 1,
    COMMANDS: 4,
    STATUS: 4,
    TELEMETRY: 4,
    SESSIONS: 4,
    REQUESTS: 4,
    UPDATES: 4,
    DEAD_LETTERS: 4,
}
# The other topics keep all that librdkafka does: 5 MiB or 100,000 batches a partition.
RETENTION_S: Final[Mapping[str, float]] = {
    BEACONS: 60.0,
    COMMANDS: 120.0,
    STATUS: 120.0,
    TELEMETRY: 120.0,
    UPDATES: 600.0,
    REQUESTS: 600.0,
}
# Messages beyond the newest so many of a partition are kept for CROWDED_S only: with thousands of
# charging points, to search the log would take most of the broker's time.
EASY_MESSAGES: Final = 2_000
CROWDED_S: Final = 10.0
SURVEY_INTERVAL_S: Final = 2.0

logger = logging.getLogger(__name__)


class Retention:
    """The part of one partition that may go: all that it already held `retention_s` ago, and in a
    long log CROWDED_S ago."""

    def __init__(self, retention_s: float) -> None:
        self._retention_s = retention_s
        # (time, end of the log then), oldest first; one a survey, so their number is bounded.
        self._ends: deque[tuple[float, int]] = deque()

    def obsolete_before(self, now_s: float, end: int) -> int:
        """Return the offset before which nothing is needed; `end` is the log's end now."""
        self._ends.append((now_s, end))
        while len(self._ends) > 1 and self._ends[1][0] <= now_s - self._retention_s:
            self._ends.popleft()
        crowded = min(self._end_at(now_s - CROWDED_S), end - EASY_MESSAGES)
        return max(self._end_at(now_s - self._retention_s), crowded)

    def _end_at(self, moment_s: float) -> int:
        ends = (end for noted_s, end in reversed(self._ends) if noted_s <= moment_s)
        return next(ends, 0)


class Survey:
    """A look at every partition: the broker's own proof that it still answers."""

    def __init__(self, cluster: MockCluster) -> None:
        # The number of messages of each topic: ever written, and still kept.
        self.written = dict.fromkeys(PARTITIONS, 0)
        self.kept = dict.fromkeys(PARTITIONS, 0)
        self.failure: str | None = None
        self._cluster = cluster
        self._retentions = {
            (topic, partition): Retention(retention_s)
            for topic, retention_s in RETENTION_S.items()
            for partition in range(PARTITIONS[topic])
        }

    async def run(self) -> None:
        """Look every SURVEY_INTERVAL_S, until cancelled."""
        while True:
            await trio.sleep(SURVEY_INTERVAL_S)
            try:
                await trio.to_thread.run_sync(self._look_at_all, trio.current_time())
                self.failure = None
            except MockClusterFailed as error:
                logger.warning("the broker does not answer itself: %s", error)
                self.failure = str(error)

    def _look_at_all(self, now_s: float) -> None:
        for topic, partitions in PARTITIONS.items():
            written = kept = 0
            for partition in range(partitions):
                # A look may take its whole time-out: a stop waits for one look, not for all.
                trio.from_thread.check_cancelled()
                low, high = self._look_at(topic, partition, now_s)
                written, kept = written + high, kept + high - low
            self.written[topic], self.kept[topic] = written, kept

    def _look_at(self, topic: str, partition: int, now_s: float) -> tuple[int, int]:
        marks = self._cluster.watermarks(topic, partition)
        retention = self._retentions.get((topic, partition))
        if retention is None:
            return marks.low, marks.high
        obsolete_before = retention.obsolete_before(now_s, marks.high)
        if obsolete_before <= marks.low:
            return marks.low, marks.high
        self._cluster.delete_before(topic, partition, obsolete_before)
        return obsolete_before, marks.high


async def run(config: BrokerConfig, lifecycle: Lifecycle) -> None:
    """Serve until told to stop."""
    with naming_port("--listen-port", config.listen_host, config.listen_port):
        listener = bound_socket(config.listen_host, config.listen_port)
    metrics_listeners = None
    if config.metrics_port:
        metrics_listeners = await listen("--metrics-port", config.metrics_host, config.metrics_port)
    cluster = MockCluster(listener, PARTITIONS)
    survey = Survey(cluster)
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(survey.run)
            if metrics_listeners is not None:
                nursery.start_soon(_serve_metrics, config, metrics_listeners, survey)
            logger.info("listening on %s, nothing is kept over a restart", cluster.address)
            lifecycle.ready()
            await lifecycle.stopping.wait()
            nursery.cancel_scope.cancel()
    finally:
        cluster.close()


async def _serve_metrics(
    config: BrokerConfig, listeners: list[trio.SocketListener], survey: Survey
) -> None:
    # The library is a tenth of the broker's memory, so it is loaded only on demand.
    from evd.adapters.http.metrics import Metrics
    from evd.adapters.http.metrics_server import MetricsPort, serve_metrics
    from evd.daemons.broker.metrics import BrokerMetrics

    def unhealthy() -> str | None:
        return survey.failure

    metrics = BrokerMetrics(Metrics(), survey.written, survey.kept, unhealthy)
    await serve_metrics(
        MetricsPort(listeners, [config.metrics_host]),
        service="evd-broker",
        render=metrics.render,
        health=unhealthy,
    )


def main() -> NoReturn:
    """The program `evd-broker`."""
    run_program(broker_config, run)


if __name__ == "__main__":
    main()
