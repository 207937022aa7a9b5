"""The admin socket: a file in Central's state directory that its own user alone can open."""

import contextlib
import errno
import logging
import os
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import trio

from evd.adapters.http.access.access_routes import COPY_BYTES_MAX
from evd.adapters.http.connection import Bounds

NAME: Final = "admin.sock"
# The address of a Unix socket has 108 bytes, with a zero at its end.
PATH_BYTES_MAX: Final = 107
BACKLOG: Final = 64
MODE: Final = 0o600
# A copy of access has megabytes.
ADMIN_BOUNDS: Final = Bounds(body_bytes_max=COPY_BYTES_MAX, body_s=30.0)

logger = logging.getLogger(__name__)


@contextlib.asynccontextmanager
async def admin_listeners(state_dir: Path) -> AsyncIterator[list[trio.SocketListener]]:
    """Listen on the admin socket in this directory, whose file is gone at the end.

    An empty list where that is not possible: Central works without it, and the log says why.
    """
    found = _listen(state_dir)
    try:
        yield [] if found is None else [found]
    finally:
        if found is not None:
            _close(found, state_dir)


def _close(listener: trio.SocketListener, state_dir: Path) -> None:
    listener.socket.close()
    with contextlib.suppress(OSError):
        (state_dir / NAME).unlink()


def _listen(state_dir: Path) -> trio.SocketListener | None:
    path = state_dir.absolute() / NAME
    length = len(os.fsencode(path))
    if length > PATH_BYTES_MAX:
        logger.warning(
            "No admin socket: %s has %d bytes, and a socket's path at most %d; give a shorter"
            " --state-dir",
            path,
            length,
            PATH_BYTES_MAX,
        )
        return None
    try:
        return _bind(path)
    except OSError as error:
        logger.warning("No admin socket: %s: %s", path, error.strerror)
        return None


def _bind(path: Path) -> trio.SocketListener:
    _remove_stale(path)
    bound = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        # Linux makes the file with the mode of the socket: there is no moment with another one.
        os.fchmod(bound.fileno(), MODE)
        bound.bind(os.fspath(path))
        bound.setblocking(False)
        bound.listen(BACKLOG)
        return trio.SocketListener(trio.socket.from_stdlib_socket(bound))
    except BaseException:
        bound.close()
        raise


def _remove_stale(path: Path) -> None:
    """Remove the file of a Central that was killed; OSError where one listens there."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(os.fspath(path))
        except FileNotFoundError:
            return
        except ConnectionRefusedError:
            path.unlink()
            return
    raise OSError(errno.EADDRINUSE, "another Central listens there")
