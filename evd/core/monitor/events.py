"""The events that a monitor's core understands, and the effects that it returns.

A `connection` is the number that the core gave with its dial; events of an older connection are
ignored.
"""

from enum import StrEnum

import attrs

from evd.core.effects import Note
from evd.core.wire.control import FromCentral, MonitorMessage, Ping, Pong


class Peer(StrEnum):
    """The two programs that a monitor talks to, as its log names them."""

    ENGINE = "the engine"
    CENTRAL = "Central"


@attrs.frozen(slots=True)
class Ticked:
    """Time went by: at the latest at `Monitor.wake_at_s`."""


@attrs.frozen(slots=True)
class Connected:
    """The port of `peer` took the connection."""

    peer: Peer
    connection: int


@attrs.frozen(slots=True)
class Lost:
    """The dial failed, or the connection to `peer` ended; `refused`: nothing listens there."""

    peer: Peer
    connection: int
    reason: str
    refused: bool = False


@attrs.frozen(slots=True)
class EngineAnswered:
    """The engine sent a PONG."""

    connection: int
    pong: Pong


@attrs.frozen(slots=True)
class EngineGarbled:
    """The engine sent a good frame that is no PONG as it must be; `reason` names the field."""

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


Event = Ticked | Connected | Lost | EngineAnswered | EngineGarbled | CentralAnswered | StopAsked


class CheckResult(StrEnum):
    """The result of a health check, as its counter names it."""

    PASSED = "passed"
    REFUSED = "refused"
    TIMEOUT = "timeout"
    LOST = "lost"
    WRONG_CP = "wrong_cp"
    GARBLED = "garbled"


@attrs.frozen(slots=True)
class Dial:
    """Connect to `peer`; the connection before is closed first, and nothing more heard of it.

    `address` is one of Central's, `host:port`; an engine has one place alone.
    """

    peer: Peer
    connection: int
    address: str = ""


@attrs.frozen(slots=True)
class Close:
    """Close the connection to `peer` at once, if there is one."""

    peer: Peer


@attrs.frozen(slots=True)
class SendPing:
    """Send a PING on the present connection to the engine."""

    message: Ping


@attrs.frozen(slots=True)
class TellCentral:
    """Send a message on the present connection to Central."""

    message: MonitorMessage


@attrs.frozen(slots=True)
class KeepAddress:
    """Remember over a restart that Central serves at `address`; a loss of it costs nothing."""

    address: str


@attrs.frozen(slots=True)
class CountCheck:
    """Count a health check that ended."""

    result: CheckResult


@attrs.frozen(slots=True)
class Finish:
    """End the process: nothing is left to do."""


Effect = Dial | Close | SendPing | TellCentral | KeepAddress | CountCheck | Note | Finish
