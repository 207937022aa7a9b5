"""`make chaos SECONDS=600 SEED=…`: faults every second or two on a whole network, then the count.

The seed decides every fault and what the drivers ask for.  What the programs wrote stays in a
folder that the last lines name, if a promise was broken.
"""

import argparse
import contextlib
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import Final, NoReturn

from evd.adapters.http.central_client import CentralAway, CentralRefused
from evd.core.wire.fields import format_time
from tests.adapters.store.databases import why_no_postgres
from tests.chaos.centrals import UNREADABLE
from tests.chaos.network import ChaosNetwork, chaos_network
from tests.chaos.plan import CP_IDS, Fault, plan
from tests.chaos.story import story
from tests.chaos.strikes import Storm
from tests.chaos.verdict import BillWatch, Verdict, judge, last_line
from tests.network import checker
from tests.network.waiting import NeverTrue, wait_until_none

PEACE_S: Final = 30.0
REST_S_MAX: Final = 30.0
LOOK_S: Final = 0.5
STORIES_MAX: Final = 3


class Diary:
    """Tells each event on stdout and in a file beside the logs of the programs."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __call__(self, text: str) -> None:
        print(text, flush=True)
        if self._path.parent.exists():
            with self._path.open("a") as file:
                file.write(f"{format_time(datetime.now(UTC))} | {text}\n")


def main(argv: Sequence[str] | None = None) -> int:
    """One run; 1 when a promise was broken."""
    parser = argparse.ArgumentParser(prog="make chaos", description=__doc__)
    parser.add_argument("--seconds", type=float, default=600.0, help="of faults (default 600)")
    parser.add_argument("--seed", type=int, default=1, help="of the plan (default 1)")
    parser.add_argument("--guarded", action="store_true", help="with TLS, and tokens required")
    parser.add_argument("--centrals", type=int, default=1, help="on one PostgreSQL database")
    options = parser.parse_args(argv)
    if options.centrals < 1:
        parser.error("--centrals: must be at least 1")
    if options.centrals > 1 and (why := why_no_postgres()):
        parser.error(f"--centrals: more than one {why}")
    if not 0 < options.seconds < float("inf"):
        parser.error("--seconds: must be a number above 0")
    # So that a run that is told to end leaves no process behind.
    signal.signal(signal.SIGTERM, _interrupt)
    root = Path(tempfile.mkdtemp(prefix="evd-chaos-"))
    faults = plan(options.seed, options.seconds, options.centrals)
    print(f"Seed {options.seed}: {len(faults)} faults in {options.seconds:g} s; files in {root}")
    broken = True
    try:
        broken = _run(
            root, options.seed, faults, guarded=options.guarded, centrals=options.centrals
        )
    finally:
        if broken:
            print(f"What the programs wrote is in {root}", file=sys.stderr)
        else:
            shutil.rmtree(root)
    return 1 if broken else 0


def _interrupt(_: int, __: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


def _run(root: Path, seed: int, faults: Sequence[Fault], *, guarded: bool, centrals: int) -> bool:
    """Faults, peace, and the count; whether anything was broken."""
    bills = BillWatch()
    with chaos_network(root, seed, guarded=guarded, centrals=centrals) as network:
        say = Diary(network.logs / "chaos.log")
        say(f"seed {seed}")
        storm = Storm(network, say)
        storm.rage(faults, lambda: _look(network, bills))
        say("peace")
        converged_s, left = _converge(network, bills)
        say(f"converged in {converged_s:.1f} s" if converged_s is not None else f"left: {left}")
        network.ask_no_more()
        _wait_for_rest(network)
        unserved = _charge_everywhere(network)
        bills.look(network.sessions())
        facts = network.facts()
        verdict = judge(
            facts, changed=bills.changed, failed_at=network.failed_at(), crashes=network.crashes()
        )
        _tell(facts, verdict, storm, network.logs)
    for text in (*left, *unserved):
        print(f"not healed: {text}")
    print(last_line(verdict, len(facts.sessions), sum(storm.struck.values()), converged_s))
    return bool(verdict.cases or left or unserved)


def _look(network: ChaosNetwork, bills: BillWatch) -> None:
    try:
        bills.look(network.sessions())
    except UNREADABLE:
        # Killed or hung with its hand on the file: the next look sees as much.
        return


def _converge(network: ChaosNetwork, bills: BillWatch) -> tuple[float | None, list[str]]:
    """Watch the peace; the second in which all that was open was settled and in service again.

    Drivers go on asking meanwhile: what they begin now is not counted.
    """
    began_s = time.monotonic()
    opened = _open(network.facts())
    unwell = {*CP_IDS, *network.program_names}
    converged_s: float | None = None
    left: list[str] = []
    while (passed_s := time.monotonic() - began_s) < PEACE_S:
        if converged_s is None:
            lame = network.lame()
            # One that was seen well once has healed: what it does now is its work.
            unwell &= lame.keys()
            opened &= _open(network.facts())
            left = [*sorted(opened), *(f"{each} {lame[each]}" for each in sorted(unwell))]
            if not opened and not unwell:
                converged_s, left = passed_s, []
        _look(network, bills)
        time.sleep(LOOK_S)
    return converged_s, left


def _open(facts: checker.Facts) -> set[str]:
    return {each for each, _ in (*checker.open_sessions(facts), *checker.open_requests(facts))}


def _wait_for_rest(network: ChaosNetwork) -> None:
    # The verdict says what is still open then.
    with contextlib.suppress(NeverTrue):
        wait_until_none(lambda: checker.unrest(network.facts()), REST_S_MAX, look_s=LOOK_S)


def _charge_everywhere(network: ChaosNetwork) -> list[str]:
    """One more session at each charging point; those that did not give it."""
    central = network.central
    unserved: list[str] = []
    asked: dict[str, str] = {}
    for cp_id in CP_IDS:
        try:
            asked[cp_id] = central.charge({"driver_id": f"driver-at-{cp_id}", "cp_id": cp_id})
        except (CentralAway, CentralRefused) as error:
            unserved.append(f"{cp_id}: {error}")
    _wait_for_rest(network)
    requests = network.facts().requests
    for cp_id, request_id in asked.items():
        row = requests[request_id]
        if row["status"] != "COMPLETED":
            unserved.append(f"{cp_id}: {request_id} is {row['status']}: {row['reason']}")
    return unserved


def _tell(facts: checker.Facts, verdict: Verdict, storm: Storm, logs: Path) -> None:
    for case in verdict.cases[:STORIES_MAX]:
        print(f"\nBROKEN: {story(case, facts, logs)}\n")
    for case in verdict.cases[STORIES_MAX:]:
        print(f"BROKEN: {case}")
    endings = sorted({row["status"] for row in facts.requests.values()})
    for status in endings:
        count = sum(row["status"] == status for row in facts.requests.values())
        print(f"{count:6} requests {status}")
    for kind, count in sorted(storm.struck.items()):
        print(f"{count:6} times {kind}")


if __name__ == "__main__":
    sys.exit(main())
