"""Accepts connections, also while this process has no free file for one more."""

import errno
import logging
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

import trio

# Without a free file nothing can be accepted; the next try is after so long.
ACCEPT_PAUSE_S: Final = 0.1
# A shortage is over when for so long no accept has failed: near the limit one in two does.
SHORTAGE_OVER_S: Final = 2.0

_NO_FILES: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS})

StreamT = TypeVar("StreamT", bound=trio.abc.Stream)


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
