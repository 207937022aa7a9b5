"""Sockets by the hundred: bursts, places, files, and a monitor that flaps."""

import resource
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from evd.core.wire import codec
from evd.core.wire.control import (
    Ack,
    EngineStatus,
    Fault,
    FromCentral,
    Heartbeat,
    KoCause,
    MonitorMessage,
    Nack,
    Recovered,
    Register,
)
from evd.core.wire.framing import Deframer, encode
from tests.network.network import Network
from tests.network.waiting import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.faults]


class Peer:
    """One connection to Central's port, by hand."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), 5.0)
        self._deframer = Deframer()

    def say(self, *messages: MonitorMessage) -> None:
        """Send all of these at once."""
        self.socket.sendall(b"".join(encode(codec.encode_control(each)) for each in messages))

    def hear(self, count: int) -> list[FromCentral]:
        """The next answers, `count` or a few more; fewer where the connection ends."""
        answers: list[FromCentral] = []
        while len(answers) < count and (data := self.socket.recv(65_536)):
            frames = self._deframer.feed(data)
            answers += [codec.decode_central(each) for each in frames if isinstance(each, bytes)]
        return answers


def register(cp_id: str = "CP-009") -> Register:
    """The first message of a monitor whose engine is well."""
    ok = EngineStatus.OK
    return Register(cp_id, 0, ok, None, instance_id=f"i-{cp_id}", kw_rate=22.0, euro_rate=0.3)


@contextmanager
def central(folder: Path, *flags: str) -> Iterator[Network]:
    """A Central and its broker."""
    with Network(folder) as network:
        network.broker.start()
        network.central(*flags).start()
        network.wait_healthy()
        yield network


def test_a_monitor_that_flaps_fills_no_log(tmp_path: Path) -> None:
    """Proves: thousands of changes of one charging point are each answered, in some lines of the
    log, while another one's change has its own line."""
    with central(tmp_path) as network:
        line, other = Peer(network.control_port), Peer(network.control_port)
        line.say(register())
        assert isinstance(line.hear(1)[0], Ack)
        for turn in range(20):
            changes = [
                kind("CP-009", 1 + 100 * turn + number, status, cause)
                for number in range(0, 100, 2)
                for kind, status, cause in (
                    (Fault, EngineStatus.KO, KoCause.TIMEOUT),
                    (Recovered, EngineStatus.OK, None),
                )
            ]
            line.say(*changes)
            assert len(line.hear(100)) == 100
        other.say(register("CP-010"))
        assert isinstance(other.hear(1)[0], Ack)
        lines = network.central().logged().splitlines()
        # Thirty lines a minute, and the one that says that it changes too often.
        assert len([each for each in lines if "CP CP-009" in each]) <= 31
        assert [each for each in lines if "CP CP-010 registered" in each]


def test_monitors_over_the_limit_are_told_and_counted(tmp_path: Path) -> None:
    """Proves: a connection over --monitors-max is answered NACK `full`, counted, logged once, and
    costs those within nothing; when one leaves there is a place again."""
    with central(tmp_path, "--monitors-max", "2") as network, ExitStack() as stack:
        lines = [Peer(network.control_port) for _ in range(2)]
        for number, line in enumerate(lines):
            line.say(register(f"CP-{number}"))
            assert isinstance(line.hear(1)[0], Ack)
        for _ in range(5):
            over = Peer(network.control_port)
            stack.callback(over.socket.close)
            over.say(register())
            (nack,) = over.hear(2)
            assert isinstance(nack, Nack) and (nack.code, nack.seq) == ("full", 0)
        assert network.metric("evd_monitors_turned_away_total") == 5
        assert network.metric("evd_monitor_connections") == 2
        assert network.central().logged().count("turning new ones away") == 1
        lines[0].socket.close()
        wait_until(lambda: network.metric("evd_monitor_connections") == 1, 5.0)
        again = Peer(network.control_port)
        again.say(register())
        assert isinstance(again.hear(1)[0], Ack)


def test_hundreds_over_the_limit_are_each_told(tmp_path: Path) -> None:
    """Proves: also of hundreds that come at once each is answered NACK `full` and counted, those
    that wait for their turn while others say nothing too."""
    with central(tmp_path, "--monitors-max", "1") as network, ExitStack() as stack:
        within = Peer(network.control_port)
        within.say(register())
        assert isinstance(within.hear(1)[0], Ack)
        over = [Peer(network.control_port) for _ in range(300)]
        for number, each in enumerate(over):
            stack.callback(each.socket.close)
            each.socket.settimeout(30.0)
            if number >= 100:
                each.say(register(f"CP-{number}"))
        answers = [answer for each in over for answer in each.hear(1)]
        assert [(each.code, each.seq) for each in answers if isinstance(each, Nack)] == [
            ("full", None if number < 100 else 0) for number in range(300)
        ]
        assert network.metric("evd_monitors_turned_away_total") == 300


def test_thousands_of_frames_at_once_are_each_answered(tmp_path: Path) -> None:
    """Proves: a monitor that sends 5,000 frames in one go, and reads, is answered each of them and
    keeps its connection."""
    with central(tmp_path) as network:
        line = Peer(network.control_port)
        line.socket.settimeout(30.0)
        line.say(register())
        assert isinstance(line.hear(1)[0], Ack)
        beats = [Heartbeat("CP-009", seq, EngineStatus.OK, None) for seq in range(1, 5_001)]
        sender = threading.Thread(target=line.say, args=beats)
        sender.start()
        seqs = [each.seq for each in line.hear(5_000) if isinstance(each, Ack)]
        sender.join(30.0)
        assert seqs == [*range(1, 5_001)]
        line.say(Heartbeat("CP-009", 5_001, EngineStatus.OK, None))
        assert isinstance(line.hear(1)[0], Ack)


def test_out_of_files_is_two_lines_of_each_port(tmp_path: Path) -> None:
    """Proves: a Central whose files are used up says so once a port, without a traceback, and once
    when it has some again; it serves on."""
    with central(tmp_path) as network, ExitStack() as stack:
        pid = network.central().pid
        before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        used = len(list(Path(f"/proc/{pid}/fd").iterdir()))
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (used + 10, before[1]))
        for port in [network.control_port] * 20 + [network.http_port] * 5:
            stack.enter_context(socket.create_connection(("127.0.0.1", port), 5.0))
        logged = network.central().logged
        wait_until(lambda: logged().count("can be accepted") == 2, 10.0)
        resource.prlimit(pid, resource.RLIMIT_NOFILE, before)
        stack.close()
        wait_until(lambda: logged().count("are accepted again") == 2, 15.0)
        assert "Traceback" not in logged()
        assert logged().count("can be accepted") == 2
        network.wait_healthy()
