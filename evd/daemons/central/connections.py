"""Central's side of the monitors' connections: frames in, events out, answers back."""

import logging
import math
from collections.abc import Callable
from typing import Any, cast

import attrs
import trio

from evd.adapters.framed_port import Caller
from evd.adapters.tcp import decode_object
from evd.core.central.events import Answer, FrameRefused, HangUp, MonitorLeft, MonitorSaid
from evd.core.wire import codec
from evd.core.wire.control import FromMonitor, Heartbeat, Nack, NackCode
from evd.core.wire.fields import COUNT_MAX, CP_ID_FORM
from evd.core.wire.framing import BadFrame, BadFrameStreak
from evd.core.wire.restated import MonitorReader
from evd.daemons.central.inbox import Inbox
from evd.daemons.central.standing import Standing
from evd.logs import Repeats

# Frames of one connection that wait for the loop: beyond them it is read no further, so who sends
# more is slowed.
ANSWERS_WAITING_MAX = 64
# Those of all connections; beyond them each connection may have one.
ALL_ANSWERS_WAITING_MAX = 10_000
# A monitor without a place comes back every few seconds: after so long without one all have theirs.
FULL_S = 10.0
REPEAT_S = 60.0

logger = logging.getLogger(__name__)


@attrs.define(slots=True, eq=False)
class _Monitor:
    """One connection, how many of its frames wait for the loop, and whether that knows of it."""

    caller: Caller
    address: str
    is_served: bool
    waiting: int = 0
    reader: MonitorReader = attrs.Factory(MonitorReader)
    streak: BadFrameStreak = attrs.Factory(BadFrameStreak)


