"""The events that a monitor's core understands, and the effects that it returns.

A `connection` is the number that the core gave with its dial; events of an older connection are
ignored.
"""

from enum import StrEnum

import attrs

from evd.core.effects import Note
from evd.core.wire.control import FromCentral, MonitorMessage, Ping, Pong


@attrs.frozen(slots=True)
class Ticked:
    """Time went by: at the latest at `Monitor.wake_at_s`."""


@attrs.frozen(slots=True)
class EngineConnected:
    """The engine's health port took the connection."""

    connection: int


@attrs.frozen(slots=True)
class EngineLost:
    """There is no connection to the engine, or no longer; `refused`: nothing listens there."""

    connection: int
    reason: str
    refused: bool = False


@attrs.frozen(slots=True)
class EngineAnswered:
    """The engine sent a PONG."""

    connection: int
    pong: Pong


@attrs.frozen(slots=True)
class CentralConnected:
    """Central's port took the connection."""

    connection: int


@attrs.frozen(slots=True)
class CentralLost:
    """There is no connection to Central, or no longer."""

    connection: int
    reason: str


@attrs.frozen(slots=True)
class CentralAnswered:
    """Central sent an ACK or a NACK."""

    connection: int
    answer: FromCentral


@attrs.frozen(slots=True)
class StopAsked:
    """The operator wants the monitor to end; Central is told `reason`."""

    reason: str


Event = (
    Ticked
    | EngineConnected
    | EngineLost
    | EngineAnswered
    | CentralConnected
    | CentralLost
    | CentralAnswered
    | StopAsked
)


class CheckResult(StrEnum):
    """The result of a health check, as its counter names it."""

    PASSED = "passed"
    REFUSED = "refused"
    TIMEOUT = "timeout"
    LOST = "lost"
    WRONG_CP = "wrong_cp"


@attrs.frozen(slots=True)
class DialEngine:
    """Close the connection to the engine, if any, and dial its health port."""

    connection: int


@attrs.frozen(slots=True)
class SendPing:
    """Send a PING on the present connection to the engine."""

    message: Ping


@attrs.frozen(slots=True)
class DialCentral:
    """Close the connection to Central, if any, and dial it."""

    connection: int


@attrs.frozen(slots=True)
class CloseCentral:
    """Close the connection to Central."""


@attrs.frozen(slots=True)
class TellCentral:
    """Send a message on the present connection to Central."""

    message: MonitorMessage


@attrs.frozen(slots=True)
class CountCheck:
    """Count a health check that ended."""

    result: CheckResult


@attrs.frozen(slots=True)
class Finish:
    """End the process: nothing is left to do."""


Effect = (
    DialEngine | SendPing | DialCentral | CloseCentral | TellCentral | CountCheck | Note | Finish
)
