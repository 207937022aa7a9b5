"""`python -m tests.sim`: run many seeds, and tell the story of each that breaks a promise."""

import argparse
import itertools
import math
import multiprocessing
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import attrs

from tests.sim.faults import Storm
from tests.sim.mixes import MIXES, mix_for
from tests.sim.network import Network
from tests.sim.several import SeveralNetwork
from tests.sim.several_faults import SeveralStorm
from tests.sim.world import Mix, Violation, World

REPLAYS = Path(__file__).with_name("replays.txt")
STORIES_MAX = 3
PROGRESS_RUNS = 200
# Jobs given out at once; the time is checked between two batches.
BATCH = 32

Job = tuple[int, str]


@attrs.frozen
class Run:
    """The result of one seed; `story` only where something broke."""

    seed: int
    mix: str
    steps: int
    faults: Counter[str]
    violations: tuple[Violation, ...]
    allowed: Counter[str]
    story: str


def run_seed(seed: int, mix: Mix, *, whole_story: bool = False) -> Run:
    """Do one run from its first event to its last."""
    world = World(seed, mix)
    network, storm = _parts(world)
    network.run(storm.begin)
    story = ""
    if whole_story:
        story = world.story.whole()
    elif world.violations:
        story = world.story.about(world.violations[0].ids)
    return Run(
        seed,
        mix.name,
        world.steps,
        world.faults,
        tuple(world.violations),
        Counter(world.allowed),
        story,
    )


def _parts(world: World) -> tuple[Network, Storm]:
    if world.mix.members:
        several = SeveralNetwork(world)
        return several, SeveralStorm(several)
    network = Network(world)
    return network, Storm(network)


def _run_job(job: Job) -> Run:
    seed, name = job
    return run_seed(seed, MIXES[name])


def sweep(jobs: Iterator[Job], workers: int, until_s: float = math.inf) -> Iterator[Run]:
    """Yield the runs of `jobs`, in their order, until the monotonic time `until_s`."""
    with multiprocessing.get_context("fork").Pool(workers) as pool:
        while time.monotonic() < until_s:
            batch = list(itertools.islice(jobs, BATCH))
            if not batch:
                return
            yield from pool.imap(_run_job, batch)


def read_replays(path: Path = REPLAYS) -> list[Job]:
    """Return the seeds that once found something: they are run first."""
    if not path.exists():
        return []
    lines = (line.partition("#")[0].split() for line in path.read_text().splitlines())
    return [(int(words[0]), words[1]) for words in lines if words]


def keep_for_replay(run: Run, path: Path = REPLAYS) -> None:
    """Remember a seed that found something."""
    if (run.seed, run.mix) in read_replays(path):
        return
    first = run.violations[0]
    with path.open("a") as file:
        line = f"{run.seed} {run.mix}  # {first.invariant}: {first.text.splitlines()[0][:100]}\n"
        file.write(line)


def tell(run: Run, *, story: bool) -> None:
    """Print what a run broke, and its story."""
    for violation in run.violations:
        print(
            f"seed {run.seed}, {run.mix}: invariant {violation.invariant} at "
            f"{violation.at_s:.3f} s: {violation.text} {' '.join(violation.ids)}"
        )
    if story:
        print(f"--- the story of seed {run.seed}, {run.mix}\n{run.story}\n---")
        print(f"    again: python -m tests.sim --seed {run.seed} --faults {run.mix}")
    sys.stdout.flush()


