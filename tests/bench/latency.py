"""Request to ACCEPTED, beside the bare hop through the same broker and the bare durable commit."""

import sqlite3
import time
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import orjson

from evd.core.wire import codec
from evd.core.wire.messages import BEACONS, REQUESTS, TELEMETRY, UPDATES, DriverRequest, Seen
from tests.bench.figures import line, percentile
from tests.network.network import Network
from tests.network.tap import Follower, new_producer

ROUNDS = 200
# Central's own at the embedded broker; the bench's readers wait as long.
FETCH_WAIT_MS = 5
OVER_HOPS_MS_MAX = 3.0


def requests_ms(network: Network, rounds: int) -> list[float]:
    """The time of each request until ACCEPTED, of a network whose CP-001 has short sessions."""
    producer = new_producer(network.bootstrap, enable_idempotence=True)
    beacons = Follower(network.bootstrap, BEACONS, FETCH_WAIT_MS)
    updates = Follower(network.bootstrap, UPDATES, FETCH_WAIT_MS)
    latencies: list[float] = []
    while len(latencies) < rounds:
        # Central beacons each second: the rounds in between use the newest one.
        beacon = beacons.newest()
        seen = Seen(beacon["central_id"], beacon["epoch"], beacon["up_s"])
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


def _next_status(updates: Follower, request_id: str) -> object:
    while (update := updates.next())["request_id"] != request_id:
        pass
    return update["status"]


def _hops(network: Network, rounds: int) -> list[float]:
    producer = new_producer(network.bootstrap, enable_idempotence=True)
    reader = Follower(network.bootstrap, TELEMETRY, FETCH_WAIT_MS)
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
    requests, hops = requests_ms(network, ROUNDS), _hops(network, ROUNDS)
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
