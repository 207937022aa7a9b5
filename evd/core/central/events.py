"""The events of Central, besides the messages that it reads from Kafka, and its effects.

A `call` is the number that the shell gave to one call of an operator or a program; its `Reply`
carries it, and `by` is the one who makes it.  A `connection` is the number that it gave to one
monitor's connection.
"""

from enum import StrEnum
from typing import TypeGuard, get_args

import attrs

from evd.core.access.events import AccessAsked, CallNoted, Told
from evd.core.access.roles import OPEN, Auth, Caller
from evd.core.central.rows import Row
from evd.core.effects import Note, Send
from evd.core.machine import Saved, SaveFailed
from evd.core.wire.control import FromCentral, FromMonitor, NackCode
from evd.core.wire.messages import CpStatus, DriverRequest, SessionRecord, Telemetry


@attrs.frozen(slots=True)
class CentralSettings:
    """Central's bounds as its flags give them: in seconds, and of how many charging points."""

    heartbeat_timeout_s: float = 3.0
    start_timeout_s: float = 5.0
    engine_gone_after_s: float = 30.0
    session_lost_after_s: float = 900.0
    restart_grace_s: float = 3.0
    cps_max: int = 20_000
    auth: Auth = Auth.OFF


@attrs.frozen(slots=True)
class Ticked:
    """A quarter of a second or so went by.  `broker_up`: Kafka was heard in the last 2 s."""

    broker_up: bool


@attrs.frozen(slots=True)
class Polled:
    """All that was read from Kafka in one go has been handed in."""


@attrs.frozen(slots=True)
class MonitorSaid:
    """A good frame came in, at the monotonic `at_s`; None: just now.  `address`: from where."""

    connection: int
    message: FromMonitor
    at_s: float | None = None
    address: str = ""


@attrs.frozen(slots=True)
class FrameRefused:
    """A frame (BAD_FRAME), or the object in it (BAD_FIELD), was bad; `seq` is its number, if any.

    `last`: it was one too many, and the connection ends with the answer to it.  `at_s` as above.
    """

    connection: int
    code: NackCode
    seq: int | None
    reason: str
    last: bool = False
    at_s: float | None = None


@attrs.frozen(slots=True)
class MonitorLeft:
    """A monitor's connection is closed."""

    connection: int


@attrs.frozen(slots=True)
class ChargeAsked:
    """A program asks for a charge (`cp_id` None: at any charging point) and will not repeat it."""

    call: int
    request_id: str
    driver_id: str
    cp_id: str | None
    by: Caller = OPEN


@attrs.frozen(slots=True)
class RequestEndAsked:
    """A request is to end: it is cancelled, or its session is stopped and billed."""

    call: int
    request_id: str
    by: Caller = OPEN


@attrs.frozen(slots=True)
class SessionStopAsked:
    """A session is to end and to be billed."""

    call: int
    session_id: str
    by: Caller = OPEN


@attrs.frozen(slots=True)
class JudgementAsked:
    """A suspect session is to be billed as it was recorded, or (`accept` false) at 0."""

    call: int
    session_id: str
    accept: bool
    by: Caller = OPEN


@attrs.frozen(slots=True)
class CpStopAsked:
    """A charging point is to go out of service."""

    call: int
    cp_id: str
    by: Caller = OPEN


@attrs.frozen(slots=True)
class CpResumeAsked:
    """A charging point is to be in service again."""

    call: int
    cp_id: str
    by: Caller = OPEN


@attrs.frozen(slots=True)
class CpShutdownAsked:
    """The engine that runs now at a charging point is to end its process."""

    call: int
    cp_id: str
    by: Caller = OPEN


@attrs.frozen(slots=True)
class CpRemovalAsked:
    """A charging point is to be taken off the list."""

    call: int
    cp_id: str
    by: Caller = OPEN


@attrs.frozen(slots=True)
class RecoveryAccepted:
    """The operator takes it that no more records come after a restore."""

    call: int
    by: Caller = OPEN


Asked = (
    ChargeAsked
    | RequestEndAsked
    | SessionStopAsked
    | JudgementAsked
    | CpStopAsked
    | CpResumeAsked
    | CpShutdownAsked
    | CpRemovalAsked
    | RecoveryAccepted
    | AccessAsked
)
_CALLS = frozenset(get_args(Asked))


def is_call(event: object) -> TypeGuard[Asked]:
    """Return whether somebody waits for a Reply to it; each of thousands a second is asked."""
    return type(event) in _CALLS


FromKafka = DriverRequest | CpStatus | Telemetry | SessionRecord
FromConnection = MonitorSaid | FrameRefused | MonitorLeft
Event = FromKafka | Polled | Ticked | FromConnection | Asked | CallNoted | Saved | SaveFailed


@attrs.frozen(slots=True)
class Save:
    """Write a row durably, over the one with its key.  The saves of one event are one commit."""

    row: Row


@attrs.frozen(slots=True)
class Answer:
    """Send this on a monitor's connection."""

    connection: int
    message: FromCentral


@attrs.frozen(slots=True)
class HangUp:
    """Close a monitor's connection."""

    connection: int


@attrs.frozen(slots=True)
class PutAside:
    """Send this very event to the dead letters: it says `error` wrong; nothing of it was taken."""

    message: FromKafka
    error: str


@attrs.frozen(slots=True)
class TelemetryRefused:
    """Count a reading that can't be; nothing of it was taken."""

    cp_id: str


@attrs.frozen(slots=True)
class WouldRefuse:
    """Count one that was taken and would not be with --auth required; `what` is its kind."""

    what: str


class Refusal(StrEnum):
    """Why a call is refused: no such id, it can't be done as things are, or not just now."""

    UNKNOWN = "UNKNOWN"
    CONFLICT = "CONFLICT"
    UNAVAILABLE = "UNAVAILABLE"


@attrs.frozen(slots=True)
class Accepted:
    """A call's wish is stored, and will be done if it is not done yet; `told`: what came of it."""

    told: Told | None = None


@attrs.frozen(slots=True)
class Refused:
    """A call changes nothing; `reason` is a sentence, `field` names what is wrong in the call."""

    refusal: Refusal
    reason: str
    field: str | None = None


@attrs.frozen(slots=True)
class Reply:
    """The answer to a call."""

    call: int
    answer: Accepted | Refused


Effect = Save | Send | Note | Answer | HangUp | Reply | PutAside | TelemetryRefused | WouldRefuse
