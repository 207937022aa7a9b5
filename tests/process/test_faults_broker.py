"""The broker away for longer than anybody waits, and a buffer that is at its bound."""

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest

from evd.core.central.ledger import session_id_for
from evd.core.wire import codec
from evd.core.wire.messages import COMMANDS, SESSIONS, STATUS, Command, CpStatus, StartSupply
from tests.network import checker
from tests.network.network import Network
from tests.network.scenes import CP_ID, DRIVER_ID, Scene, scene
from tests.network.tap import Tap
from tests.network.waiting import BUSY_S_MAX, never_for, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.faults]

SESSION_S = 6
ENGINE_FLAGS = ("--session-seconds", str(SESSION_S), "--retry-interval", "5")
# Every bound of Central passes while the broker is away.
CENTRAL_FLAGS = ("--session-lost-after", "5", "--engine-gone-after", "4")
AWAY_S = 16.0
BUFFER_SIZE = 3


@pytest.mark.parametrize("also", [(), ("monitor",)], ids=["alone", "with the monitor"])
def test_a_broker_that_is_away_for_longer_than_every_time_out_costs_only_time(
    tmp_path: Path, also: tuple[str, ...]
) -> None:
    """Proves: a session that nobody can hear of, for longer than all bounds, goes on and is billed
    whole; Central's absence from the broker makes no estimate, no fault and no open breaker; its
    health is a 503 that says why, and a 200 again by itself; a driver that asks meanwhile is told
    FAILED in time, and no car starts for it later."""
    with scene(tmp_path, engine_flags=ENGINE_FLAGS, central_flags=CENTRAL_FLAGS) as here:
        carol = here.network.driver("driver-carol", CP_ID, flags=("--request-timeout", "3"))
        here.reach("in mid-session")
        for name in ("broker", *also):
            here.parts[name].kill()
        carol.start()
        carol.wait_for_line("| FAILED |", 10.0)
        never_for(lambda: estimates(here) or here.finals(), AWAY_S)
        shown = here.network.cp(CP_ID)
        assert shown["state"] == ("DISCONNECTED" if also else "ON")
        health = here.network.http.get("/health")
        assert (health.status_code, "Kafka" in health.text) == (503, True)
        for name in ("broker", *also):
            here.parts[name].start()
        here.wait_final("COMPLETED")
        row = here.network.sessions(driver_id=DRIVER_ID)[0]
        kwh = SESSION_S * 22 / 3600
        assert row["total_kwh"] == pytest.approx(kwh, abs=BUSY_S_MAX * 22 / 3600)
        assert here.network.cp(CP_ID)["breaker"] == "CLOSED"
        assert "FAULT" not in [fault["event_type"] for fault in here.network.faults(CP_ID)]
        facts = here.finish()
        assert here.network.health() == 200
        assert len(facts.sessions) == 2
        assert [told[0].text for told in facts.told["driver-carol"].values()] == ["no coordinator"]


def estimates(here: Scene) -> Sequence[object]:
    """Central's rows that are estimates."""
    return here.network.rows("SELECT session_id FROM charging_sessions WHERE estimated")


class CommandingStranger:
    """Commands an engine in the name of the Central that it obeys, which is away."""

    def __init__(self, network: Network) -> None:
        self._central_id = network.get("/health")["central_id"]
        self._tap = Tap(network.bootstrap)

    def start(self, number: int) -> str:
        """A START that is good for 5 s; its session."""
        status = self.status()
        request_id = f"req-of-nobody-{number}"
        payload = StartSupply(
            session_id=session_id_for(request_id),
            request_id=request_id,
            driver_id=f"driver-{number}",
            boot_id=status.boot_id,
            until_up_s=status.up_s + 5.0,
        )
        command = Command(CP_ID, self._central_id, payload)
        raw = codec.encode(command, datetime.now(UTC), f"message-{number}")
        self._tap.put(COMMANDS, CP_ID, raw)
        return payload.session_id

    def status(self) -> CpStatus:
        newest = codec.decode(STATUS, self._tap.values(STATUS)[-1])
        assert isinstance(newest, CpStatus)
        return newest

    def records(self, session_id: str) -> list[bytes]:
        return [each for each in self._tap.values(SESSIONS) if session_id.encode() in each]


def test_a_buffer_at_its_bound_refuses_the_next_session_and_drops_none(tmp_path: Path) -> None:
    """Proves: an engine that keeps as many unconfirmed sessions as it may refuses the next with
    that reason, and keeps every one over a SIGKILL; Central, back, has each as one row, and the
    charging point is free again."""
    flags = ("--session-seconds", "1", "--session-buffer-size", str(BUFFER_SIZE))
    with scene(tmp_path, engine_flags=flags) as here:
        stranger = CommandingStranger(here.network)
        here.parts["central"].kill()
        for number in range(BUFFER_SIZE):
            session_id = stranger.start(number)
            wait_until(partial(stranger.records, session_id), 10.0)
        here.point.engine.wait_for_line(f"buffered ({BUFFER_SIZE}/{BUFFER_SIZE})", 10.0)
        wait_until(lambda: "buffer" in stranger.status().reason, 5.0)
        refused = stranger.start(BUFFER_SIZE)
        assert b"buffer" in wait_until(lambda: stranger.records(refused), 10.0)[0]
        here.point.engine.restart()
        disk = checker.read_disk(here.point.engine_state_dir)
        assert [each.confirmed for each in disk.kept] == [False] * BUFFER_SIZE
        here.parts["central"].start()
        here.network.wait_available(CP_ID)
        assert len(checker.check(here.network).sessions) == BUFFER_SIZE
        here.finish()
