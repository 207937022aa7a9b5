"""The order of what a monitor does, and the meaning of the frames on its two connections.

Nothing here waits: the daemon carries the steps out with Trio, the simulation on its own clock.
"""

from collections.abc import Iterable, Iterator
from typing import Final

import attrs

from evd.core.effects import Note
from evd.core.monitor.events import (
    CentralAnswered,
    Close,
    CountCheck,
    Dial,
    Effect,
    EngineAnswered,
    EngineGarbled,
    Finish,
    KeepAddress,
    Peer,
    SendPing,
    TellCentral,
)
from evd.core.wire import codec
from evd.core.wire.control import Pong, Register


@attrs.frozen(slots=True)
class SendFrame:
    """Send `data` as one frame on the connection to `peer`, if there is one."""

    peer: Peer
    data: bytes


Step = Close | Dial | SendFrame | KeepAddress | CountCheck | Note | Finish


@attrs.frozen
class Tokens:
    """The tokens that a monitor shows to Central, and to an engine beyond loopback."""

    central: str | None = attrs.field(default=None, repr=False)
    engine: str | None = attrs.field(default=None, repr=False)


NO_TOKENS: Final = Tokens()


def in_order(effects: Iterable[Effect], tokens: Tokens = NO_TOKENS) -> Iterator[Step]:
    """Yield the steps that carry out `effects`; a dial closes the connection before it first."""
    for effect in effects:
        match effect:
            case Dial(peer):
                yield Close(peer)
                yield effect
            case SendPing(message):
                ping = attrs.evolve(message, token=tokens.engine)
                yield SendFrame(Peer.ENGINE, codec.encode_control(ping))
            case TellCentral(message):
                if isinstance(message, Register):
                    message = attrs.evolve(message, token=tokens.central)
                yield SendFrame(Peer.CENTRAL, codec.encode_control(message))
            case Close() | KeepAddress() | Note() | CountCheck() | Finish():
                yield effect


def received(
    peer: Peer, connection: int, data: bytes
) -> EngineAnswered | EngineGarbled | CentralAnswered:
    """Return the event of a good frame; raises BadMessage where Central can't say this."""
    if peer is Peer.CENTRAL:
        return CentralAnswered(connection, codec.decode_central(data))
    try:
        message = codec.decode_health(data)
    except codec.BadMessage as error:
        return EngineGarbled(connection, str(error))
    if not isinstance(message, Pong):
        return EngineGarbled(connection, "type must be PONG")
    return EngineAnswered(connection, message)
