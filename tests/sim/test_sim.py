"""A slice of the simulation, and that it can fail; all of it: `make sim` and `make mutants`."""

import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import attrs
import pytest

from tests.sim.__main__ import Run, keep_for_replay, read_replays, run_seed
from tests.sim.mixes import MIXES, mix_for
from tests.sim.mutants import ROOT, NotPlanted, hunt, mutated
from tests.sim.planted import HARMLESS, MUTANTS, Mutant
from tests.sim.world import Violation

SEEDS = 16
FAULTS_MIN = 50 * SEEDS
# A run that has nothing to prove but itself.
SEED = 3
LAST_LINE = re.compile(r"(\d+) seeds, (\d+) faults, (\d+) violations")
EARLY = "dedupe"
EARLY_SEEDS_MAX = 20


def simulate(*arguments: str) -> str:
    """Return what `python -m tests.sim` prints; it must find nothing broken."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.sim", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_all_promises_hold_under_faults_of_every_kind() -> None:
    """Proves: through crashes, cuts, lost data and wrong clocks all eight invariants hold, first in
    the runs that once broke one."""
    last = simulate("--seeds", str(SEEDS)).splitlines()[-1]
    found = LAST_LINE.fullmatch(last)
    assert found, last
    runs, faults, violations = map(int, found.groups())
    assert runs == len(read_replays()) + SEEDS
    assert faults >= FAULTS_MIN
    assert violations == 0


@pytest.mark.parametrize("mix", ["sev", "cut"])
def test_all_promises_hold_with_several_centrals(mix: str) -> None:
    """Proves: Centrals that are killed, hung, cut off and switched take over from one another, and
    never do two of them speak."""
    found = LAST_LINE.fullmatch(
        simulate("--no-replays", "--faults", mix, "--seeds", "3").splitlines()[-1]
    )
    assert found and int(found[3]) == 0


def test_a_seed_replays_exactly() -> None:
    """Proves: what a seed has found can be looked at again, event for event, in another process."""
    story = run_seed(SEED, mix_for(SEED), whole_story=True).story
    assert story in simulate("--seed", str(SEED), "--whole-story")


def test_a_planted_bug_is_caught() -> None:
    """Proves: the simulation can fail, and says which invariant broke, and in which seed."""
    mutant = next(each for each in MUTANTS if each.name == EARLY)
    catch = hunt(mutant, EARLY_SEEDS_MAX)
    assert catch.seed is not None, catch
    assert catch.invariant in range(1, 10)


@pytest.mark.parametrize("mutant", [*MUTANTS, *HARMLESS], ids=lambda mutant: mutant.name)
def test_every_bug_can_be_planted(mutant: Mutant) -> None:
    """Proves: a change of the sources that leaves a mutant without its text is noticed here."""
    assert mutant.mix in MIXES
    assert mutated(mutant, ROOT) != (ROOT / mutant.path).read_text()


def test_a_bug_that_finds_no_place_is_told() -> None:
    """Proves: a mutant never counts as looked at when nothing was changed, or too much."""
    with pytest.raises(NotPlanted, match="0 times"):
        mutated(attrs.evolve(MUTANTS[0], old="no such text"), ROOT)
    with pytest.raises(NotPlanted, match="times"):
        mutated(attrs.evolve(MUTANTS[0], old="self"), ROOT)


def test_a_seed_that_found_something_is_kept_once(tmp_path: Path) -> None:
    """Proves: what broke a promise is run again before all else, from then on."""
    path = tmp_path / "replays.txt"
    path.write_text("# a remark\n7 rest  # 1: lost\n")
    broken = Violation(4, "told twice\nand more", ("req-1",), 12.5)
    run = Run(12, "all", 1, Counter(), (broken,), Counter(), "")
    keep_for_replay(run, path)
    keep_for_replay(run, path)
    assert read_replays(path) == [(7, "rest"), (12, "all")]
    assert path.read_text().endswith("12 all  # 4: told twice\n")
