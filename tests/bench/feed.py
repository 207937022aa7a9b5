"""The status feed with many clients, beside a bare broadcast of the same messages."""

import json
import os
import time
from datetime import UTC, datetime
from pathlib import Path

from evd.core.wire import codec
from evd.core.wire.messages import TELEMETRY, Telemetry
from evd.daemons.central.feed import ROUND_S
from tests.bench.beside import Process, crowd_on, expect, started
from tests.bench.figures import line
from tests.bench.history import POINTS, fill, running
from tests.network.followers import Follower
from tests.network.network import Network
from tests.network.processes import free_port, listens
from tests.network.tap import new_producer
from tests.network.waiting import wait_until

CLIENTS = 1_000
# Charging points that change each second, for so long.
CHANGES_S = 100
SPAN_S = 20.0
SETTLE_S = 3.0
OVER_MS_MAX = 150.0
OVER_BARE_MAX = 2.0
CORE_SHARE_MAX = 0.6
CLIENT_KB_MAX = 40.0
READY_S_MAX = 60.0


def _figures(crowd: Process) -> dict[str, float]:
    """The delays in ms; the crowd ends."""
    figures: dict[str, float] = json.loads(crowd.communicate(timeout=READY_S_MAX)[0])
    return figures


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _change(network: Network) -> float:
    """Let charging points change for SPAN_S; Central's share of a core meanwhile."""
    producer = new_producer(network.bootstrap)
    pid = network.programs["central"].pid
    began_s, cpu_s, number = time.monotonic(), _cpu_s(pid), 0
    while (spent_s := time.monotonic() - began_s) < SPAN_S:
        if number < spent_s * CHANGES_S:
            producer.produce(TELEMETRY, _reading(number), running(number % POINTS).cp_id)
            number += 1
        producer.poll(0.001)
    producer.flush(5)
    return (_cpu_s(pid) - cpu_s) / (time.monotonic() - began_s)


def _reading(number: int) -> bytes:
    session = running(number % POINTS)
    kwh = (number // POINTS + 1) / 1_000_000
    reading = Telemetry(
        session.cp_id, session.boot_id or "", session.session_id, session.driver_id, 22.0, kwh, 0.0
    )
    return codec.encode(reading, datetime.now(UTC), f"m-{number}")


def measure(folder: Path, clients: int = CLIENTS) -> None:
    """Print the delay at the clients, and Central's time and memory for them."""
    fill(folder / "central", 0)
    with Network(folder) as network:
        network.broker.start()
        central = network.central().start()
        wait_until(lambda: listens(network.feed_port), READY_S_MAX, "Central listens")
        # One client and some changes first: what is loaded and grows once is not the crowd's.
        with Follower(network.feed_port) as follower:
            time.sleep(SETTLE_S)
            before_mb = central.resident_mb
            with crowd_on(network.feed_port, clients) as crowd:
                time.sleep(SETTLE_S)
                client_kb = (central.resident_mb - before_mb) * 1024 / clients
                share = _change(network)
                time.sleep(1.0)
                delays = _figures(crowd)
            messages = [x for x in follower.messages[1:] if x["charging_points"]]
            _cut_is_none(network)
    bare = _measure_bare(folder, clients, messages)
    _print(clients, messages, delays, bare, share, client_kb)


def _cut_is_none(network: Network) -> None:
    cut = network.metric('evd_feed_clients_cut_total{reason="silent"}')
    if cut:
        raise RuntimeError(f"{cut:.0f} clients were cut")


def _measure_bare(
    folder: Path, clients: int, messages: list[dict[str, object]]
) -> dict[str, float]:
    path, port = folder / "messages", free_port()
    path.write_text("".join(f"{json.dumps(message)}\n" for message in messages))
    with started("tests.bench.bare_feed", port, path) as server:
        wait_until(lambda: listens(port), READY_S_MAX, "the bare server listens")
        with crowd_on(port, clients) as crowd:
            if server.stdin is None:
                raise RuntimeError("the bare server takes no word")
            server.stdin.write("\n")
            server.stdin.flush()
            expect(server, "SENT")
            time.sleep(1.0)
            return _figures(crowd)


def _print(
    clients: int,
    messages: list[dict[str, object]],
    delays: dict[str, float],
    bare: dict[str, float],
    share: float,
    client_kb: float,
) -> None:
    size_kb = sum(len(json.dumps(message)) for message in messages) / len(messages) / 1024
    name = f"feed, {clients:,} clients, {CHANGES_S} changes/s"
    over_ms = delays["p99"] - ROUND_S * 1000
    line(f"{name}: change to client", f"p50 {delays['p50']:.0f} ms, p99 {delays['p99']:.0f} ms")
    line(
        f"bare broadcast of its messages ({size_kb:.0f} KB)",
        f"p50 {bare['p50']:.0f} ms, p99 {bare['p99']:.0f} ms",
    )
    line(
        f"feed: p99 beyond the merge window of {ROUND_S * 1000:.0f} ms",
        f"{over_ms:.0f} ms",
        f"at most {OVER_MS_MAX:g} ms, or {OVER_BARE_MAX:g} times the bare p99",
        over_ms <= max(OVER_MS_MAX, OVER_BARE_MAX * bare["p99"]),
    )
    line(
        "feed: Central's share of a core",
        f"{share:.2f}",
        f"at most {CORE_SHARE_MAX}",
        share <= CORE_SHARE_MAX,
    )
    line(
        "feed: memory for each client at rest",
        f"{client_kb:.1f} KB",
        f"at most {CLIENT_KB_MAX:g} KB",
        client_kb <= CLIENT_KB_MAX,
    )
