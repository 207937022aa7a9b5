"""What can happen to an engine, what it wants done, and what it keeps on disk.

Each list of effects has at most one `Save`, and it stands last: whatever depends on it follows only
when the shell hands in `Saved`, which it does before any other event.  So nothing is said that is
not on disk.
"""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta

import attrs

from evd.core.effects import Note, Send
from evd.core.wire.messages import Beacon, Command, SessionRecord, SessionRecorded


@attrs.frozen(slots=True)
class Run:
    """The running session, as it is kept on disk.

    The rates (kW, euros a kWh) are those of its start, whatever the engine is told later.
    `energy_mwh` is its newest reading, taken when it had lasted `metered_s` by the monotonic clock.
    """

    session_id: str
    request_id: str
    driver_id: str
    boot_id: str
    started_at: datetime
    kw_rate: float
    euro_rate: float
    energy_mwh: int = 0
    metered_s: float = 0.0

    def at(self, lasted_s: float) -> datetime:
        """The time at which it had lasted `lasted_s`: a clock that was stepped is no gap."""
        return self.started_at + timedelta(seconds=lasted_s)


@attrs.frozen(kw_only=True)
class EngineSettings:
    """What an engine is told at its start: power in kW, price in euros a kWh, durations in s."""

    cp_id: str
    kw_rate: float
    euro_rate: float
    location: str | None = None
    telemetry_interval_s: float = 1.0
    session_seconds: float = 10.0
    session_buffer_size: int = 100
    retry_interval_s: float = 30.0


@attrs.frozen(slots=True)
class EngineDisk:
    """What an engine finds on disk at its start: ids of records, oldest first."""

    central_id: str | None = None
    run: Run | None = None
    unconfirmed: tuple[str, ...] = ()
    confirmed: tuple[str, ...] = ()


@attrs.frozen(slots=True)
class CommandRead:
    """A command came in on the partition of this engine's key; it may be another engine's."""

    command: Command


@attrs.frozen(slots=True)
class ConfirmationsRead:
    """Central `central_id` says that it has stored these records of `cp_id`."""

    cp_id: str
    central_id: str
    session_ids: tuple[str, ...]


@attrs.frozen(slots=True)
class BeaconRead:
    """A Central says that it is there."""

    beacon: Beacon


@attrs.frozen(slots=True)
class CentralNamed:
    """A PING named the Central that the monitor is registered with."""

    central_id: str


@attrs.frozen(slots=True)
class Ticked:
    """It is time to look at the clock.

    `connected`: the reader of commands knows its place and the broker answers.  `logs_lost_count`:
    how often it found that the broker had lost its data, and took a new place.
    """

    connected: bool
    logs_lost_count: int = 0


@attrs.frozen(slots=True)
class Saved:
    """What `effect` wanted saved is durable."""

    effect: "Save"


@attrs.frozen(slots=True)
class DiskFailed:
    """What `effect` needed the disk for did not happen, or may not have; `reason` in words.

    Handed in at once after a `Save`; after `SendRecords` when the list that it stood in is done.
    """

    effect: "Save | SendRecords"
    reason: str


@attrs.frozen(slots=True)
class RecordsGone:
    """These records are no longer on disk: they were let go after their time, or can't be read."""

    session_ids: tuple[str, ...]


@attrs.frozen(slots=True)
class StopAsked:
    """SIGTERM or SIGINT."""


Event = (
    CommandRead
    | ConfirmationsRead
    | BeaconRead
    | CentralNamed
    | Ticked
    | Saved
    | DiskFailed
    | RecordsGone
    | StopAsked
)


def command_events(commands: Iterable[Command]) -> Iterator[CommandRead | ConfirmationsRead]:
    """The events of commands read in one go: neighbouring confirmations are one commit."""
    waiting: ConfirmationsRead | None = None
    for command in commands:
        if not isinstance(command.payload, SessionRecorded):
            if waiting is not None:
                yield waiting
                waiting = None
            yield CommandRead(command)
            continue
        session_id = command.payload.session_id
        if waiting is None or (waiting.cp_id, waiting.central_id) != (
            command.cp_id,
            command.central_id,
        ):
            if waiting is not None:
                yield waiting
            waiting = ConfirmationsRead(command.cp_id, command.central_id, ())
        waiting = attrs.evolve(waiting, session_ids=(*waiting.session_ids, session_id))
    if waiting is not None:
        yield waiting


@attrs.frozen(slots=True)
class ReserveRoom:
    """No session runs: let go of one that stands on disk all the same, and reserve room for the
    next one's record, so that a full disk can't take it."""


@attrs.frozen(slots=True)
class SaveRun:
    """A session begins."""

    run: Run


@attrs.frozen(slots=True)
class SaveMeter:
    """The reading of the running session, when it had lasted `metered_s`."""

    session_id: str
    energy_mwh: int
    metered_s: float


@attrs.frozen(slots=True)
class SaveRecord:
    """The session is over: its record takes the place of the run, in one commit, unconfirmed."""

    record: SessionRecord


@attrs.frozen(slots=True)
class SaveConfirmed:
    """Central has stored these records; they are still kept."""

    session_ids: tuple[str, ...]


@attrs.frozen(slots=True)
class SaveObeyed:
    """Obey this Central from now on; every record that is kept is unconfirmed again."""

    central_id: str


Save = ReserveRoom | SaveRun | SaveMeter | SaveRecord | SaveConfirmed | SaveObeyed
SAVES = (ReserveRoom, SaveRun, SaveMeter, SaveRecord, SaveConfirmed, SaveObeyed)


@attrs.frozen(slots=True)
class SendRecords:
    """Read these records from disk and produce each on `cp.sessions`."""

    session_ids: tuple[str, ...]


@attrs.frozen(slots=True)
class Exit:
    """Everything is saved and said: flush, and end with code 0."""


Effect = Save | SendRecords | Send | Note | Exit
