"""The status feed of a real network."""

import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.network.followers import Follower
from tests.network.network import Network
from tests.network.waiting import BUSY_S_MAX, never_for, wait_until

# The time until a killed engine is known, and then the feed's own.
BROKEN_S_MAX = 3.5 + 0.5 + BUSY_S_MAX
CUT_S_MAX = 20.0
STOP_S_MAX = 5.0
HANDSHAKE = (
    b"GET /feed HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)


@pytest.fixture
def network(tmp_path: Path) -> Iterator[Network]:
    """Two charging points whose sessions last 2 s."""
    with Network(tmp_path) as network:
        yield network.up("CP-001", "CP-002", engine_flags=("--session-seconds", "2"))


def test_a_network_is_told_as_it_lives(network: Network) -> None:
    """Proves: a client sees a session with its meter and its bill, an engine die and come back, in
    messages without a gap; one that follows another charging point sees nothing of it; Central's
    restart closes with 1001, and the next snapshot has the day's totals and what happened
    before."""
    with (
        Follower(network.feed_port) as all_points,
        Follower(network.feed_port, "?cp_id=CP-002") as other,
    ):
        assert {x["cp_id"] for x in all_points.messages[0]["charging_points"]} == {
            "CP-001",
            "CP-002",
        }
        request_id = network.request_charge("driver-a", "CP-001")
        meter = "its meter moves"
        all_points.wait_for(
            lambda: (all_points.shown("CP-001")["telemetry"] or {}).get("kwh"), 10, meter
        )
        assert all_points.messages[-1]["active_requests"] == 1
        assert all_points.shown("CP-001")["current_driver"] == "driver-a"
        network.wait_request(request_id, "COMPLETED")
        all_points.wait_for(lambda: all_points.network["today"]["sessions"] == 1, 5, "it has ended")
        network.points["CP-001"].engine.kill()
        state = "its engine is gone"
        all_points.wait_for(
            lambda: all_points.shown("CP-001")["state"] == "BROKEN", BROKEN_S_MAX, state
        )
        assert all_points.network["states"] == {"ON": 1, "BROKEN": 1, "DISCONNECTED": 0}
        network.points["CP-001"].engine.start()
        all_points.wait_for(lambda: all_points.events[-1]["kind"] == "RECOVERY", 10, "it is back")
        kinds = [event["kind"] for event in all_points.events]
        assert kinds == ["SESSION_STARTED", "SESSION_ENDED", "FAULT", "RECOVERY"]
        assert network.programs["central"].stop(STOP_S_MAX) == 0
        for follower in (all_points, other):
            follower.wait_for(lambda: all_points.closed == other.closed == 1001, 5, "it stops")
            follower.check_numbers()
        assert other.events == []
        assert not other.shown("CP-001")
    network.programs["central"].start()
    network.wait_healthy()
    with Follower(network.feed_port) as later:
        today = later.network["today"]
        assert (today["sessions"], today["kwh"] > 0) == (1, True)
        kinds = [event["kind"] for event in later.messages[0]["events"]]
        assert kinds[:4] == ["SESSION_STARTED", "SESSION_ENDED", "FAULT", "RECOVERY"]


@pytest.mark.slow
def test_a_client_that_hangs_is_cut_and_holds_up_nobody(network: Network) -> None:
    """Proves: a client that does not read is cut within 20 s though nothing changes, and so is one
    that hangs while things change; a client that reads is told all the time, and stays."""
    with Follower(network.feed_port) as quick:
        for _ in range(2):
            with socket.create_connection(("127.0.0.1", network.feed_port)) as silent:
                silent.sendall(HANDSHAKE)
                wait_until(lambda: network.metric("evd_feed_clients") == 2, 5)
                began_s = time.monotonic()
                wait_until(lambda: network.metric("evd_feed_clients") == 1, CUT_S_MAX, look_s=0.2)
                assert time.monotonic() - began_s < CUT_S_MAX
            # The second one hangs while sessions run.
            network.request_charge("driver-a", "CP-001")
            quick.wait_for(lambda: quick.messages[-1]["active_requests"] == 1, 2, "one asks")
        assert network.metric('evd_feed_clients_cut_total{reason="silent"}') == 2
        never_for(lambda: quick.closed, 1.0)
        quick.check_numbers()