class Totals:
    """The sums over all runs."""

    def __init__(self) -> None:
        self.runs = self.steps = self.broken = 0
        self.faults: Counter[str] = Counter()
        self.allowed: Counter[str] = Counter()
        self.violations: Counter[int] = Counter()
        self._began_s = time.monotonic()

    def add(self, run: Run) -> None:
        """Add a run."""
        self.runs += 1
        self.steps += run.steps
        self.broken += bool(run.violations)
        self.faults += run.faults
        self.allowed += run.allowed
        self.violations.update(violation.invariant for violation in run.violations)

    def tell(self) -> None:
        """Print them; the last line is for programs."""
        kinds = ", ".join(f"{kind} {count}" for kind, count in sorted(self.faults.items()))
        print(f"(faults)  {kinds}")
        for race, count in sorted(self.allowed.items()):
            print(f"(allowed) {count:6d}  {race}")
        for invariant, count in sorted(self.violations.items()):
            print(f"(broken)  {count:6d}  invariant {invariant}")
        took_s = time.monotonic() - self._began_s
        print(f"{self.steps:,} steps in {took_s:.1f} s, {took_s / max(1, self.runs):.3f} s a seed")
        violations = self.violations.total()
        print(f"{self.runs} seeds, {self.faults.total()} faults, {violations} violations")


def report(options: argparse.Namespace) -> int:
    """Run the seeds of the options; return the number of violations."""
    mix: Mix | None = MIXES[options.faults] if options.faults else None
    last = None if options.seconds else options.first + options.seeds
    seeds = itertools.takewhile(lambda n: last is None or n < last, itertools.count(options.first))
    jobs: Iterator[Job] = ((seed, (mix or mix_for(seed)).name) for seed in seeds)
    if not options.no_replays:
        jobs = itertools.chain(read_replays(), jobs)
    until_s = time.monotonic() + (options.seconds or math.inf)
    totals = Totals()
    for run in sweep(jobs, options.jobs, until_s):
        totals.add(run)
        if totals.runs % PROGRESS_RUNS == 0:
            print(f"after {totals.runs} runs: {totals.faults.total()} faults", flush=True)
        if not run.violations:
            continue
        tell(run, story=totals.broken <= STORIES_MAX)
        if not options.no_replays:
            keep_for_replay(run)
        if options.until_broken:
            break
    totals.tell()
    return totals.violations.total()


def replay(options: argparse.Namespace) -> int:
    """Run one seed again, and tell its story; return the number of violations."""
    mix = MIXES[options.faults] if options.faults else mix_for(options.seed)
    run = run_seed(options.seed, mix, whole_story=options.whole_story)
    totals = Totals()
    totals.add(run)
    tell(run, story=bool(run.story))
    totals.tell()
    return len(run.violations)


def parse(argv: list[str]) -> argparse.Namespace:
    """Read the flags."""
    parser = argparse.ArgumentParser(prog="python -m tests.sim", description=__doc__)
    parser.add_argument("--seeds", type=int, default=100, help="how many")
    parser.add_argument("--first", type=int, default=0, help="the first of them")
    parser.add_argument("--seconds", type=float, help="for so long instead, however many it is")
    parser.add_argument("--faults", choices=MIXES, help="one mix for all; default: in turns")
    parser.add_argument("--seed", type=int, help="run this one alone, and tell what broke")
    parser.add_argument("--whole-story", action="store_true", help="with --seed: all that happens")
    parser.add_argument("--mutant", metavar="NAME", help="plant a bug in a copy; tell what breaks")
    parser.add_argument("--jobs", type=int, default=2, help="processes")
    parser.add_argument("--no-replays", action="store_true", help="leave out the kept seeds")
    parser.add_argument("--until-broken", action="store_true", help="end with the first to break")
    return parser.parse_args(argv)


def main() -> int:
    """Run the command; return the number of violations."""
    options = parse(sys.argv[1:])
    if options.mutant:
        from tests.sim.mutants import show

        return show(options.mutant)
    return report(options) if options.seed is None else replay(options)


if __name__ == "__main__":
    # Sets of strings must have the same order in each run, else a seed would not replay.
    if os.environ.get("PYTHONHASHSEED") != "0":
        os.environ["PYTHONHASHSEED"] = "0"
        os.execv(sys.executable, [sys.executable, "-m", "tests.sim", *sys.argv[1:]])
    sys.exit(min(main(), 1))
