"""A long history read as a whole: sessions as CSV, reports; and what a monitor feels meanwhile."""

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import attrs

from evd.core.wire import codec
from evd.core.wire.control import EngineStatus, Heartbeat
from evd.core.wire.framing import encode
from evd.core.wire.messages import CpState
from tests.bench.figures import line, percentile
from tests.bench.registered import registered
from tests.network.network import Network

BEAT_S = 0.02
READ_BYTES = 65_536
READ_S_MAX = 600.0
QUIET_S = 10.0
# The niceness of a monitor, on Linux that of a thread.
GOES_FIRST = -15
HEARTBEAT_MS_MAX = 100.0
MEMORY_MB_MAX = 30.0
# A monitor whose engine is well and free says this, numbers apart.
WELL = Heartbeat(
    *("CP-000", 0, EngineStatus.OK, None),
    boot_id="boot-bench",
    report=1,
    up_s=0.0,
    engine_state=CpState.ACTIVATED,
)


@attrs.define
class Monitor:
    """A monitor that never stops asking: how long each answer took, in ms."""

    network: Network
    answers: list[float] = attrs.Factory(list)
    resident_mb: list[float] = attrs.Factory(list)

    def beat(self, stopping: threading.Event) -> None:
        """Ask until `stopping`; its thread goes before all others of this core, where it may, as on
        a machine of its own."""
        with suppress(PermissionError):
            os.setpriority(os.PRIO_PROCESS, 0, GOES_FIRST)
        with registered(self.network) as stream:
            seq = 0
            while not stopping.wait(BEAT_S):
                seq += 1
                beat = attrs.evolve(WELL, seq=seq, up_s=round(BEAT_S * seq, 3))
                began_s = time.perf_counter()
                stream.sendall(encode(codec.encode_control(beat)))
                stream.recv(READ_BYTES)
                self.answers.append((time.perf_counter() - began_s) * 1000)
                self.resident_mb.append(self.network.programs["central"].resident_mb)


@contextmanager
def watched(network: Network) -> Iterator[Monitor]:
    """A monitor that asks within the block."""
    monitor, stopping = Monitor(network), threading.Event()
    thread = threading.Thread(target=monitor.beat, args=(stopping,))
    thread.start()
    try:
        yield monitor
    finally:
        stopping.set()
        thread.join()


def _read(network: Network, path: str) -> int:
    """The lines of an answer, which is not kept."""
    lines = 0
    with network.http.stream("GET", path, timeout=READ_S_MAX) as answer:
        answer.raise_for_status()
        for part in answer.iter_bytes(READ_BYTES):
            lines += part.count(b"\r\n")
    return lines


def _figures(name: str, monitor: Monitor, quiet: Monitor) -> None:
    longest = max(monitor.answers)
    text = f"p99 {percentile(monitor.answers, 0.99):.1f} ms, longest {longest:.1f} ms"
    text += f" (quiet: {max(quiet.answers):.1f} ms)"
    goal = f"longest at most {HEARTBEAT_MS_MAX:g} ms"
    line(f"heartbeat answered during {name}", text, goal, longest <= HEARTBEAT_MS_MAX)


def measure(network: Network, ended: int) -> None:
    """Print the figures of a network whose Central has `ended` sessions of the past."""
    with watched(network) as quiet:
        time.sleep(QUIET_S)
    with watched(network) as monitor:
        began_s = time.perf_counter()
        lines = _read(network, "/sessions?format=csv")
        took_s = time.perf_counter() - began_s
    if lines < ended:
        raise RuntimeError(f"{lines} lines of {ended} sessions")
    line("sessions as CSV", f"{lines / took_s:,.0f} rows/s ({lines:,} in {took_s:.1f} s)")
    grown = max(monitor.resident_mb) - monitor.resident_mb[0]
    goal = f"at most {MEMORY_MB_MAX:g} MB"
    line("memory that an export adds", f"{grown:.1f} MB", goal, grown <= MEMORY_MB_MAX)
    _figures("an export", monitor, quiet)
    for by in ("month", "cp", "driver"):
        with watched(network) as monitor:
            began_s = time.perf_counter()
            _read(network, f"/reports?by={by}&format=csv")
            took_s = time.perf_counter() - began_s
            # One beat at least while it was made, however short that was.
            time.sleep(2 * BEAT_S)
        line(f"report by {by} of {ended:,} sessions", f"{took_s:.2f} s")
        _figures(f"a report by {by}", monitor, quiet)
