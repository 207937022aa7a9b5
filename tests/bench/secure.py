"""A network by TLS beside a plain one: heartbeats, memory, and all handshakes after a restart."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

import trio

from evd.adapters import tls
from evd.adapters.tcp import dial_framed
from evd.core.wire import codec
from evd.core.wire.control import EngineStatus, Heartbeat
from evd.core.wire.framing import encode
from tests.bench.figures import goal_line, line, percentile, spread
from tests.bench.latency import requests_ms
from tests.bench.registered import READ_BYTES, registered
from tests.network.certificates import HOST, Certificates
from tests.network.network import Network

# Blocks of both networks by turns: a slow moment of this machine meets both.
BLOCKS: Final = 10
BEATS: Final = 200
REQUESTS: Final = 20
HANDSHAKES: Final = 1_000
SETTLE_S: Final = 2.0
DIAL_S_MAX: Final = 60.0
SESSION_S: Final = "0.05"
# A heartbeat or request by TLS may take so many times as long, and a program by TLS so many MB.
SLOWER_MAX: Final = 1.25
RESIDENT_MB_MAX: Final = {"engine:CP-001": 46.0, "monitor:CP-001": 40.0}


def measure(folder: Path) -> None:
    """Print each figure of both networks, which run side by side."""
    certificates = Certificates(folder / "certificates")
    with ExitStack() as stack:
        plain, secure = (
            stack.enter_context(_network(folder / name, given))
            for name, given in (("plain", None), ("secure", certificates))
        )
        _compare("heartbeat to ACK", _heartbeats_ms, plain, secure)
        _compare("request to ACCEPTED", _requests_ms, plain, secure)
        _memory(plain, "")
        _memory(secure, " by TLS")
        _handshakes(secure, certificates)


@contextmanager
def _network(folder: Path, certificates: Certificates | None) -> Iterator[Network]:
    folder.mkdir()
    with Network(folder, certificates=certificates) as network:
        network.up(
            "CP-001",
            engine_flags=("--session-seconds", SESSION_S),
            monitor_flags=("--reconnect-delay-max", "0.5"),
        )
        yield network


def _compare(
    what: str, times_ms: Callable[[Network], list[float]], plain: Network, secure: Network
) -> None:
    """Print the medians of both, and the ratio of each block."""
    p50s = [
        [percentile(times_ms(network), 0.5) for network in (plain, secure)] for _ in range(BLOCKS)
    ]
    for name, of_blocks in zip((what, f"{what} by TLS"), zip(*p50s, strict=True), strict=True):
        line(name, spread(of_blocks, "ms", 2))
    ratios = [by_tls / in_clear for in_clear, by_tls in p50s]
    goal_line(f"{what}, TLS against plain", ratios, "times", 2, most=SLOWER_MAX)


def _requests_ms(network: Network) -> list[float]:
    return requests_ms(network, REQUESTS)


def _heartbeats_ms(network: Network) -> list[float]:
    took_ms = []
    with registered(network) as stream:
        for seq in range(1, BEATS + 1):
            beat = Heartbeat("CP-000", seq, engine_status=EngineStatus.OK, ko_cause=None)
            began_s = time.perf_counter()
            stream.sendall(encode(codec.encode_control(beat)))
            stream.recv(READ_BYTES)
            took_ms.append((time.perf_counter() - began_s) * 1000)
    return took_ms


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
