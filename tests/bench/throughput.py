"""Telemetry that one Central takes, with its database written, beside bare consume-and-decode."""

import shutil
import statistics
import time
from datetime import UTC, datetime
from pathlib import Path

import trio

from evd.adapters.kafka import open_consumer
from evd.core.wire import codec
from evd.core.wire.messages import TELEMETRY, Telemetry
from tests.bench.figures import goal_line, line, spread
from tests.bench.history import POINTS, running
from tests.bench.registered import registered
from tests.network.network import Network
from tests.network.tap import new_producer
from tests.network.waiting import wait_until

# As many as the embedded broker keeps: 5 MiB a partition.
MESSAGES = 60_000
SHARE_MIN = 0.25
RATE_MIN = 10_000.0


def load(bootstrap: str) -> None:
    """Put MESSAGES of telemetry of the running sessions on the topic."""
    room = MESSAGES + 1
    producer = new_producer(bootstrap, linger_ms=20, queue_buffering_max_messages=room)
    now = datetime.now(UTC)
    for number in range(MESSAGES):
        session = running(number % POINTS)
        reading = Telemetry(
            session.cp_id,
            session.boot_id or "",
            session.session_id,
            session.driver_id,
            22.0,
            (number // POINTS) / 1000,
            round((number // POINTS) * 0.0003, 4),
        )
        producer.produce(TELEMETRY, codec.encode(reading, now, f"m-{number}"), session.cp_id)
        producer.poll(0)
    if producer.flush(30):
        raise TimeoutError("the broker did not take the load")


async def _consume(bootstrap: str) -> float:
    taken, began_s = 0, 0.0
    async with open_consumer(
        bootstrap,
        "bench",
        {TELEMETRY: "all"},
        start="committed-else-earliest",
        group_id="bench",
        fetch_wait_s=0.005,
    ) as consumer:
        with trio.fail_after(60):
            async for batch in consumer.batches:
                began_s = began_s or time.perf_counter()
                for raw in batch:
                    codec.decode(raw.topic, raw.value)
                taken += len(batch)
                if taken >= MESSAGES:
                    return taken / (time.perf_counter() - began_s)
    raise RuntimeError("unreachable")


def _taken(network: Network) -> float:
    return network.metric(f'evd_messages_total{{topic="{TELEMETRY}"}}')


def _central(network: Network) -> float:
    """Messages a second, from the first look at which some were taken to the last one's."""
    network.central().start()
    network.wait_healthy()
    # From the first REGISTER on Central speaks, so each reading is also told to its driver.
    with registered(network):
        pass
    load(network.bootstrap)
    first = wait_until(lambda: _taken(network), 20)
    began_s = time.perf_counter()
    wait_until(lambda: _taken(network) >= MESSAGES, 60)
    return (MESSAGES - first) / (time.perf_counter() - began_s)


def measure(folder: Path, runs: int, name: str, database: Path) -> float:
    """Print rate and ratio over `runs`; `database`: a state directory to begin from."""
    bare, central = [], []
    for run in range(runs):
        place = folder / f"run-{run}{name}".replace(" ", "-").replace(",", "")
        place.mkdir()
        with Network(place) as network:
            network.broker.start_until_ready()
            load(network.bootstrap)
            bare.append(trio.run(_consume, network.bootstrap))
            network.broker.kill()
            network.broker.start_until_ready()
            shutil.copytree(database, place / "central")
            central.append(_central(network))
    share = [a / b for a, b in zip(central, bare, strict=True)]
    line(f"telemetry consumed and decoded, bare{name}", spread(bare, "/s", 0))
    goal_line(f"telemetry taken by Central{name}", central, "/s", 0, least=RATE_MIN)
    goal_line(f"Central's share of the bare loop{name}", share, "", 2, least=SHARE_MIN)
    return statistics.median(central)
