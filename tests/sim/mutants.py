"""`make mutants`: plant one bug after the other in a copy, and see which promise it breaks.

A simulation that finds nothing proves little until it is shown what it would find.  Each mutant
takes away one rule, in the product or in what the simulation has in place of a shell or a disk;
the copy is then run, seed after seed, until an invariant is seen broken.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import attrs

from tests.sim.planted import HARMLESS, MUTANTS, Mutant

ROOT = Path(__file__).parents[2]
SEEDS_MAX = 400
# Seeds through which a mutant that should do no harm is run.
HARMLESS_SEEDS = 100
WORKERS = 2
BROKEN = re.compile(r"^seed (\d+), \S+: invariant (\d) at [0-9.]+ s: (.*)$", re.MULTILINE)
SUMMARY = re.compile(r"^(\d+) seeds, \d+ faults, (\d+) violations$", re.MULTILINE)


class NotPlanted(Exception):
    """The text that a mutant replaces is not there exactly once, or the copy does not run."""


@attrs.frozen
class Catch:
    """A mutant's result: `invariant`, `seed` and `text` of the first violation, if any."""

    mutant: Mutant
    seeds: int
    invariant: int | None = None
    seed: int | None = None
    text: str = ""


def mutated(mutant: Mutant, root: Path) -> str:
    """Return the mutant's file below `root` with the bug in it, or raise NotPlanted."""
    text = (root / mutant.path).read_text()
    count = text.count(mutant.old)
    if count != 1:
        raise NotPlanted(f"{mutant.name}: {mutant.path} has its text {count} times: {mutant.old!r}")
    return text.replace(mutant.old, mutant.new)


def plant(mutant: Mutant, target: Path) -> None:
    """Copy what the simulation needs to `target`, with the bug in it."""
    ignore = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "evd", target / "evd", ignore=ignore)
    shutil.copytree(ROOT / "tests" / "sim", target / "tests" / "sim", ignore=ignore)
    shutil.copy(ROOT / "tests" / "__init__.py", target / "tests")
    (target / mutant.path).write_text(mutated(mutant, target))


def run_copy(target: Path, arguments: Sequence[str]) -> str:
    """Return what `python -m tests.sim` prints when it runs in the copy at `target`."""
    environment = os.environ | {"PYTHONPATH": str(target), "PYTHONHASHSEED": "0"}
    where = "import evd.core.central, tests.sim as sim; print(evd.__file__, sim.__file__)"
    said = _python(target, environment, "-c", where).stdout.split()
    if [str(target / "evd/__init__.py"), str(target / "tests/sim/__init__.py")] != said:
        raise NotPlanted(f"not the copy is run, but {said}")
    done = _python(target, environment, "-m", "tests.sim", *arguments)
    if not SUMMARY.search(done.stdout):
        raise NotPlanted(f"the copy could not be run: {done.stdout[-500:]}{done.stderr[-2000:]}")
    return done.stdout


def _python(
    target: Path, environment: dict[str, str], *arguments: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=target,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def hunt(mutant: Mutant, seeds: int = SEEDS_MAX, first: int = 0) -> Catch:
    """Run a mutant until an invariant is seen broken, through so many seeds at the most."""
    with tempfile.TemporaryDirectory(prefix="evd-mutant-") as directory:
        target = Path(directory).resolve()
        plant(mutant, target)
        flags = ["--no-replays", "--until-broken", "--jobs", "1", "--faults", mutant.mix]
        said = run_copy(target, [*flags, "--seeds", str(seeds), "--first", str(first)])
    broken, summary = BROKEN.search(said), SUMMARY.search(said)
    tried = int(summary[1]) if summary else 0
    if broken is None:
        return Catch(mutant, tried)
    return Catch(mutant, tried, int(broken[2]), int(broken[1]), broken[3])


def show(name: str) -> int:
    """Tell the story of one mutant; return the number of violations."""
    mutant = next(each for each in (*MUTANTS, *HARMLESS) if each.name == name)
    with tempfile.TemporaryDirectory(prefix="evd-mutant-") as directory:
        target = Path(directory).resolve()
        plant(mutant, target)
        flags = ["--no-replays", "--until-broken", "--seeds", str(SEEDS_MAX)]
        said = run_copy(target, [*flags, "--faults", mutant.mix])
    print(f"{mutant.name}: {mutant.what}\n{said}", end="")
    summary = SUMMARY.search(said)
    return int(summary[2]) if summary else 1


def row(catch: Catch) -> str:
    """Return one line of the table."""
    mutant = catch.mutant
    found = "NOTHING" if catch.seed is None else f"invariant {catch.invariant}, seed {catch.seed}"
    return f"{mutant.name:<14} {mutant.mix:<7} {catch.seeds:>4}  {found:<22} {mutant.what}"


def main() -> int:
    """Run every mutant and print a table; return the exit code."""
    began_s = time.monotonic()
    print(f"{'mutant':<14} {'faults':<7} seeds caught by              instead of the rule")
    caught = 0
    with ThreadPoolExecutor(WORKERS) as pool:
        catches = pool.map(hunt, MUTANTS)
        for catch in catches:
            caught += catch.seed is not None
            print(row(catch), flush=True)
            if catch.seed is not None:
                print(f"{'':<28} {catch.text[:150]}", flush=True)
        print("\nTo be caught by nothing: what they lose is asked or sent again anyway.")
        harmless = pool.map(hunt, HARMLESS, [HARMLESS_SEEDS] * len(HARMLESS))
        harmed = [catch for catch in harmless if _told(catch).seed is not None]
    print(f"\n{time.monotonic() - began_s:.0f} s")
    print(f"{caught} of {len(MUTANTS)} caught")
    return 0 if caught == len(MUTANTS) and not harmed else 1


def _told(catch: Catch) -> Catch:
    print(row(catch), flush=True)
    return catch


if __name__ == "__main__":
    sys.exit(main())
