"""What can happen to Central, besides the messages that it reads from Kafka.

A `call` is the number that the shell gave to one HTTP call; its `Reply` carries it.  A
`connection` is the number that it gave to one monitor's TCP connection.
"""

from typing import Any

import attrs

from evd.core.wire.control import FromCentral, FromMonitor
from evd.core.wire.messages import CpStatus, DriverRequest, SessionRecord, Telemetry


@attrs.frozen(slots=True)
class Ticked:
    """A quarter of a second or so went by.  `broker_up`: Kafka was heard in the last 2 s."""

    broker_up: bool


@attrs.frozen(slots=True)
class Polled:
    """All that was read from Kafka in one go has been handed in."""


@attrs.frozen(slots=True)
class MonitorSaid:
    """A good frame came in."""

    connection: int
    message: FromMonitor


@attrs.frozen(slots=True)
class FrameRefused:
    """A frame, or the object in it, was bad; `seq` is its number where it has one.

    `last`: it was one too many, and the connection ends with the answer to it.
    """

    connection: int
    seq: int | None
    reason: str
    last: bool = False


@attrs.frozen(slots=True)
class MonitorLeft:
    """A monitor's connection is closed."""

    connection: int


@attrs.frozen(slots=True)
class ChargeAsked:
    """POST /request/charge; `request_id` is the caller's own or a new one."""

    call: int
    request_id: str
    driver_id: str
    cp_id: str | None


@attrs.frozen(slots=True)
class RequestEndAsked:
    """DELETE /requests/{request_id}: cancels it, or stops its session."""

    call: int
    request_id: str


@attrs.frozen(slots=True)
class SessionStopAsked:
    """POST /sessions/{session_id}/stop."""

    call: int
    session_id: str


@attrs.frozen(slots=True)
class CpStopAsked:
    """POST /cp/{cp_id}/stop."""

    call: int
    cp_id: str


@attrs.frozen(slots=True)
class CpResumeAsked:
    """POST /cp/{cp_id}/resume."""

    call: int
    cp_id: str


@attrs.frozen(slots=True)
class CpShutdownAsked:
    """POST /cp/{cp_id}/shutdown."""

    call: int
    cp_id: str


@attrs.frozen(slots=True)
class CpRemovalAsked:
    """DELETE /cp/{cp_id}."""

    call: int
    cp_id: str


@attrs.frozen(slots=True)
class RecoveryAccepted:
    """POST /recovery/accept: the operator ends the wait after a restore."""

    call: int


Asked = (
    ChargeAsked
    | RequestEndAsked
    | SessionStopAsked
    | CpStopAsked
    | CpResumeAsked
    | CpShutdownAsked
    | CpRemovalAsked
    | RecoveryAccepted
)
FromKafka = DriverRequest | CpStatus | Telemetry | SessionRecord
Event = FromKafka | Polled | Ticked | MonitorSaid | FrameRefused | MonitorLeft | Asked


@attrs.frozen(slots=True)
class Answer:
    """Say this on a monitor's connection."""

    connection: int
    message: FromCentral


@attrs.frozen(slots=True)
class HangUp:
    """Close a monitor's connection."""

    connection: int


@attrs.frozen(slots=True)
class Reply:
    """The answer to an HTTP call: its status, its JSON body (None: no body).

    `retry_after_s`: with a 503, when to ask again.
    """

    call: int
    status: int
    body: dict[str, Any] | None
    retry_after_s: int | None = None
