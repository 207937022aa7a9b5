"""The messages on Kafka: one frozen class each.

Each is checked when it is made and when it is read.

`TOPICS` names the class that each topic carries.  `ts` and `message_id` are stamped by who sends;
a reader needs neither.
"""

from datetime import datetime
from enum import StrEnum

import attrs

from evd.core.wire.fields import (
    FieldError,
    bill_field,
    choice_field,
    count_field,
    cp_id_field,
    euros_field,
    flag_field,
    id_field,
    kw_field,
    kwh_field,
    number_field,
    object_field,
    text_field,
    time_field,
)

BEACONS = "central.beacons"
REQUESTS = "driver.requests"
UPDATES = "driver.updates"
COMMANDS = "central.commands"
STATUS = "cp.status"
TELEMETRY = "cp.telemetry"
SESSIONS = "cp.sessions"
DEAD_LETTERS = "evd.dead-letters"


class Action(StrEnum):
    """The wish of a driver's message."""

    START = "START"
    STOP = "STOP"
    CANCEL = "CANCEL"


class RequestStatus(StrEnum):
    """Where a request stands; the last three are final.  PENDING is never sent to a driver."""

    PENDING = "PENDING"
    ACCEPTED = "ACCEPTED"
    IN_PROGRESS = "IN_PROGRESS"
    COMPLETED = "COMPLETED"
    DENIED = "DENIED"
    FAILED = "FAILED"

    @property
    def final(self) -> bool:
        """Whether nothing comes after it."""
        return self in FINAL


FINAL = frozenset({RequestStatus.COMPLETED, RequestStatus.DENIED, RequestStatus.FAILED})


class CpState(StrEnum):
    """The state of an engine's machine."""

    DISCONNECTED = "DISCONNECTED"
    ACTIVATED = "ACTIVATED"
    SUPPLYING = "SUPPLYING"
    STOPPED = "STOPPED"
    FAULT = "FAULT"


class Outcome(StrEnum):
    """How a session ended."""

    COMPLETED = "COMPLETED"
    FAILED = "FAILED"


@attrs.frozen(slots=True, kw_only=True)
class Message:
    """The stamps that every Kafka message may carry besides its own fields."""

    ts: datetime | None = time_field(optional=True)
    message_id: str | None = id_field(optional=True)


@attrs.frozen(slots=True)
class Beacon(Message):
    """Central is there: its id, the number of its start, its uptime in seconds."""

    central_id: str = id_field()
    epoch: int = count_field()
    up_s: float = number_field()


@attrs.frozen(slots=True)
class Seen:
    """The newest beacon that a driver had read when it asked."""

    central_id: str = id_field()
    epoch: int = count_field()
    up_s: float = number_field()


@attrs.frozen(slots=True)
class DriverRequest(Message):
    """A driver asks for a charge (`cp_id` null: at any charging point), or for its end."""

    request_id: str = id_field()
    driver_id: str = id_field()
    cp_id: str | None = cp_id_field(null=True)
    action: Action = Action.START
    seen: Seen | None = object_field(Seen, optional=True)
    vehicle_id: str | None = id_field(optional=True)

    def __attrs_post_init__(self) -> None:
        if self.action is Action.START and self.seen is None:
            raise FieldError("seen", "is missing: a START names the newest beacon that was read")


@attrs.frozen(slots=True)
class DriverUpdate(Message):
    """News for a driver about its request."""

    request_id: str = id_field()
    driver_id: str = id_field()
    cp_id: str | None = cp_id_field(null=True)
    status: RequestStatus = choice_field(RequestStatus)
    reason: str = text_field()
    session_id: str | None = id_field(optional=True)
    kw: float | None = kw_field(optional=True)
    kwh: float | None = kwh_field(optional=True)
    euros: float | None = euros_field(optional=True)


@attrs.frozen(slots=True)
class StartSupply:
    """Begin a session, if this is boot `boot_id` and its uptime is not past `until_up_s`."""

    session_id: str = id_field()
    request_id: str = id_field()
    driver_id: str = id_field()
    boot_id: str = id_field()
    until_up_s: float = number_field()


@attrs.frozen(slots=True)
class StopSupply:
    """End a session, or say that it never began.  `bill`: whether its record is a bill."""

    session_id: str = id_field()
    request_id: str = id_field()
    driver_id: str = id_field()
    boot_id: str = id_field()
    reason: str = text_field()
    bill: bool = flag_field()


