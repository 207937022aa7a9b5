"""What can happen to a monitor, and what it wants done about it.

A `connection` is the number that the monitor gave when it asked to be connected; what an older
one still has to say is ignored.
"""

from enum import StrEnum

import attrs

from evd.core.effects import Note
from evd.core.wire.control import FromCentral, MonitorMessage, Ping, Pong


@attrs.frozen(slots=True)
class Ticked:
    """Time went by; at least this happens until `Monitor.wake_at_s`."""


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
    """A PONG came."""

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
    """An ACK or a NACK came."""

    connection: int
    answer: FromCentral


@attrs.frozen(slots=True)
class StopAsked:
    """The operator wants the monitor to end; `reason` is what Central will be told."""

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
    """How a health check ended."""

    PASSED = "passed"
    REFUSED = "refused"
    TIMEOUT = "timeout"
    LOST = "lost"
    WRONG_CP = "wrong_cp"


@attrs.frozen(slots=True)
class DialEngine:
    """Close what there was, and connect to the engine's health port."""

    connection: int


@attrs.frozen(slots=True)
class SendPing:
    """Ask the engine on the present connection."""

    message: Ping


@attrs.frozen(slots=True)
class DialCentral:
    """Close what there was, and connect to Central."""

    connection: int


@attrs.frozen(slots=True)
class CloseCentral:
    """Close the connection to Central."""


@attrs.frozen(slots=True)
class TellCentral:
    """Send on the present connection to Central."""

    message: MonitorMessage


@attrs.frozen(slots=True)
class CountCheck:
    """A health check ended."""

    result: CheckResult


@attrs.frozen(slots=True)
class Finish:
    """Nothing is left to be done: end."""


Effect = (
    DialEngine | SendPing | DialCentral | CloseCentral | TellCentral | CountCheck | Note | Finish
)
