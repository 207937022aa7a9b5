"""Two Centrals on one PostgreSQL database, in mid-session: the one that serves is killed, hangs, is
cut off from the database, or is switched by hand.

Bounds are the promised ones, and what a busy machine adds: `make recovery` measures them.
"""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import orjson
import pytest

from evd.core.wire import codec
from evd.core.wire.control import Ack, EngineStatus, Register
from evd.core.wire.framing import BadFrame, Deframer, encode
from evd.core.wire.messages import BEACONS
from tests.adapters.store.databases import PostgresServer, open_postgres, why_no_postgres
from tests.network import checker
from tests.network.processes import BIN
from tests.network.several import SeveralCentrals
from tests.network.supervised import run
from tests.network.tap import Tap
from tests.network.waiting import BUSY_S_MAX, never_for, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.faults, pytest.mark.postgres]

KILLED_S_MAX: Final = 6.0
SILENT_S_MAX: Final = 12.0
BY_HAND_S_MAX: Final = 3.0
# Longer than the longest takeover.
SESSION_S: Final = 16.0
CHARGING, OTHERS = "CP-001", ("CP-002", "CP-003")
DRIVER = "driver-alice"
ENDED_S_MAX = 40.0
BACK_S_MAX = 40.0


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    """One database server for all tests."""
    if why := why_no_postgres():
        pytest.skip(why)
    with open_postgres() as made:
        yield made


class Takeover:
    """A network whose first Central serves, with a session that will end under the second one."""

    def __init__(self, network: SeveralCentrals) -> None:
        self.network = network
        self.first, self.second = network.centrals
        self.identity = network.identity()
        self.session_id = network.cp(CHARGING)["current_session"]
        assert self.session_id
        self._second_pid = self.second.pid

    def wait_until_over(self, within_s: float) -> None:
        """Wait until the second serves and all charging points are ON, the same session running."""
        bound_s = within_s + BUSY_S_MAX
        wait_until(lambda: self.network.shows_all_on(1), bound_s, "the second has all points ON")
        self.network.serving.name = "1"
        assert self.network.cp(CHARGING)["current_session"] == self.session_id
        central_id, epoch = self.identity
        assert self.network.identity() == (central_id, epoch + 1)

    def finish(self) -> None:
        """See the session billed, once, and the one that failed stand by when it is back."""
        driver = self.network.programs[DRIVER]
        driver.wait_for_line("| COMPLETED |", ENDED_S_MAX)
        assert self.second.alive
        assert self.second.pid == self._second_pid
        if not self.first.alive:
            self.first.start()
        wait_until(lambda: self.network.stands_by(0), BACK_S_MAX, "the first stands by")
        request_id = self.network.request_charge("driver-bob", OTHERS[0])
        self.network.wait_request(request_id, "COMPLETED", within_s=ENDED_S_MAX)
        facts = checker.check(self.network)
        assert sorted(row["status"] for row in facts.sessions) == ["COMPLETED"] * 2


@contextmanager
def takeover(folder: Path, server: PostgresServer) -> Iterator[Takeover]:
    """A network in mid-session, in which nobody but Centrals may end."""
    with SeveralCentrals(folder, server) as network:
        network.broker.start_until_ready()
        network.start_centrals()
        for cp_id in (CHARGING, *OTHERS):
            length_s = SESSION_S if cp_id == CHARGING else 2
            network.charging_point(
                cp_id, engine_flags=("--session-seconds", f"{length_s:g}")
            ).start()
        network.wait_available(CHARGING, *OTHERS)
        network.driver(DRIVER, CHARGING).start().wait_for_line(" kWh", 20.0)
        with network.only(*network.centrals):
            yield Takeover(network)


def test_the_central_that_serves_is_killed(tmp_path: Path, server: PostgresServer) -> None:
    """Proves: within 6 s the other one serves and has every charging point; the session goes on and
    is billed once."""
    with takeover(tmp_path, server) as here:
        here.first.kill()
        here.wait_until_over(KILLED_S_MAX)
        here.finish()


