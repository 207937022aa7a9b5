"""The order of Central's work: look up, decide, store, say, and only then let Kafka forget.

Nothing is said while `may_speak` says no: among several Centrals another one may serve by then.
Each function is a generator of steps: it yields one after the other and is sent the outcome.  An
exception from a step ends the generator, as a crash would: nothing behind a failed commit is said.
The core has decided already what was not stored, so it must then be thrown away.
"""

from collections.abc import Callable, Generator, Mapping, Sequence

import attrs

from evd.core.central.core import Central
from evd.core.central.events import (
    Answer,
    Effect,
    Event,
    HangUp,
    MonitorSaid,
    Polled,
    PutAside,
    Reply,
    Save,
    TelemetryRefused,
    WouldRefuse,
    is_call,
)
from evd.core.central.rows import Request, Row, Session
from evd.core.effects import Note, Now, Send
from evd.core.machine import Saved
from evd.core.wire.control import Heartbeat, Register
from evd.core.wire.partition import Mark, Place

# Events or effects between two rests.
AT_ONCE_MAX = 100

Found = tuple[Sequence[Request], Sequence[Session]]


@attrs.frozen(slots=True)
class LookUp:
    """Read these rows from the database; the outcome is those that are stored."""

    request_ids: Sequence[str]
    session_ids: Sequence[str]


@attrs.frozen(slots=True)
class Commit:
    """Make all rows durable in one transaction, or fail."""

    rows: Sequence[Row]


@attrs.frozen(slots=True)
class CommitMarks:
    """Tell Kafka that everything before these marks is done with."""

    marks: Mapping[Place, Mark]


@attrs.frozen(slots=True)
class Hold:
    """Wait until Central may speak again; where it may never again, the steps end here."""


@attrs.frozen(slots=True)
class Rest:
    """Let others have their turn: a thousand events hold up no heartbeat."""


Say = Send | Answer | HangUp | Reply | Note | PutAside | TelemetryRefused | WouldRefuse
Step = LookUp | Commit | CommitMarks | Hold | Rest | Say
Steps = Generator[Step, Found | None, None]


def _always() -> bool:
    """For a Central that is alone on its database."""
    return True


def start_steps(core: Central, now: Now, may_speak: Callable[[], bool] = _always) -> Steps:
    """Carry out what a new core wants before its first event."""
    return _carry_out(core, core.start(now), now, may_speak)


def quiet_ack(
    core: Central, connection: int, message: Heartbeat, now: Now, may_speak: Callable[[], bool]
) -> str | None:
    """Return Central's id for the ACK of a heartbeat that says nothing new; else None.

    It passes commits, but no lease.
    """
    is_quiet = may_speak() and core.acknowledge(connection, message, now)
    return core.central_id if is_quiet else None


def batch_steps(
    core: Central,
    events: Sequence[Event],
    marks: Mapping[Place, Mark],
    *,
    is_waiting: Callable[[int], bool],
    is_open: Callable[[int], bool],
    now: Callable[[], Now],
    may_speak: Callable[[], bool] = _always,
) -> Generator[Step, Found | None, Sequence[Event]]:
    """Hand in `events` that came together, store what follows in one commit, and say it.

    Return the events that were handed in.  A caller or a monitor that has given up may ask again,
    so nothing is decided for it meanwhile: `is_waiting` tells of a call by its number, `is_open` of
    the connection of a REGISTER.
    """

    def is_wanted(event: Event) -> bool:
        if is_call(event):
            return is_waiting(event.call)
        if isinstance(event, MonitorSaid) and isinstance(event.message, Register):
            return is_open(event.connection)
        return True

    wanted = [event for event in events if is_wanted(event)]
    request_ids, session_ids = core.missing(wanted)
    if request_ids or session_ids:
        found = yield LookUp(sorted(request_ids), sorted(session_ids))
        core.remember(*found or ((), ()))
    moment = now()
    effects: list[Effect] = []
    for number, event in enumerate((*wanted, Polled()), 1):
        effects += core.handle(event, moment)
        if number % AT_ONCE_MAX == 0:
            yield Rest()
            moment = now()
    yield from _carry_out(core, effects, moment, may_speak)
    # The last step: a crash before it only means that these messages are read once more.
    if marks:
        yield from _say([CommitMarks(marks)], may_speak)
    return wanted


def _carry_out(
    core: Central, effects: list[Effect], now: Now, may_speak: Callable[[], bool]
) -> Steps:
    yield from _store(core, effects, now)
    yield from _say(effects, may_speak)


def _store(core: Central, effects: list[Effect], now: Now) -> Steps:
    rows = [effect.row for effect in effects if isinstance(effect, Save)]
    if rows:
        yield Commit(rows)
        effects += core.handle(Saved(), now)


def _say(effects: Sequence[Effect | CommitMarks], may_speak: Callable[[], bool]) -> Steps:
    said = (effect for effect in effects if not isinstance(effect, Save))
    for number, effect in enumerate(said, 1):
        # Looked at before each one: a process can be stopped between any two.
        while not may_speak():
            yield Hold()
        yield effect
        if number % AT_ONCE_MAX == 0:
            yield Rest()
