"""Two Centrals on one PostgreSQL database, killed, hung, stopped and woken."""

import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import httpx
import pytest

from evd.adapters.http.refused import STANDING_BY
from evd.core.wire import codec
from evd.core.wire.control import EngineStatus, KoCause, Nack, NackCode, Register
from evd.core.wire.framing import BadFrame, Deframer, encode
from tests.adapters.store.databases import new_postgres_url, postgres_server
from tests.network.network import Network
from tests.network.processes import Program, free_port
from tests.network.waiting import wait_until

pytestmark = pytest.mark.postgres

BOUND_S: Final = 60.0


class Pair:
    """Two Centrals, and what each of them answers."""

    def __init__(self, folder: Path, db_url: str) -> None:
        self.network = Network(folder)
        self.ports = [(free_port(), free_port(), free_port()) for _ in range(2)]
        self.programs = [
            self.network.another_central(
                *(f"central-{n}", ports, folder / f"central-{n}"),
                *("--db-url", db_url),
            )
            for n, ports in enumerate(self.ports)
        ]

    def get(self, number: int, path: str) -> httpx.Response:
        """Return the answer of one of them."""
        return httpx.get(f"http://127.0.0.1:{self.ports[number][0]}{path}", timeout=10)

    def serves(self, number: int) -> bool:
        """Whether one of them answers a question about the network."""
        try:
            return self.get(number, "/cp").status_code == 200
        except httpx.TransportError:
            return False

    def wait_until_serving(self, number: int) -> float:
        """Wait until one of them serves; the seconds that this took."""
        began_s = time.monotonic()
        wait_until(lambda: self.serves(number), BOUND_S, f"Central {number} serves")
        return time.monotonic() - began_s

    def start(self, number: int) -> Program:
        """Start one of them, and wait until it answers."""
        program = self.programs[number]
        program.start_until_ready()
        return program


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    """Two Centrals, the first serving, the other standing by; no Kafka is needed for that."""
    with postgres_server() as directory:
        pair = Pair(tmp_path, new_postgres_url(directory))
        with pair.network:
            pair.start(0)
            pair.wait_until_serving(0)
            pair.start(1)
            yield pair


def test_a_standby_says_who_serves(pair: Pair) -> None:
    """Proves: health is 503 with the address of the other, each other path 503 with a time to come
    back, and a monitor is told so by its code and sent away."""
    health = pair.get(1, "/health")
    assert health.status_code == 503
    assert health.json()["error"] == f"standing by for 127.0.0.1:{pair.ports[0][0]}"
    assert health.json()["code"] == STANDING_BY
    for path in ("/cp", "/", "/no-such-path", "/metrics"):
        answer = pair.get(1, path)
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")
    register = Register(
        *("CP-001", 7),
        engine_status=EngineStatus.KO,
        ko_cause=KoCause.TIMEOUT,
        instance_id="instance-1",
        kw_rate=None,
        euro_rate=None,
    )
    with socket.create_connection(("127.0.0.1", pair.ports[1][1]), timeout=BOUND_S) as monitor:
        monitor.sendall(encode(codec.encode_control(register)))
        deframer = Deframer()
        frames: list[bytes | BadFrame] = []
        while data := monitor.recv(4096):
            frames += deframer.feed(data)
    (frame,) = frames
    assert isinstance(frame, bytes)
    nack = codec.decode_central(frame)
    assert isinstance(nack, Nack)
    assert (nack.seq, nack.code) == (7, NackCode.STANDING_BY)


def test_a_standby_takes_over_from_one_that_was_killed(pair: Pair) -> None:
    """Proves: it serves within seconds, and who was killed stands by when it is back."""
    pair.programs[0].kill()
    pair.wait_until_serving(1)
    pair.start(0)
    assert f"standing by for 127.0.0.1:{pair.ports[1][0]}" in pair.get(0, "/health").text


def test_a_standby_takes_over_from_one_that_hangs(pair: Pair) -> None:
    """Proves: the server lets go of a session that says nothing; who is woken serves no more, and
    ends to begin anew."""
    hung = pair.programs[0]
    hung.freeze()
    pair.wait_until_serving(1)
    hung.thaw()
    assert hung.wait(BOUND_S) == 1
    assert pair.serves(1)


def test_a_switch_by_hand(pair: Pair) -> None:
    """Proves: whoever asks is answered, another one serves at once, the first logs no fault of it
    and stands by when its supervisor has started it, and a network of one refuses."""
    wait_until(lambda: b"evd_central_standbys 1.0" in pair.get(0, "/metrics").content, BOUND_S)
    url = f"http://127.0.0.1:{pair.ports[0][0]}/central/handover"
    answer = httpx.post(url, timeout=10)
    assert (answer.status_code, len(answer.json()["standbys"])) == (202, 1)
    assert pair.programs[0].wait(BOUND_S) == 1
    assert "ERROR" not in pair.programs[0].logged()
    pair.wait_until_serving(1)
    assert "Takes over in 0.0 s" in pair.programs[1].logged()
    alone = httpx.post(f"http://127.0.0.1:{pair.ports[1][0]}/central/handover", timeout=10)
    assert alone.status_code == 409
    pair.start(0)
    assert "standing by for" in pair.get(0, "/health").text


def test_a_central_that_is_stopped_leaves_the_lock_at_once(pair: Pair) -> None:
    """Proves: a stop by hand costs no wait for a lease."""
    assert pair.programs[0].stop() == 0
    pair.wait_until_serving(1)
    assert "Takes over in 0.0 s" in pair.programs[1].logged()
