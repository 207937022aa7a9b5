"""A network by TLS beside a plain one: heartbeats, memory, and all handshakes after a restart."""

import time
from pathlib import Path
from typing import Final

import trio

from evd.adapters import tls
from evd.adapters.tcp import dial_framed
from evd.core.wire import codec
from evd.core.wire.control import EngineStatus, Heartbeat
from evd.core.wire.framing import encode
from tests.bench.figures import line, percentile
from tests.bench.registered import READ_BYTES, registered
from tests.network.certificates import HOST, Certificates
from tests.network.network import Network

ROUNDS: Final = 1_000
HANDSHAKES: Final = 1_000
SETTLE_S: Final = 2.0
DIAL_S_MAX: Final = 60.0
# A heartbeat by TLS may take so many times as long, and a program by TLS so many MB.
SLOWER_MAX: Final = 1.25
RESIDENT_MB_MAX: Final = {"engine:CP-001": 46.0, "monitor:CP-001": 40.0}


def measure(folder: Path) -> None:
    """Print each figure of both networks."""
    p50s: list[float] = []
    for name, certificates in (("", None), (" by TLS", Certificates(folder / "certificates"))):
        place = folder / f"network{len(p50s)}"
        place.mkdir()
        with Network(place, certificates=certificates) as network:
            network.up("CP-001", monitor_flags=("--reconnect-delay-max", "0.5"))
            p50s.append(_heartbeats(network, name))
            _memory(network, name)
            if certificates is not None:
                _handshakes(network, certificates)
    ratio = p50s[1] / p50s[0]
    goal = f"at most {SLOWER_MAX} times"
    line("heartbeat to ACK, TLS against plain", f"{ratio:.2f} times", goal, ratio <= SLOWER_MAX)


def _heartbeats(network: Network, name: str) -> float:
    took_ms = []
    with registered(network) as stream:
        for seq in range(1, ROUNDS + 1):
            beat = Heartbeat("CP-000", seq, engine_status=EngineStatus.OK, ko_cause=None)
            began_s = time.perf_counter()
            stream.sendall(encode(codec.encode_control(beat)))
            stream.recv(READ_BYTES)
            took_ms.append((time.perf_counter() - began_s) * 1000)
    p50, p99 = percentile(took_ms, 0.5), percentile(took_ms, 0.99)
    line(f"heartbeat to ACK{name}", f"p50 {p50:.2f} ms, p99 {p99:.2f} ms")
    return p50


def _memory(network: Network, name: str) -> None:
    time.sleep(SETTLE_S)
    for program in ("central", "engine:CP-001", "monitor:CP-001"):
        resident_mb = network.programs[program].resident_mb
        most = RESIDENT_MB_MAX.get(program)
        goal = "" if most is None else f"at most {most:g} MB"
        holds = None if most is None else resident_mb <= most
        line(f"{program} resident{name}", f"{resident_mb:.1f} MB", goal, holds)


def _handshakes(network: Network, certificates: Certificates) -> None:
    side = tls.load_client(certificates.ca)

    async def dial_all() -> None:
        async with trio.open_nursery() as nursery:
            for _ in range(HANDSHAKES):
                nursery.start_soon(dial_framed, HOST, network.control_port, DIAL_S_MAX, side)

    network.programs["central"].restart()
    network.wait_available("CP-001")
    began_s = time.perf_counter()
    trio.run(dial_all)
    took_s = time.perf_counter() - began_s
    line(f"{HANDSHAKES:,} handshakes at once after a restart", f"{took_s:.2f} s")
