"""The order in which an engine reads, saves and sends; it waits for nothing itself.

Each generator yields one step after the other and is sent the outcome of each that uses the disk.
Its driver hands over the next event when the generator is done.
"""

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from itertools import groupby

import attrs

from evd.core.effects import Note, Now, Send
from evd.core.engine.core import Engine
from evd.core.engine.events import (
    BeaconRead,
    CommandRead,
    ConfirmationsRead,
    Effect,
    Event,
    Exit,
    ReadFailed,
    RecordsGone,
    Save,
    SendRecords,
)
from evd.core.machine import Saved, SaveFailed
from evd.core.wire.messages import (
    SESSIONS,
    Beacon,
    Command,
    Message,
    SessionRecord,
    SessionRecorded,
)


@attrs.frozen(slots=True)
class Read:
    """Read these records from disk; answered by `Found` or `DiskFailed`."""

    session_ids: tuple[str, ...]


@attrs.frozen(slots=True)
class Kept:
    """A save is durable; for it the confirmed records of `gone` were deleted, being too old."""

    gone: tuple[str, ...] = ()


@attrs.frozen(slots=True)
class Found:
    """The records that are there and whole."""

    records: tuple[SessionRecord, ...]


@attrs.frozen(slots=True)
class DiskFailed:
    """The read or save did not happen, or nobody can tell; `reason` in words."""

    reason: str


# A save is answered by `Kept` or `DiskFailed`; Send, Note and Exit by None.
Step = Save | Read | Send | Note | Exit
Outcome = Kept | Found | DiskFailed
Steps = Generator[Step, Outcome | None, None]


def start(core: Engine, clock: Callable[[], Now]) -> Steps:
    """Carry out the first effects of `core`."""
    return _carry_out(core, core.start(clock()), clock)


def handle(core: Engine, event: Event, clock: Callable[[], Now]) -> Steps:
    """Hand `event` to `core`, and carry out all that follows from it."""
    return _carry_out(core, core.handle(event, clock()), clock)


def events_of(messages: Iterable[Message], cp_id: str) -> Iterator[Event]:
    """The events of the messages that were read at once: beacons first, so that a Central is known
    to be there before its commands come.

    A partition has commands for others too.  Neighbouring confirmations are one event: one commit.
    """
    messages = tuple(messages)
    for message in messages:
        if isinstance(message, Beacon):
            yield BeaconRead(message)
    ours = (each for each in messages if isinstance(each, Command) and each.cp_id == cp_id)
    for central_id, commands in groupby(ours, key=_confirming_central):
        if central_id is None:
            yield from map(CommandRead, commands)
        else:
            payloads = (command.payload for command in commands)
            ids = [each.session_id for each in payloads if isinstance(each, SessionRecorded)]
            yield ConfirmationsRead(central_id, tuple(ids))


def _confirming_central(command: Command) -> str | None:
    return command.central_id if isinstance(command.payload, SessionRecorded) else None


def _carry_out(core: Engine, effects: list[Effect], clock: Callable[[], Now]) -> Steps:
    # News of the disk that waits until the core awaits no save.
    waiting: deque[Event] = deque()
    while True:
        outcome: Event | None = None
        for effect in effects:
            match effect:
                case SendRecords(session_ids):
                    waiting.extend((yield from _send_records(session_ids)))
                case Send() | Note() | Exit():
                    yield effect
                case _:
                    # The last of its list.
                    outcome = yield from _save(effect, waiting)
        if outcome is None:
            if not waiting:
                return
            outcome = waiting.popleft()
        effects = core.handle(outcome, clock())


def _save(
    effect: Save, waiting: deque[Event]
) -> Generator[Step, Outcome | None, Saved | SaveFailed]:
    answer = yield effect
    match answer:
        case Kept(gone):
            if gone:
                waiting.append(RecordsGone(gone))
            return Saved()
        case DiskFailed(reason):
            return SaveFailed(reason)
        case _:
            raise TypeError(f"{answer} is no outcome of a save")


def _send_records(
    session_ids: tuple[str, ...],
) -> Generator[Step, Outcome | None, list[Event]]:
    answer = yield Read(session_ids)
    match answer:
        case Found(records):
            for record in records:
                yield Send(SESSIONS, record.cp_id, record)
            found = {record.session_id for record in records}
            gone = tuple(each for each in session_ids if each not in found)
            return [RecordsGone(gone, unreadable=True)] if gone else []
        case DiskFailed(reason):
            return [ReadFailed(session_ids, reason)]
        case _:
            raise TypeError(f"{answer} is no outcome of a read")