@attrs.frozen(slots=True, kw_only=True)
class CpOrder:
    """An order that is good for boot `boot_id` until its uptime `until_up_s`.

    A Central of the release before names neither.
    """

    boot_id: str | None = id_field(optional=True)
    until_up_s: float | None = number_field(optional=True)

    def __attrs_post_init__(self) -> None:
        if (self.boot_id is None) != (self.until_up_s is None):
            missing, other = "boot_id", "until_up_s"
            if self.boot_id is not None:
                missing, other = other, missing
            raise FieldError(missing, f"is missing: it goes with {other}")


@attrs.frozen(slots=True)
class StopCp(CpOrder):
    """Take the charging point out of service; a running session ends with its record first."""

    reason: str = text_field()


@attrs.frozen(slots=True)
class ResumeCp(CpOrder):
    """Put the charging point back into service."""


@attrs.frozen(slots=True)
class Shutdown:
    """End the process of boot `boot_id`, as SIGTERM does."""

    boot_id: str = id_field()


@attrs.frozen(slots=True)
class SessionRecorded:
    """Central has stored the record of this session."""

    session_id: str = id_field()


Payload = StartSupply | StopSupply | StopCp | ResumeCp | Shutdown | SessionRecorded

PAYLOADS: dict[str, type[Payload]] = {
    "START_SUPPLY": StartSupply,
    "STOP_SUPPLY": StopSupply,
    "STOP_CP": StopCp,
    "RESUME_CP": ResumeCp,
    "SHUTDOWN": Shutdown,
    "SESSION_RECORDED": SessionRecorded,
}
COMMAND_NAMES: dict[type[Payload], str] = {cls: name for name, cls in PAYLOADS.items()}


@attrs.frozen(slots=True)
class Command(Message):
    """An order of Central for an engine; on the wire `cmd` names the class of the payload."""

    cp_id: str = cp_id_field()
    central_id: str = id_field()
    payload: Payload = object_field(Payload)


@attrs.frozen(slots=True)
class CpStatus(Message):
    """An engine's whole state; `(boot_id, seq)` orders its reports, `up_s` is its uptime.

    `leaving` is true while this engine stops on purpose.
    """

    cp_id: str = cp_id_field()
    boot_id: str = id_field()
    seq: int = count_field()
    up_s: float = number_field()
    state: CpState = choice_field(CpState)
    unconfirmed: int = count_field()
    reason: str = text_field()
    central_id: str | None = id_field(optional=True)
    session_id: str | None = id_field(optional=True)
    request_id: str | None = id_field(optional=True)
    driver_id: str | None = id_field(optional=True)
    kwh: float | None = kwh_field(optional=True)
    euros: float | None = euros_field(optional=True)
    leaving: bool | None = flag_field(optional=True)


@attrs.frozen(slots=True)
class Telemetry(Message):
    """The meter of a running session: power in kW, energy in kWh, cost so far in euros.

    `seq` is that of the engine's newest report.
    """

    cp_id: str = cp_id_field()
    boot_id: str = id_field()
    session_id: str = id_field()
    driver_id: str = id_field()
    kw: float = kw_field()
    kwh: float = kwh_field()
    euros: float = euros_field()
    seq: int | None = count_field(optional=True)


@attrs.frozen(slots=True)
class SessionRecord(Message):
    """How a session ended, kept and repeated by its engine until Central has stored it.

    `started_at` null: it never began.  `fault`: the charging point's own failure.
    `bill`: false where its STOP_SUPPLY said so.
    """

    session_id: str = id_field()
    request_id: str = id_field()
    cp_id: str = cp_id_field()
    driver_id: str = id_field()
    boot_id: str = id_field()
    started_at: datetime | None = time_field(null=True)
    ended_at: datetime = time_field()
    kwh: float = kwh_field()
    euros: float = bill_field()
    outcome: Outcome = choice_field(Outcome)
    reason: str = text_field()
    fault: bool = flag_field()
    bill: bool = flag_field()


TOPICS: dict[str, type[Message]] = {
    BEACONS: Beacon,
    REQUESTS: DriverRequest,
    UPDATES: DriverUpdate,
    COMMANDS: Command,
    STATUS: CpStatus,
    TELEMETRY: Telemetry,
    SESSIONS: SessionRecord,
}
