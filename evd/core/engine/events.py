"""The words of an engine: its events, its effects, and what it keeps on disk.

Each list of effects has at most one `Save`, and it stands last; what depends on it follows when the
shell hands in `Saved`.
"""

from datetime import datetime, timedelta

import attrs

from evd.core.effects import Note, Send
from evd.core.machine import Saved, SaveFailed
from evd.core.wire.fields import (
    AMOUNT_MAX,
    FieldError,
    euro_rate_field,
    id_field,
    kw_rate_field,
    time_field,
)
from evd.core.wire.messages import Beacon, Command, SessionRecord
from evd.core.wire.units import MWH_PER_KWH


@attrs.frozen(slots=True)
class Run:
    """The running session, as it is kept on disk.

    The rates (kW, euros a kWh) are those of its start, whatever the engine is told later.
    `energy_mwh` is its newest reading, taken when it had lasted `metered_s` by the monotonic clock.
    One that no record could say raises FieldError.
    """

    session_id: str = id_field()
    request_id: str = id_field()
    driver_id: str = id_field()
    boot_id: str = id_field()
    started_at: datetime = time_field()
    kw_rate: float = kw_rate_field()
    euro_rate: float = euro_rate_field()
    energy_mwh: int = 0
    metered_s: float = 0.0

    def __attrs_post_init__(self) -> None:
        if not 0 <= self.energy_mwh <= self.energy_mwh_max:
            raise FieldError("energy_mwh", "is more than a record can say")
        try:
            self.at(self.metered_s)
        except (OverflowError, ValueError):
            raise FieldError("metered_s", "is more than a record can say") from None

    @property
    def energy_mwh_max(self) -> int:
        """The most energy whose kWh and euros a record takes."""
        return int(AMOUNT_MAX * MWH_PER_KWH / max(1.0, self.euro_rate))

    def at(self, lasted_s: float) -> datetime:
        """The time at which it had lasted `lasted_s`: a clock that was stepped is no gap."""
        return self.started_at + timedelta(seconds=lasted_s)


@attrs.frozen(kw_only=True)
class EngineSettings:
    """The operator's settings: power in kW, price in euros a kWh, durations in s."""

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
    """The state of the disk at the start of an engine: ids of records, oldest first."""

    central_id: str | None = None
    run: Run | None = None
    unconfirmed: tuple[str, ...] = ()
    confirmed: tuple[str, ...] = ()


@attrs.frozen(slots=True)
class CommandRead:
    """A command for this charging point came in, from any Central."""

    command: Command


@attrs.frozen(slots=True)
class ConfirmationsRead:
    """Central `central_id` says that it has stored these records."""

    central_id: str
    session_ids: tuple[str, ...]


@attrs.frozen(slots=True)
class BeaconRead:
    """A Central says that it is there."""

    beacon: Beacon


@attrs.frozen(slots=True)
class CentralNamed:
    """A PING of `peer` named the Central that the monitor is registered with.

    `is_settled`: it came on the connection that has long been there.
    """

    central_id: str
    peer: str
    is_settled: bool


@attrs.frozen(slots=True)
class Ticked:
    """It is time to look at the clock.

    `connected`: the reader of commands knows its place and the broker answers.  `logs_lost_count`:
    how often it found that the broker had lost its data, and took a new place.
    """

    connected: bool
    logs_lost_count: int = 0


@attrs.frozen(slots=True)
class ReadFailed:
    """These records could not be read, and were not sent; `reason` in words."""

    session_ids: tuple[str, ...]
    reason: str


@attrs.frozen(slots=True)
class RecordsGone:
    """These records are no longer on disk: they were let go after their time.

    `unreadable`: they can't be read, or are not there, though nobody let them go.
    """

    session_ids: tuple[str, ...]
    unreadable: bool = False


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
    | SaveFailed
    | ReadFailed
    | RecordsGone
    | StopAsked
)


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


@attrs.frozen(slots=True)
class SendRecords:
    """Read these records from disk and produce each on `cp.sessions`.

    Where that fails the core is told `ReadFailed` when the list is done and no save is awaited;
    `RecordsGone` tells of those that are not there.
    """

    session_ids: tuple[str, ...]


@attrs.frozen(slots=True)
class Exit:
    """Everything is saved and said: flush, and end with code 0."""


Effect = Save | SendRecords | Send | Note | Exit
