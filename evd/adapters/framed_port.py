"""A port of frames for thousands of connections, all of which one task hears and answers.

A connection has its turn when something of it comes in: a bounded number of its frames are handed
over, and all others that are ready have theirs before its next one.  So who sends much at once is
slowed, and delays nobody else.
"""

import contextlib
import itertools
import logging
import socket
from collections import deque
from collections.abc import Sequence
from typing import Final, Protocol

import trio

from evd.adapters import tls
from evd.adapters.accepting import BurstListener, accept_bursts
from evd.adapters.framed_socket import READY_MAX, FramedSocket, SocketSet
from evd.adapters.tcp import (
    KEEPALIVE,
    SEND_TIMEOUT_S,
    SPEAKS_TLS,
    Places,
    accept_framed,
    framed_of,
)
from evd.core.deadlines import Deadlines
from evd.core.stall import StallWatch
from evd.core.wire.framing import BadFrame

# Frames of one connection that are handed over in one turn of it.
FRAMES_A_TURN: Final = 16
# Among so many connections others become ready within HEAR_PAUSE_S after a turn, and a turn costs
# as much as two frames; a few are heard at once.
CROWD_MIN: Final = 500
HEAR_PAUSE_S: Final = 0.002
# Between two looks for those that are silent, or do not read.
LOOK_S: Final = 0.25
# A peer that was hung up on has so long to read the last answer.
END_S_MAX: Final = 1.0
# A connection over the bound has so long to send a first frame before it is turned away, and at a
# time there are so many of them: more are just closed.
TURN_AWAY_S: Final = 1.0
TURNED_AWAY_MAX: Final = 1_000

logger = logging.getLogger(__name__)


class Caller(FramedSocket):
    """A connection that a port serves, with a number of its own."""

    def __init__(
        self, raw: socket.socket, peer: str, number: int, port: "FramedPort", *, has_place: bool
    ) -> None:
        super().__init__(raw, peer)
        self.number = number
        self.has_place = has_place
        # The frames that were read and not handed over yet: those of one read at the most.
        self.frames = deque[bytes | BadFrame]()
        self.is_held = self.is_ending = False
        self.heard_s = trio.current_time()
        # When the peer was first found not to take what was sent.
        self.unsent_s = 0.0
        self._port = port

    def say(self, data: bytes) -> None:
        """Send `data` as one frame; a peer that does not take it in time is hung up on."""
        if not self.is_ending:
            self._port.say(self, data)

    def hold(self) -> None:
        """Hand over nothing of it, and read no more."""
        self.is_held = True

    def go_on(self) -> None:
        """Take it up again."""
        if self.is_held:
            self.is_held = False
            self._port.arrange(self)

    def hang_up(self) -> None:
        """Hand over nothing more of it, and close it once it has read all that was said."""
        self._port.hang_up(self)


class Host(Protocol):
    """Speaks with the callers of a port.  Each call is short, and never waits."""

    def greet(self, caller: Caller) -> bool:
        """A connection has begun; False: it is closed at once."""

    def hear(self, caller: Caller, frame: bytes | BadFrame) -> None:
        """A frame of it came in."""

    def part(self, caller: Caller) -> None:
        """Nothing more comes of it; the last call about one that was greeted."""

    def turn_away(self, caller: Caller, frame: bytes | BadFrame | None) -> None:
        """There is no place for it: say so.  Its first `frame` is all that is heard of it."""


