"""Which fault happens when, drawn from the seed alone: the same seed is the same plan.

Nothing here looks at the network.  A fault whose target is not there at its time is left out when
it comes, and told.
"""

import random
from collections.abc import Sequence
from enum import StrEnum
from typing import Final

import attrs

CP_IDS: Final = tuple(f"CP-{number:03}" for number in range(1, 11))
DRIVER_IDS: Final = tuple(f"driver-{number}" for number in range(1, 6))
BROKER: Final = "evd-broker"
CENTRAL: Final = "evd-central"
DATABASE: Final = "the database"
# The monitors of these reach Central by a relay, which can be stopped.
CUTTABLE: Final = CP_IDS[::2]

PAUSE_S_MIN: Final = 1.0
PAUSE_S_MAX: Final = 2.0
LASTS_S_MIN: Final = 0.5
LASTS_S_MAX: Final = 8.0
# To leave takes a charging point its time: none begins to shortly before the end.
LEAVE_BEFORE_END_S: Final = 20.0
REQUEST_LINES: Final = 5_000


class Kind(StrEnum):
    """The kinds of harm to a part of the network."""

    KILLED = "killed"
    HELD = "killed and held down"
    TOGETHER = "monitor, driver and Central killed together"
    HUNG = "hung"
    CUT = "cut off from Central"
    STOPPED = "stopped by the operator"
    ENDED = "session ended by the operator"
    LEFT = "removed and added again"
    # Those of several Centrals.
    DB_CUT = "cut off from the database"
    SWITCHED = "handed over by the operator"
    DB_RESTARTED = "restarted"


@attrs.frozen
class Fault:
    """`kind` happens to the processes or charging points `targets` `at_s` after the beginning.

    What can be undone is undone `lasts_s` later.
    """

    number: int
    at_s: float
    kind: Kind
    targets: tuple[str, ...]
    lasts_s: float

    def __str__(self) -> str:
        lasts = "" if self.kind in _MOMENTARY else f" for {self.lasts_s:.1f} s"
        return f"fault {self.number}: {', '.join(self.targets)} {self.kind}{lasts}"


_MOMENTARY: Final = (
    *(Kind.KILLED, Kind.TOGETHER, Kind.ENDED),
    *(Kind.SWITCHED, Kind.DB_RESTARTED),
)

# How often each is drawn.  Central and the broker are one of each, and everybody's.
_WEIGHTS: Final = {
    (Kind.KILLED, "evd-engine"): 6,
    (Kind.KILLED, "evd-monitor"): 4,
    (Kind.KILLED, "evd-driver"): 4,
    (Kind.KILLED, CENTRAL): 2,
    (Kind.KILLED, BROKER): 2,
    (Kind.HELD, "evd-engine"): 3,
    (Kind.HELD, "evd-monitor"): 2,
    (Kind.HELD, "evd-driver"): 2,
    (Kind.HELD, CENTRAL): 1,
    (Kind.HELD, BROKER): 1,
    (Kind.HUNG, "evd-engine"): 3,
    (Kind.HUNG, "evd-monitor"): 2,
    (Kind.HUNG, "evd-driver"): 2,
    (Kind.HUNG, CENTRAL): 1,
    (Kind.HUNG, BROKER): 1,
    (Kind.TOGETHER, ""): 1,
    (Kind.CUT, ""): 3,
    (Kind.STOPPED, ""): 2,
    (Kind.ENDED, ""): 3,
    (Kind.LEFT, "evd-engine"): 1,
    (Kind.LEFT, "evd-driver"): 1,
}

# The same for several Centrals: half of all faults are theirs.
_SEVERAL: Final = _WEIGHTS | {
    (Kind.KILLED, CENTRAL): 8,
    (Kind.HELD, CENTRAL): 5,
    (Kind.HUNG, CENTRAL): 8,
    (Kind.DB_CUT, CENTRAL): 8,
    (Kind.SWITCHED, CENTRAL): 6,
    (Kind.DB_RESTARTED, ""): 3,
}


def central_names(centrals: int) -> tuple[str, ...]:
    """The names of so many Centrals at their supervisor."""
    if centrals == 1:
        return (CENTRAL,)
    return tuple(f"{CENTRAL}:central-{number}" for number in range(1, centrals + 1))


def plan(seed: int, seconds: float, centrals: int = 1) -> list[Fault]:
    """The faults of a run of `seconds`, one every PAUSE_S_MIN to PAUSE_S_MAX."""
    draw = random.Random(seed)
    weights = _WEIGHTS if centrals == 1 else _SEVERAL
    faults: list[Fault] = []
    at_s = draw.uniform(PAUSE_S_MIN, PAUSE_S_MAX)
    while at_s < seconds:
        ((kind, program),) = draw.choices(list(weights), list(weights.values()))
        # Nothing is drawn for a single one: its plans stay as they were.
        central = CENTRAL if centrals == 1 else draw.choice(central_names(centrals))
        targets = _targets(draw, kind, program, central)
        lasts_s = round(draw.uniform(LASTS_S_MIN, LASTS_S_MAX), 1)
        if kind is not Kind.LEFT or at_s < seconds - LEAVE_BEFORE_END_S:
            faults.append(Fault(len(faults) + 1, round(at_s, 2), kind, targets, lasts_s))
        at_s += draw.uniform(PAUSE_S_MIN, PAUSE_S_MAX)
    return faults


def _targets(draw: random.Random, kind: Kind, program: str, central: str) -> tuple[str, ...]:
    cp_id, driver_id = draw.choice(CP_IDS), draw.choice(DRIVER_IDS)
    match kind:
        case Kind.TOGETHER:
            return (f"evd-monitor:{cp_id}", f"evd-driver:{driver_id}", central)
        case Kind.CUT:
            return (draw.choice(CUTTABLE),)
        case Kind.STOPPED | Kind.ENDED:
            return (cp_id,)
        case Kind.LEFT:
            return (driver_id if program == "evd-driver" else cp_id,)
        case Kind.DB_RESTARTED:
            return (DATABASE,)
    if program in (BROKER, CENTRAL):
        return (central if program == CENTRAL else program,)
    return (f"{program}:{driver_id if program == 'evd-driver' else cp_id}",)


def request_lines(seed: int, driver_id: str) -> Sequence[str]:
    """The lines of a driver's requests file: more than it can get through in a run."""
    draw = random.Random(f"{seed} {driver_id}")
    return [draw.choice(("any", draw.choice(CP_IDS))) for _ in range(REQUEST_LINES)]
