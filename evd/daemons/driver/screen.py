"""The lines on stdout for the driver's user, one for each update; no reader holds the driver up.

A line that the reader does not take at once waits.  At most LINES_WAITING_MAX wait: then the oldest
are dropped and counted.
"""

import contextlib
import logging
import os
import select
from collections import deque
from collections.abc import Mapping
from typing import Final

from evd.core.wire.messages import RequestStatus

STDOUT_FD: Final = 1
LINES_WAITING_MAX: Final = 1000
# A pipe that is ready takes at least this many bytes at once.
WRITE_BYTES_MAX: Final = select.PIPE_BUF

_COLORS: Final = {
    RequestStatus.ACCEPTED: "36",
    RequestStatus.IN_PROGRESS: "34",
    RequestStatus.COMPLETED: "32",
    RequestStatus.DENIED: "33",
    RequestStatus.FAILED: "31",
}

logger = logging.getLogger(__name__)


def wants_color(choice: str, fd: int, env: Mapping[str, str]) -> bool:
    """Whether lines on `fd` are coloured: `choice` is always, never, or auto for a terminal."""
    if choice != "auto":
        return choice == "always"
    is_plain = bool(env.get("NO_COLOR")) or env.get("TERM") == "dumb"
    with contextlib.suppress(OSError):
        return os.isatty(fd) and not is_plain
    return False


def hold_stdout(fd: int = STDOUT_FD) -> None:
    """Take the number of a stdout that was closed before, so that no socket gets it."""
    try:
        os.fstat(fd)
    except OSError:
        null = os.open(os.devnull, os.O_WRONLY)
        if null != fd:
            os.dup2(null, fd)
            os.close(null)


class Screen:
    """The lines that go to `fd`, in order."""

    def __init__(self, fd: int = STDOUT_FD, color: bool = False) -> None:
        self.dropped_count = 0
        self._fd = fd
        self._color = color
        self._waiting: deque[bytes] = deque()
        self._closed = False
        self._poll = select.poll()
        self._poll.register(fd, select.POLLOUT)

    def show(self, line: str, status: RequestStatus) -> None:
        """Write a line about an update with `status`."""
        if self._color:
            line = line.replace(status, f"\x1b[{_COLORS[status]}m{status}\x1b[0m", 1)
        self._waiting.append(f"{line}\n".encode(errors="backslashreplace"))
        self.flush()
        if len(self._waiting) > LINES_WAITING_MAX:
            # Not the first, which may be half written.
            del self._waiting[1]
            self._dropped()

    def flush(self) -> None:
        """Write the waiting lines, as far as the reader takes them."""
        while self._waiting and not self._closed:
            content = self._waiting[0][:WRITE_BYTES_MAX]
            try:
                if not self._poll.poll(0):
                    return
                written = os.write(self._fd, content)
            except OSError as error:
                self._closed = True
                logger.warning("Nobody reads stdout any more: %s", error.strerror)
                break
            rest = self._waiting[0][written:]
            if rest:
                self._waiting[0] = rest
            else:
                self._waiting.popleft()
        if self._closed:
            self.dropped_count += len(self._waiting)
            self._waiting.clear()

    def _dropped(self) -> None:
        self.dropped_count += 1
        if self.dropped_count == 1:
            logger.warning("stdout is not read: its oldest lines are dropped")
