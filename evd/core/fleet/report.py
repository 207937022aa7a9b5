"""The figures of a run, and whether Central kept up with the fleet."""

from collections.abc import Mapping
from typing import Final

import attrs

from evd.core.fleet.fleet import Fleet
from evd.core.fleet.waits import Spread

# Beyond these a driver feels it: the answer to a request, a reading of the meter.
ACCEPTED_MS_MAX: Final = 1_000.0
SHOWN_MS_MAX: Final = 1_000.0
# A monitor that waits longer for an ACK is on the way to give up.
ACK_MS_MAX: Final = 1_000.0
# A core that is busier has nothing left for a restart, an export or a full page.
CORES_MAX: Final = 0.9
# Beats of this fleet that are later are the fault of the machine that plays.
LATE_MS_MAX: Final = 100.0


@attrs.frozen(kw_only=True)
class Looked:
    """Central as its HTTP showed it; None: what could not be asked.

    `cores`, `resident_mb`: its own use over the measured time.  `disconnected`, `broken`: how often
    one of this fleet's charging points was shown so in that time.  `not_on`: those that were not
    ON at its end.
    """

    cores: float | None = None
    resident_mb: float | None = None
    disconnected: int | None = None
    broken: int | None = None
    not_on: int | None = None
    list_ms: float | None = None


@attrs.frozen(kw_only=True)
class Report:
    """A run.  Times of monitors and drivers are over the measured `seconds`.

    `registered`: those at its end; `registered_s`: how long it took at first until all were, None
    if they never were.
    """

    cps: int
    registered: int
    registered_s: float | None
    charging: int
    seconds: float
    central: Looked
    messages_s: Mapping[str, float]
    accepted: Spread | None
    shown: Spread | None
    acked: Spread | None
    late: Spread | None
    finals: Mapping[str, int]
    reasons: Mapping[str, int]
    given_up: int
    unasked: int
    nacks: Mapping[str, int]
    lost: int
    away_s: float
    own_cores: float

    @property
    def shortfalls(self) -> list[str]:
        """Each thing in which Central did not keep up, as a sentence without its full stop."""
        found = []
        if missing := self.cps - self.registered:
            found.append(f"{missing} of {self.cps} monitors are not registered")
        found += [f"{count} monitors were refused: {code}" for code, count in self.nacks.items()]
        if self.lost:
            found.append(f"{self.lost} connections of monitors were lost")
        central = self.central
        for count, state in ((central.disconnected, "DISCONNECTED"), (central.broken, "BROKEN")):
            if count:
                found.append(f"{count} times a charging point was shown {state}")
        if central.not_on:
            found.append(f"{central.not_on} charging points were not ON at the end")
        found += self._of_requests()
        for spread, what, most_ms in (
            (self.accepted, "requests waited for their answer", ACCEPTED_MS_MAX),
            (self.shown, "readings took to their driver", SHOWN_MS_MAX),
            (self.acked, "heartbeats waited for their ACK", ACK_MS_MAX),
        ):
            if spread is not None and spread.p99_ms > most_ms:
                found.append(f"one in a hundred {what} {spread.p99_ms:g} ms")
        if central.cores is not None and central.cores > CORES_MAX:
            found.append(f"it used {central.cores:.2f} of a core, and has no more than one")
        return found

    def _of_requests(self) -> list[str]:
        found = [
            f"{count} requests ended {status}"
            for status, count in self.finals.items()
            if status != "COMPLETED" and count
        ]
        if self.given_up:
            found.append(f"{self.given_up} requests had no answer within 10 s")
        return found

    @property
    def kept_up(self) -> bool:
        """Whether Central carried this fleet."""
        return not self.shortfalls

    @property
    def is_late(self) -> bool:
        """Whether the machine that plays was itself too slow for these figures to count."""
        return self.late is not None and self.late.p99_ms > LATE_MS_MAX


def report_of(
    fleet: Fleet,
    *,
    registered_s: float | None,
    seconds: float,
    charging: int,
    own_cores: float,
) -> Report:
    """Return what a fleet has counted since its `measure`, `seconds` ago; nothing of Central."""
    monitors, figures = fleet.monitors, fleet.figures
    said = {"heartbeats": monitors.said_count, **fleet.sent, "read": fleet.read_count}
    return Report(
        cps=fleet.plan.cps,
        registered=monitors.registered_count,
        registered_s=None if registered_s is None else round(registered_s, 2),
        charging=charging,
        seconds=round(seconds, 1),
        central=Looked(),
        messages_s={name: round(count / seconds, 1) for name, count in said.items()},
        accepted=figures.accepted,
        shown=figures.shown,
        acked=monitors.answered.spread,
        late=monitors.late.spread,
        finals={status.value: count for status, count in figures.finals.items()},
        reasons=figures.reasons,
        given_up=fleet.drivers.given_up_count,
        unasked=fleet.unasked_count,
        nacks=monitors.refused,
        lost=monitors.lost_count,
        away_s=round(monitors.away_s, 2),
        own_cores=round(own_cores, 2),
    )