class FramedPort:
    """The connections of one port.

    One that says nothing for `silence_s_max` is closed.  Those that come while there is no place
    are turned away, TURNED_AWAY_MAX at a time.
    """

    def __init__(self, host: Host, places: Places, *, silence_s_max: float) -> None:
        self._host = host
        self._places = places
        self._silence_s_max = silence_s_max
        self._callers = SocketSet[Caller]()
        self._numbers = itertools.count(1)
        self._looks = Deadlines[Caller]()
        self._stall = StallWatch()
        # Those that have frames left, in the order of their turns.
        self._unfinished: dict[Caller, None] = {}
        self._has_unfinished = trio.Event()
        self._turned_away = 0

    async def serve(self, listeners: Sequence[trio.abc.Listener[trio.abc.Stream]]) -> None:
        """Serve until cancelled; then every connection is closed, and every listener."""
        bursts = [each for each in listeners if isinstance(each, BurstListener)]
        try:
            async with trio.open_nursery() as nursery:
                for each in bursts:
                    nursery.start_soon(self._accept, each)
                others = [each for each in listeners if not isinstance(each, BurstListener)]
                accept_framed(others, self._welcome, nursery)
                nursery.start_soon(self._hear_ready)
                nursery.start_soon(self._finish)
                nursery.start_soon(self._look)
        finally:
            self._callers.close()

    async def _accept(self, listener: BurstListener) -> None:
        """Serve those that come without TLS: none of them needs a task to begin in."""
        await accept_bursts(listener, self._take_new, what="framed connections", logger=logger)

    def _take_new(self, raw: socket.socket, peer: str) -> None:
        # One that was reset already raises here; the first read of it tells so.
        with contextlib.suppress(OSError):
            for (level, option), value in KEEPALIVE.items():
                raw.setsockopt(level, option, value)
        self.take(raw, peer)

    async def _welcome(self, stream: trio.abc.Stream) -> None:
        framed = framed_of(stream)
        has_place = self._find_place(framed.peer)
        if has_place is None:
            await framed.aclose_forcefully()
            return
        raw = None
        try:
            raw = await tls.begin_apart(stream)
        except tls.HandshakeFailed as error:
            self._places.tell_not_begun(framed.peer, error)
        except trio.BrokenResourceError:
            # It only looked, or has just left.
            pass
        finally:
            if raw is None:
                self._give_back(has_place=has_place)
                await framed.aclose_forcefully()
        if raw is not None:
            self._begin(raw, framed.peer, has_place=has_place)

    def take(self, raw: socket.socket, peer: str) -> None:
        """Serve a connection, or turn it away."""
        has_place = self._find_place(peer)
        if has_place is None:
            raw.close()
        else:
            self._begin(raw, peer, has_place=has_place)

    def _find_place(self, peer: str) -> bool | None:
        """Take a place; False: one among those that are turned away; None: not even that."""
        if self._places.take(peer):
            return True
        if self._turned_away >= TURNED_AWAY_MAX:
            return None
        self._turned_away += 1
        return False

    def _give_back(self, *, has_place: bool) -> None:
        if has_place:
            self._places.give_back()
        else:
            self._turned_away -= 1

    def _begin(self, raw: socket.socket, peer: str, *, has_place: bool) -> None:
        caller = Caller(raw, peer, next(self._numbers), self, has_place=has_place)
        if has_place and not self._host.greet(caller):
            caller.close()
            self._give_back(has_place=True)
            return
        self._callers.add(caller)
        self._looks.by(caller, caller.heard_s + (self._silence_s_max if has_place else TURN_AWAY_S))

    async def _hear_ready(self) -> None:
        while True:
            count = 0
            ready = await self._callers.ready()
            now_s = trio.current_time()
            for caller, can_send in ready:
                count += 1
                if can_send:
                    self._flush(caller)
                elif caller.is_read:
                    self._read(caller, now_s)
                else:
                    # Neither was waited for: its peer is gone.
                    self._close(caller)
            if count < READY_MAX and len(self._callers) >= CROWD_MIN:
                await trio.sleep(HEAR_PAUSE_S)

    def _read(self, caller: Caller, now_s: float) -> None:
        frames = caller.read()
        if frames is None:
            if caller.spoke_tls:
                self._places.tell_not_begun(caller.peer, SPEAKS_TLS)
            self._close(caller)
            return
        if caller.is_finished:
            return
        if not caller.has_place:
            if frames:
                self._turn_away(caller, frames[0])
            return
        caller.heard_s = now_s
        if len(frames) == 1 and not (caller.frames or caller.is_held):
            # Nearly all come one by one.
            self._host.hear(caller, frames[0])
            self.arrange(caller)
        elif frames:
            caller.frames.extend(frames)
            self._serve(caller)

    def _turn_away(self, caller: Caller, frame: bytes | BadFrame | None) -> None:
        self._host.turn_away(caller, frame)
        caller.hang_up()

    def _serve(self, caller: Caller) -> None:
        """Hand over some of its frames."""
        for _ in range(FRAMES_A_TURN):
            if not caller.frames or caller.is_held or caller.has_unsent or caller.is_ending:
                break
            self._host.hear(caller, caller.frames.popleft())
        self.arrange(caller)

    async def _finish(self) -> None:
        """Serve those that had more frames than fit into one turn."""
        while True:
            await self._has_unfinished.wait()
            unfinished, self._unfinished = self._unfinished, {}
            self._has_unfinished = trio.Event()
            for caller in unfinished:
                self._serve(caller)
            await trio.lowlevel.checkpoint()

    def arrange(self, caller: Caller) -> None:
        """Wait for that of a caller which can be gone on with."""
        if caller.is_ending:
            self._end(caller)
            return
        is_free = not (caller.is_held or caller.has_unsent)
        if is_free and caller.frames:
            self._unfinished[caller] = None
            self._has_unfinished.set()
        self._await(caller, reads=is_free and not caller.frames)

    def _await(self, caller: Caller, *, reads: bool) -> None:
        self._callers.await_of(caller, reads=reads, sends=caller.has_unsent)

    def say(self, caller: Caller, data: bytes) -> None:
        """Send a frame to a caller."""
        had_unsent = caller.has_unsent
        # One that is over is met again by the next read of it.
        caller.send(data)
        if caller.has_unsent and not had_unsent:
            caller.unsent_s = trio.current_time()
            self._looks.by(caller, caller.unsent_s + SEND_TIMEOUT_S)
            self._await(caller, reads=False)

    def _flush(self, caller: Caller) -> None:
        if not caller.flush():
            self._close(caller)
            return
        if not caller.has_unsent:
            self.arrange(caller)

    def hang_up(self, caller: Caller) -> None:
        """Close a caller once all that was said to it is out."""
        if not caller.is_ending:
            self._part(caller)
            self._end(caller)

    def _part(self, caller: Caller) -> None:
        caller.is_ending = True
        caller.frames.clear()
        if caller.has_place:
            self._host.part(caller)

    def _end(self, caller: Caller) -> None:
        if caller.fileno() < 0 or caller.is_finished:
            return
        if caller.has_unsent:
            self._await(caller, reads=False)
            return
        caller.finish()
        caller.heard_s = trio.current_time()
        self._looks.by(caller, caller.heard_s + END_S_MAX)
        self._await(caller, reads=True)

    def _close(self, caller: Caller) -> None:
        if caller.fileno() < 0:
            return
        self._callers.drop(caller)
        self._looks.forget(caller)
        self._unfinished.pop(caller, None)
        self._give_back(has_place=caller.has_place)
        if not caller.is_ending:
            self._part(caller)

    async def _look(self) -> None:
        """Close those that are silent, and those that do not read."""
        self._stall.observe(trio.current_time())
        while True:
            await trio.sleep(LOOK_S)
            now_s = trio.current_time()
            if self._stall.observe(now_s):
                # This process stood still: nobody was silent but itself.
                for caller in self._callers:
                    caller.heard_s = caller.unsent_s = now_s
            for caller in self._looks.due(now_s):
                self._look_at(caller, now_s)

    def _look_at(self, caller: Caller, now_s: float) -> None:
        if caller.has_unsent:
            by_s = caller.unsent_s + SEND_TIMEOUT_S
        elif caller.is_finished:
            by_s = caller.heard_s + END_S_MAX
        elif not caller.has_place:
            self._turn_away(caller, None)
            return
        elif caller.is_held or caller.frames:
            # It waits for us.
            by_s = now_s + self._silence_s_max
        else:
            by_s = caller.heard_s + self._silence_s_max
        if by_s <= now_s:
            self._close(caller)
        else:
            self._looks.by(caller, by_s)
