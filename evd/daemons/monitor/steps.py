"""The order of what a monitor does, and the meaning of the frames on its two connections.

Nothing here waits: the daemon carries the steps out with Trio, the simulation on its own clock.
"""

from collections.abc import Iterable, Iterator
from enum import StrEnum

import attrs

from evd.core.effects import Note
from evd.core.monitor.events import (
    CentralAnswered,
    CentralConnected,
    CentralLost,
    CloseCentral,
    CountCheck,
    DialCentral,
    DialEngine,
    Effect,
    EngineAnswered,
    EngineConnected,
    EngineLost,
    Event,
    Finish,
    SendPing,
    TellCentral,
)
from evd.core.wire import codec
from evd.core.wire.control import Pong


class Peer(StrEnum):
    """The two programs that a monitor talks to, as its log names them."""

    ENGINE = "the engine"
    CENTRAL = "Central"


@attrs.frozen(slots=True)
class Close:
    """Close the connection to `peer` at once, if there is one, and hear nothing more of it."""

    peer: Peer


@attrs.frozen(slots=True)
class Dial:
    """Connect to `peer`; the connection has the number `connection`."""

    peer: Peer
    connection: int


@attrs.frozen(slots=True)
class SendFrame:
    """Send `data` as one frame on the connection to `peer`, if there is one."""

    peer: Peer
    data: bytes


Step = Close | Dial | SendFrame | CountCheck | Note | Finish


def in_order(effects: Iterable[Effect]) -> Iterator[Step]:
    """Yield the steps that carry out `effects`; a dial closes the connection before it first."""
    for effect in effects:
        match effect:
            case DialEngine(connection):
                yield Close(Peer.ENGINE)
                yield Dial(Peer.ENGINE, connection)
            case DialCentral(connection):
                yield Close(Peer.CENTRAL)
                yield Dial(Peer.CENTRAL, connection)
            case CloseCentral():
                yield Close(Peer.CENTRAL)
            case SendPing(message):
                yield SendFrame(Peer.ENGINE, codec.encode_control(message))
            case TellCentral(message):
                yield SendFrame(Peer.CENTRAL, codec.encode_control(message))
            case Note() | CountCheck() | Finish():
                yield effect


def connected(peer: Peer, connection: int) -> Event:
    """Return the event of a dial that succeeded."""
    return (EngineConnected if peer is Peer.ENGINE else CentralConnected)(connection)


def lost(peer: Peer, connection: int, reason: str, *, refused: bool = False) -> Event:
    """Return the event of a dial that failed or a connection that ended.

    `refused`: nothing listens on the peer's port.
    """
    if peer is Peer.ENGINE:
        return EngineLost(connection, reason, refused)
    return CentralLost(connection, reason)


def received(peer: Peer, connection: int, data: bytes) -> Event:
    """Return the event of a good frame; raises BadMessage where `peer` can't say this."""
    if peer is Peer.CENTRAL:
        return CentralAnswered(connection, codec.decode_central(data))
    message = codec.decode_health(data)
    if not isinstance(message, Pong):
        raise codec.BadMessage("type", "must be PONG")
    return EngineAnswered(connection, message)
