"""Accepts connections, also while this process has no free file for one more."""

import errno
import logging
import os
import socket
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

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
        while not self._taken:
            await trio.lowlevel.wait_readable(self._raw)
            self._take()
        return trio.SocketStream(trio.socket.from_stdlib_socket(self._taken.popleft()))

    def _take(self) -> None:
        for _ in range(ACCEPTED_MAX):
            try:
                self._taken.append(self._raw.accept()[0])
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno in _OVER_ALREADY:
                    continue
                if self._taken:
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
    is_short, over_s = False, float("inf")
    async with listener:
        while True:
            with trio.move_on_at(over_s):
                try:
                    nursery.start_soon(handle, await listener.accept())
                except OSError as error:
                    if error.errno not in _NO_FILES:
                        raise
                    if not is_short:
                        logger.error("No %s can be accepted: %s", what, error.strerror)
                    is_short = True
                    over_s = trio.current_time() + SHORTAGE_OVER_S
                    await trio.sleep(ACCEPT_PAUSE_S)
            if is_short and trio.current_time() >= over_s:
                logger.info("%s are accepted again", what[0].upper() + what[1:])
                is_short, over_s = False, float("inf")