class Connections:
    """The open connections of monitors, by number.

    A connection is served if `is_serving`.  Else it is kept until `serve`, if `standing` says that
    this comes soon, or sent on to another Central.  `acknowledge` returns Central's id for the ACK
    of a heartbeat that says nothing new, which is sent at once.  `count` is told of each NACK to
    one that is not served.
    """

    def __init__(
        self,
        inbox: Inbox,
        is_serving: Callable[[], bool],
        acknowledge: Callable[[int, Heartbeat], str | None],
        count: Callable[[Nack], None],
        standing: Standing,
    ) -> None:
        self._inbox = inbox
        self._is_serving = is_serving
        self._acknowledge = acknowledge
        self._count = count
        self._standing = standing
        # Those that came a moment before it served.
        self._early: list[Caller] = []
        self._monitors: dict[int, _Monitor] = {}
        # The frames of all of them that wait for the loop.
        self._waiting = 0
        self._repeats = Repeats(REPEAT_S, clock=trio.current_time)
        self._full_s = -math.inf

    @property
    def count(self) -> int:
        """How many connections are open and served."""
        return len(self._monitors)

    def is_open(self, number: int) -> bool:
        """Return whether a connection is open and served."""
        return number in self._monitors

    def greet(self, caller: Caller) -> bool:
        """Serve a connection, or have it closed."""
        is_serving = self._is_serving()
        if not is_serving and self._standing.serves_soon():
            caller.hold()
            self._early.append(caller)
        elif not is_serving and not self._standing.why_silent():
            return False
        address = caller.peer.rpartition(":")[0]
        # Where this Central may say nothing now, it is sent on at its first word.
        is_served = is_serving and not self._standing.why_silent()
        self._monitors[caller.number] = _Monitor(caller, address, is_served)
        return True

    def serve(self) -> None:
        """Take up the connections that came a moment before this Central served."""
        early, self._early = self._early, []
        for caller in early:
            caller.go_on()

    def hear(self, caller: Caller, frame: bytes | BadFrame) -> None:
        """Answer a heartbeat without news, or send it on; anything else is for the loop."""
        monitor = self._monitors[caller.number]
        fields = frame if isinstance(frame, BadFrame) else decode_object(frame)
        if not self._is_serving() or (not monitor.is_served and self._standing.why_silent()):
            self._send_on(caller, fields)
            return
        monitor.is_served = True
        if isinstance(fields, BadFrame):
            self._on_bad(monitor, fields)
            return
        monitor.streak.good()
        try:
            message = monitor.reader.read(fields)
        except codec.BadMessage as error:
            code, seq = NackCode.BAD_FIELD, _seq_of(fields)
            at_s = trio.current_time()
            self._post(monitor, FrameRefused(caller.number, code, seq, str(error), at_s=at_s))
            return
        # A frame before this one that still waits is heard and answered first.
        if isinstance(message, Heartbeat) and not monitor.waiting:
            central_id = self._acknowledge(caller.number, message)
            if central_id is not None:
                caller.say(codec.encode_ack(message.seq, central_id))
                return
        said = cast(FromMonitor, message)
        at_s = trio.current_time()
        self._post(monitor, MonitorSaid(caller.number, said, at_s, monitor.address))

    def _on_bad(self, monitor: _Monitor, frame: BadFrame) -> None:
        """Have the loop answer a bad frame, which may be one too many."""
        caller, last = monitor.caller, monitor.streak.bad()
        if last:
            text = "%s sends nothing but bad frames: hung up"
            self._repeats.log(logger, logging.WARNING, monitor.address, text, caller.peer)
        why, at_s = f"bad frame: {frame.reason}", trio.current_time()
        refused = FrameRefused(caller.number, NackCode.BAD_FRAME, None, why, last, at_s)
        self._post(monitor, refused)

    def _post(self, monitor: _Monitor, event: MonitorSaid | FrameRefused) -> None:
        """Hand a frame to the loop; where enough of them wait, or it was the last, read no more."""
        monitor.waiting += 1
        self._waiting += 1
        is_last = isinstance(event, FrameRefused) and event.last
        if is_last or not self._may_go_on(monitor):
            monitor.caller.hold()
        self._inbox.post(event)

    def part(self, caller: Caller) -> None:
        """Take it in that a connection is over."""
        monitor = self._monitors.pop(caller.number)
        self._waiting -= monitor.waiting
        if monitor.is_served:
            self._inbox.post(MonitorLeft(caller.number))

    def _send_on(self, caller: Caller, fields: dict[str, Any] | BadFrame) -> None:
        """Send a monitor to the Central that serves, if there is another one."""
        if why := self._standing.why_silent():
            if (cp_id := _cp_id_of(fields)) is not None:
                self._standing.on_dialled(cp_id)
            self._refuse(caller, fields, NackCode.STANDING_BY, why)
        caller.hang_up()

    def _may_go_on(self, monitor: _Monitor) -> bool:
        if self._waiting >= ALL_ANSWERS_WAITING_MAX:
            return not monitor.waiting
        return monitor.waiting < ANSWERS_WAITING_MAX

    def answer(self, effect: Answer) -> None:
        """Answer a frame that has waited for the loop."""
        monitor = self._monitors.get(effect.connection)
        if monitor is None:
            return
        monitor.waiting -= 1
        self._waiting -= 1
        monitor.caller.say(codec.encode_control(effect.message))
        if monitor.streak.length < monitor.streak.limit and self._may_go_on(monitor):
            monitor.caller.go_on()

    def hang_up(self, effect: HangUp) -> None:
        """Close a connection once its answers are out."""
        monitor = self._monitors.get(effect.connection)
        if monitor is not None:
            monitor.caller.hang_up()

    def hang_up_all(self) -> None:
        """Close every connection: Central can't serve them now."""
        for monitor in [*self._monitors.values()]:
            monitor.caller.hang_up()

    def on_full(self) -> None:
        """Note that a connection found no place."""
        self._full_s = trio.current_time()

    def why_full(self) -> str | None:
        """Return why monitors find no place, if one found none of late."""
        is_full = trio.current_time() - self._full_s < FULL_S
        return "all of its places for connections are taken" if is_full else None

    def turn_away(self, caller: Caller, frame: bytes | BadFrame | None) -> None:
        """Answer a connection for which there is no place with NACK `full`."""
        fields = decode_object(frame) if isinstance(frame, bytes) else BadFrame("empty")
        why = "Central has no place for one more monitor"
        self._refuse(caller, fields, NackCode.FULL, why)

    def _refuse(
        self, caller: Caller, fields: dict[str, Any] | BadFrame, code: NackCode, why: str
    ) -> None:
        nack = Nack(_seq_of(fields), why, code=code)
        self._count(nack)
        caller.say(codec.encode_control(nack))


def _seq_of(fields: dict[str, Any] | BadFrame) -> int | None:
    seq = None if isinstance(fields, BadFrame) else fields.get("seq")
    return seq if type(seq) is int and 0 <= seq <= COUNT_MAX else None


def _cp_id_of(fields: dict[str, Any] | BadFrame) -> str | None:
    cp_id = None if isinstance(fields, BadFrame) else fields.get("cp_id")
    return cp_id if isinstance(cp_id, str) and CP_ID_FORM.fullmatch(cp_id) else None
