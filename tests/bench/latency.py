"""Request to ACCEPTED, beside the bare hop through the same broker and the bare durable commit."""

import sqlite3
import time
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import orjson
from confluent_kafka import Consumer, Producer, TopicPartition

from evd.core.wire import codec
from evd.core.wire.messages import BEACONS, REQUESTS, TELEMETRY, UPDATES, DriverRequest, Seen
from tests.bench.figures import line, percentile
from tests.network.network import Network

ROUNDS = 200
# Central's own at the embedded broker; the bench's readers wait as long.
FETCH_WAIT_MS = 5
OVER_HOPS_MS_MAX = 3.0


class _Reader:
    """Reads one topic from its end, as directly as librdkafka allows."""

    def __init__(self, bootstrap: str, topic: str) -> None:
        self._consumer = Consumer(
            {
                "bootstrap.servers": bootstrap,
                "group.id": uuid4().hex,
                "fetch.wait.max.ms": FETCH_WAIT_MS,
                "enable.auto.commit": False,
            }
        )
        parts = self._consumer.list_topics(topic, timeout=5).topics[topic].partitions
        places = [TopicPartition(topic, part) for part in parts]
        for place in places:
            place.offset = self._consumer.get_watermark_offsets(place, timeout=5)[1]
        self._consumer.assign(places)
        self._newest: dict[str, object] = {}

    def next(self, timeout_s: float = 10.0) -> dict[str, object]:
        """The next message."""
        end_s = time.monotonic() + timeout_s
        while time.monotonic() < end_s:
            message = self._consumer.poll(0.5)
            if message is not None and message.error() is None:
                fields: dict[str, object] = orjson.loads(message.value() or b"{}")
                return fields
        raise TimeoutError("nothing came")

    def newest(self) -> dict[str, object]:
        """The newest message of all so far; waits for the first."""
        while (message := self._consumer.poll(0 if self._newest else 0.5)) or not self._newest:
            if message is not None and message.error() is None:
                self._newest = orjson.loads(message.value() or b"{}")
        return self._newest

    def close(self) -> None:
        """Close it."""
        self._consumer.close()


def _producer(bootstrap: str) -> Producer:
    return Producer(
        {
            "bootstrap.servers": bootstrap,
            "linger.ms": 0,
            "enable.idempotence": True,
            "partitioner": "murmur2_random",
        }
    )


def _requests(network: Network, rounds: int) -> list[float]:
    producer = _producer(network.bootstrap)
    beacons, updates = _Reader(network.bootstrap, BEACONS), _Reader(network.bootstrap, UPDATES)
    latencies: list[float] = []
    while len(latencies) < rounds:
        # Central beacons each second: the rounds in between use the newest one.
        beacon = beacons.newest()
        seen = Seen(
            str(beacon["central_id"]), int(str(beacon["epoch"])), float(str(beacon["up_s"]))
        )
        request_id = f"req-{uuid4().hex}"
        asked = DriverRequest(request_id, "driver-bench", "CP-001", seen=seen)
        raw = codec.encode(asked, datetime.now(UTC), uuid4().hex)
        began_s = time.perf_counter()
        producer.produce(REQUESTS, raw, "CP-001")
        producer.poll(0)
        status = _next_status(updates, request_id)
        if status == "ACCEPTED":
            latencies.append((time.perf_counter() - began_s) * 1000)
        while status not in ("COMPLETED", "DENIED", "FAILED"):
            status = _next_status(updates, request_id)
    producer.flush(1)
    beacons.close()
    updates.close()
    return latencies


def _next_status(updates: _Reader, request_id: str) -> object:
    while (update := updates.next())["request_id"] != request_id:
        pass
    return update["status"]


def _hops(network: Network, rounds: int) -> list[float]:
    producer, reader = _producer(network.bootstrap), _Reader(network.bootstrap, TELEMETRY)
    hops = []
    for number in range(rounds + 10):
        began_s = time.perf_counter()
        producer.produce(TELEMETRY, orjson.dumps({"number": number}), "CP-bench")
        producer.poll(0)
        while reader.next().get("number") != number:
            pass
        if number >= 10:
            hops.append((time.perf_counter() - began_s) * 1000)
        time.sleep(0.003 * (number % 3))
    producer.flush(1)
    reader.close()
    return hops


def _commits(folder: Path, rounds: int) -> list[float]:
    database = sqlite3.connect(folder / "bare.db", isolation_level=None)
    database.execute("PRAGMA journal_mode=WAL")
    database.execute("PRAGMA synchronous=FULL")
    database.execute("CREATE TABLE row (id INTEGER PRIMARY KEY, text TEXT)")
    commits = []
    for _ in range(rounds):
        began_s = time.perf_counter()
        database.execute("BEGIN")
        for _ in range(2):
            database.execute("INSERT INTO row (text) VALUES (?)", ("x" * 300,))
        database.execute("COMMIT")
        commits.append((time.perf_counter() - began_s) * 1000)
    database.close()
    return commits


def measure(network: Network, name: str) -> float:
    """Print the latency of a network whose CP-001 has short sessions; its p50 in ms."""
    requests, hops = _requests(network, ROUNDS), _hops(network, ROUNDS)
    commits = _commits(network.folder, ROUNDS)
    p50 = percentile(requests, 0.5)
    floor = 2 * percentile(hops, 0.5) + percentile(commits, 0.5)
    for what, values in (("request to ACCEPTED", requests), ("bare hop", hops)):
        figure = f"p50 {percentile(values, 0.5):.2f} ms, p99 {percentile(values, 0.99):.2f} ms"
        line(f"{what}{name} (fetch wait {FETCH_WAIT_MS} ms)", figure)
    line("bare durable commit of 2 rows", f"p50 {percentile(commits, 0.5):.2f} ms")
    line(
        f"request to ACCEPTED over 2 hops and a commit{name}",
        f"{p50 - floor:+.2f} ms",
        f"at most +{OVER_HOPS_MS_MAX:g} ms",
        p50 - floor <= OVER_HOPS_MS_MAX,
    )
    return p50
