"""Floods: requests by the hundred thousand beside monitors that go on, now and at a start."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from evd.core.wire import codec
from evd.core.wire.control import EngineStatus, Heartbeat, Register
from evd.core.wire.framing import Deframer, encode
from evd.core.wire.messages import BEACONS, REQUESTS, UPDATES, DriverRequest, Seen
from tests.network.network import Network
from tests.network.scenes import CP_ID, Scene, scene
from tests.network.tap import Follower, Tap, new_producer
from tests.network.waiting import Bound, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.faults]

FLOOD = 100_000
PERIOD_S = 0.25
ACK_S_MAX = 1.0


class HandMonitor:
    """A monitor of CP-002 by hand; it notes which heartbeats waited too long for their ACK."""

    def __init__(self, port: int) -> None:
        self.said = 0
        self.late_s: list[float] = []
        self._socket = socket.create_connection(("127.0.0.1", port), 5.0)
        self._socket.settimeout(30.0)
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._talk)
        self._thread.start()

    def _talk(self) -> None:
        deframer = Deframer()
        message: Register | Heartbeat = Register(
            "CP-002",
            0,
            EngineStatus.OK,
            None,
            instance_id="by-hand",
            kw_rate=22.0,
            euro_rate=0.3,
        )
        while not self._done.is_set():
            began_s, bound = time.monotonic(), Bound(ACK_S_MAX)
            self._socket.sendall(encode(codec.encode_control(message)))
            while not deframer.feed(self._socket.recv(4096)):
                pass
            if bound.is_over():
                self.late_s.append(time.monotonic() - began_s)
            self.said += 1
            message = Heartbeat("CP-002", self.said, EngineStatus.OK, None)
            self._done.wait(PERIOD_S)

    def end(self) -> None:
        """Say no more."""
        self._done.set()
        self._thread.join(35.0)
        self._socket.close()


@contextmanager
def hand_monitor(network: Network) -> Iterator[HandMonitor]:
    """A monitor by hand for as long as the block."""
    made = HandMonitor(network.control_port)
    try:
        yield made
    finally:
        made.end()


def newest_beacon(network: Network) -> Seen:
    """The beacon that a driver echoes if it asks now."""
    beacons = Follower(network.bootstrap, BEACONS, 20)
    try:
        return Seen(**{name: beacons.newest()[name] for name in ("central_id", "epoch", "up_s")})
    finally:
        beacons.close()


def flood(network: Network, seen: Seen) -> None:
    """Put FLOOD good STARTs of as many drivers on the topic, over all its partitions."""
    producer = new_producer(network.bootstrap, linger_ms=20, queue_buffering_max_messages=FLOOD + 1)
    for number in range(FLOOD):
        asked = DriverRequest(f"req-{number}", f"driver-{number}", CP_ID, seen=seen)
        raw = codec.encode(asked, datetime.now(UTC), f"m-{number}")
        producer.produce(REQUESTS, raw, f"CP-{number % 97:03d}")
        producer.poll(0)
    assert not producer.flush(60)


def wait_until_read(network: Network) -> None:
    """Wait until Central has read the flood, and for a second no further request."""
    series = f'evd_messages_total{{topic="{REQUESTS}"}}'
    counts = [-1.0]

    def is_still() -> bool:
        time.sleep(1.0)
        counts.append(network.metric(series))
        return counts[-1] == counts[-2] > FLOOD / 10

    wait_until(is_still, 120.0, "the flood is over")


def assert_nobody_noticed(here: Scene, beats: HandMonitor) -> None:
    """Monitors were answered in time, nobody was out of sight, nothing was stored as a fault."""
    assert beats.said and not beats.late_s
    assert here.network.faults() == []
    told = Tap(here.network.bootstrap).values(UPDATES)
    assert not [each for each in told if b"out of sight" in each]
    assert {point["state"] for point in here.network.shown().values()} == {"ON"}


def test_a_flood_of_requests_makes_no_living_monitor_look_dead(tmp_path: Path) -> None:
    """Proves: with 100,000 good STARTs at once each heartbeat has its ACK within a second, and no
    charging point is shown DISCONNECTED; the session that runs beside them is billed."""
    with scene(tmp_path, engine_flags=("--session-seconds", "20")) as here:
        here.reach("in mid-session")
        with hand_monitor(here.network) as beats:
            flood(here.network, newest_beacon(here.network))
            wait_until_read(here.network)
            assert_nobody_noticed(here, beats)
        here.wait_final("COMPLETED", 40.0)


def test_a_long_backlog_at_centrals_start_holds_no_monitor_up(tmp_path: Path) -> None:
    """Proves: a Central that comes back to 100,000 waiting requests answers its monitors within a
    second from the first on, and shows nobody as disconnected."""
    with scene(tmp_path) as here:
        seen_before = newest_beacon(here.network)
        central = here.parts["central"]
        central.kill()
        flood(here.network, seen_before)
        central.start_until_ready()
        with hand_monitor(here.network) as beats:
            wait_until_read(here.network)
            assert_nobody_noticed(here, beats)
        here.charge_again()
