"""Accepts connections, also while this process has no free file for one more."""

import errno
import logging
import math
import os
import socket
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final, TypeVar

import trio

# Without a free file nothing can be accepted; the next try is after so long.
ACCEPT_PAUSE_S: Final = 0.1
# A shortage is over when for so long no accept has failed: near the limit one in two does.
SHORTAGE_OVER_S: Final = 2.0

# Connections that are accepted in one go.
ACCEPTED_MAX: Final = 64

_NO_FILES: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS})

# accept() fails so for a connection that is over already, as accept(2) says of Linux.
_OVER_ALREADY: Final = frozenset(
    {
        *(errno.ECONNABORTED, errno.EPERM, errno.EPROTO, errno.ENOPROTOOPT, errno.EOPNOTSUPP),
        *(errno.ENETDOWN, errno.EHOSTDOWN, errno.ENONET, errno.EHOSTUNREACH, errno.ENETUNREACH),
    }
)

# A connection, and the address of its peer.
Accepted = tuple[socket.socket, Any]

StreamT = TypeVar("StreamT", bound=trio.abc.Stream)


class BurstListener(trio.abc.Listener[trio.SocketStream]):
    """Takes all connections that wait, up to ACCEPTED_MAX, where Trio's own listener takes one for
    each turn of its loop: thousands that come at once would wait for seconds behind all else."""

    def __init__(self, listener: trio.SocketListener) -> None:
        self.socket = listener.socket
        # Trio's own socket waits in each call.
        self._raw = socket.socket(fileno=os.dup(self.socket.fileno()))
        self._taken = deque[socket.socket]()

    async def accept(self) -> trio.SocketStream:
        """The next connection.  Raises OSError where this process has no file left for it."""
        if not self._taken:
            self._taken.extend(raw for raw, _ in await self.accept_burst())
        return trio.SocketStream(trio.socket.from_stdlib_socket(self._taken.popleft()))

    async def accept_burst(self) -> list[Accepted]:
        """Wait for connections; those that wait by then, each with its peer.

        Raises OSError where this process has no file left for one.
        """
        taken: list[Accepted] = []
        while not taken:
            await trio.lowlevel.wait_readable(self._raw)
            self._take(taken)
        return taken

    def _take(self, taken: list[Accepted]) -> None:
        for _ in range(ACCEPTED_MAX):
            try:
                taken.append(self._raw.accept())
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno in _OVER_ALREADY:
                    continue
                if taken:
                    # The next call meets it again.
                    return
                raise

    async def aclose(self) -> None:
        """Accept no more; those that were taken and not handed over are closed."""
        trio.lowlevel.notify_closing(self._raw)
        for each in (*self._taken, self._raw):
            each.close()
        self._taken.clear()
        self.socket.close()
        await trio.lowlevel.checkpoint()


async def accept_one(listener: trio.abc.Listener[StreamT]) -> StreamT:
    """The next connection.

    Linux takes a file for it before it looks whether there is one: without this wait a port that
    nobody calls would lack files as well.
    """
    if isinstance(listener, trio.SocketListener):
        await trio.lowlevel.wait_readable(listener.socket)
    return await listener.accept()


async def accept_each(
    listener: trio.abc.Listener[StreamT],
    handle: Callable[[StreamT], Awaitable[None]],
    nursery: trio.Nursery,
    *,
    what: str,
    logger: logging.Logger,
) -> None:
    """Start `handle` in `nursery` for each connection, until cancelled.

    The listener is closed at the end.  A shortage of files is one line at its beginning and one at
    its end; `what` names the connections there.
    """
    async with listener:
        shortage = _Shortage(what, logger)
        while True:
            with shortage.watched():
                nursery.start_soon(handle, await accept_one(listener))
            await shortage.pause()


async def accept_bursts(
    listener: BurstListener,
    take: Callable[[socket.socket, str], None],
    *,
    what: str,
    logger: logging.Logger,
) -> None:
    """Do the same with `take`, which waits for nothing, for each socket and the name of its peer.

    The sockets never block.
    """
    async with listener:
        shortage = _Shortage(what, logger)
        while True:
            with shortage.watched():
                for raw, (host, port, *_) in await listener.accept_burst():
                    raw.setblocking(False)
                    take(raw, f"{host}:{port}")
            await shortage.pause()


class _Shortage:
    """A shortage of files, which ends nothing."""

    def __init__(self, what: str, logger: logging.Logger) -> None:
        self._what = what
        self._logger = logger
        self._over_s = math.inf
        self._has_failed = False

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Take it in that an accept inside the block finds no file; it does not wait for ever."""
        self._has_failed = False
        with trio.move_on_at(self._over_s):
            try:
                yield
            except OSError as error:
                if error.errno not in _NO_FILES:
                    raise
                if self._over_s == math.inf:
                    self._logger.error("No %s can be accepted: %s", self._what, error.strerror)
                self._over_s = trio.current_time() + SHORTAGE_OVER_S
                self._has_failed = True

    async def pause(self) -> None:
        """Wait after an accept that failed; say so where the shortage is over."""
        if self._has_failed:
            await trio.sleep(ACCEPT_PAUSE_S)
        if trio.current_time() >= self._over_s:
            what = self._what[0].upper() + self._what[1:]
            self._logger.info("%s are accepted again", what)
            self._over_s = math.inf
