"""The terminal that a daemon was started from: a SIGHUP tells of its end, or asks for files anew.

The kernel takes a terminal that has hung up away from all of its processes before it tells them.
"""

import os
import signal


class Terminal:
    """The controlling terminal of this process, as it was at its start."""

    def __init__(self) -> None:
        # Ignored: nohup, or another caller, wants it to outlive its terminal.
        is_ignored = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
        self.is_needed = not is_ignored and _is_there()

    def has_hung_up(self) -> bool:
        """Whether it is gone, and this process is to end with it."""
        return self.is_needed and not _is_there()


def _is_there() -> bool:
    try:
        fd = os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return False
    os.close(fd)
    return True


STARTED_FROM = Terminal()
