"""`make bench`: print every figure.  It takes some minutes on two cores; run nothing beside it."""

import argparse
import shutil
import tempfile
from pathlib import Path

from tests.bench import (
    exports,
    feed,
    fleet,
    frames,
    history,
    latency,
    secure,
    startup,
    throughput,
)
from tests.bench.figures import line
from tests.network.network import Network

HISTORY = 1_000_000
SLOWER_MAX = 1.2


def main() -> None:
    """Print the figures that were asked for."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--runs", type=int, default=5, help="runs of each throughput")
    parser.add_argument("--history", type=int, default=HISTORY, help="sessions of the past")
    parser.add_argument("--clients", type=int, default=feed.CLIENTS, help="clients of the feed")
    parser.add_argument(
        "--only", choices=["frames", "startup", "network", "feed", "secure", "fleet"], default=None
    )
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="evd-bench-") as name:
        folder = Path(name)
        if options.only in (None, "frames"):
            frames.measure()
        if options.only in (None, "startup"):
            (folder / "startup").mkdir()
            startup.measure(folder / "startup")
        if options.only in (None, "feed"):
            (folder / "feed").mkdir()
            feed.measure(folder / "feed", options.clients)
        if options.only in (None, "secure"):
            (folder / "secure").mkdir()
            secure.measure(folder / "secure")
        if options.only in (None, "fleet"):
            fleet.measure(fleet.CPS)
        if options.only in (None, "network"):
            _measure_network(folder, options.runs, options.history)


def _measure_network(folder: Path, runs: int, ended: int) -> None:
    empty, full = folder / "empty", folder / "full"
    history.fill(empty, 0)
    print(f"filling a database with {ended:,} sessions", flush=True)
    history.fill(full, ended)
    rates: list[float] = []
    p50s: list[float] = []
    for name, database in (("", empty), (f", {ended:,} sessions", full)):
        place = folder / f"latency{len(p50s)}"
        shutil.copytree(database, place / "central")
        with Network(place) as network:
            network.up("CP-001", engine_flags=("--session-seconds", "0.05"))
            p50s.append(latency.measure(network, name))
            if database is full:
                exports.measure(network, ended)
        rates.append(throughput.measure(folder, runs, name, database))
    _compare("request to ACCEPTED, full against empty", p50s[1] / p50s[0])
    _compare("telemetry, empty against full", rates[0] / rates[1])


def _compare(name: str, ratio: float) -> None:
    line(name, f"{ratio:.2f} times", f"at most {SLOWER_MAX} times", ratio <= SLOWER_MAX)


if __name__ == "__main__":
    main()