def test_the_central_that_serves_hangs_and_wakes(tmp_path: Path, server: PostgresServer) -> None:
    """Proves: within 12 s the other one serves; the one that wakes gives no answer that counts to
    who asked it meanwhile, no engine hears of it any more, and it ends, to stand by."""
    with takeover(tmp_path, server) as here:
        network = here.network
        http_port, control_port, _ = network.ports[0]
        here.first.freeze()
        page = _asking(http_port, b"GET /cp HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        monitor = _asking(control_port, encode(codec.encode_control(_register())))
        with page, monitor:
            here.wait_until_over(SILENT_S_MAX)
            here.first.thaw()
            assert here.first.wait(BACK_S_MAX) == 1
            assert b" 200 " not in _all_of(page)
            frames: list[bytes | BadFrame] = Deframer().feed(_all_of(monitor))
        said = [codec.decode_central(each) for each in frames if isinstance(each, bytes)]
        assert not [each for each in said if isinstance(each, Ack)]
        here.finish()
        values = Tap(network.bootstrap).values(BEACONS)
        epochs = [orjson.loads(value)["epoch"] for value in values]
        after = epochs[epochs.index(here.identity[1] + 1) :]
        # One word that lay in the client's hands when it was stopped may come late.
        assert after.count(here.identity[1]) <= 1


def test_the_central_that_serves_is_cut_off_from_the_database(
    tmp_path: Path, server: PostgresServer
) -> None:
    """Proves: where the way to the database passes nothing and closes nothing the other one serves
    within 12 s; the one that is cut off serves nobody, and stands by when the way is free again."""
    with takeover(tmp_path, server) as here:
        way = here.network.db_relays[0]
        way.freeze()
        here.wait_until_over(SILENT_S_MAX)
        never_for(lambda: here.network.serves(0), 1.0)
        way.thaw()
        assert here.first.wait(BACK_S_MAX) == 1
        here.finish()


def test_a_central_that_is_cut_off_ends_when_it_is_told_to(
    tmp_path: Path, server: PostgresServer
) -> None:
    """Proves: a database that does not answer does not hold up a stop."""
    with takeover(tmp_path, server) as here:
        way = here.network.db_relays[0]
        way.freeze()
        wait_until(lambda: not here.network.serves(0), SILENT_S_MAX, "it serves nobody")
        assert here.first.stop() == 0
        here.wait_until_over(SILENT_S_MAX)
        way.thaw()
        here.finish()


def test_the_central_that_serves_is_switched_by_hand(
    tmp_path: Path, server: PostgresServer
) -> None:
    """Proves: within 3 s of `evd central handover` the other one serves and has every charging
    point, and the first one likewise as soon as it stands by again."""
    with takeover(tmp_path, server) as here:
        network = here.network
        switch = [str(BIN / "evd"), "--central-url", network.urls, "central", "handover"]
        done = run(switch, here.first.env)
        assert done.returncode == 0, done.stderr
        here.wait_until_over(BY_HAND_S_MAX)
        assert here.first.wait(BACK_S_MAX) == 1
        here.finish()
        run(switch, here.first.env)
        bound_s = BY_HAND_S_MAX + BUSY_S_MAX
        wait_until(lambda: network.shows_all_on(0), bound_s, "the first serves again")


def _register() -> Register:
    return Register(
        *("CP-009", 1),
        engine_status=EngineStatus.OK,
        ko_cause=None,
        instance_id="instance-9",
        kw_rate=None,
        euro_rate=None,
    )


def _asking(port: int, data: bytes) -> socket.socket:
    """A connection to a program that may hang, on which `data` was sent."""
    connection = socket.create_connection(("127.0.0.1", port), timeout=BACK_S_MAX)
    connection.sendall(data)
    return connection


def _all_of(connection: socket.socket) -> bytes:
    """All that comes until the other end closes."""
    found = b""
    try:
        while data := connection.recv(65_536):
            found += data
    except ConnectionResetError:
        pass
    return found
