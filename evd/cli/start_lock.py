"""One change at a time: a command that starts the network or adds to it keeps others waiting."""

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from typing import Final

from evd.adapters.files.regular_file import open_regular
from evd.adapters.supervisor.protocol import Killed, Supervisor
from evd.cli.errors import ToolFailed
from evd.cli.targets import write_targets

WAIT_S: Final = 30.0


@contextlib.contextmanager
def changing(supervisor: Supervisor) -> Iterator[None]:
    """Hold the lock for the block: two commands never choose the same port.

    Prometheus is told of the programs that are there after it.
    """
    supervisor.make_folders()
    fd = open_regular(supervisor.var / "run" / "change.lock", os.O_RDWR | os.O_CREAT)
    end_s = time.monotonic() + WAIT_S
    try:
        while True:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > end_s:
                    raise ToolFailed(
                        f"Another evd command has been at work here for {WAIT_S:g} s."
                    ) from None
                time.sleep(0.05)
        try:
            yield
        finally:
            write_targets(supervisor)
    finally:
        os.close(fd)


@contextlib.contextmanager
def starting(supervisor: Supervisor) -> Iterator[None]:
    """Hold the lock while the network is started; ToolFailed where it runs already."""
    with changing(supervisor):
        pid = supervisor.pid()
        if pid is not None:
            raise ToolFailed(
                f"The network runs already ({supervisor.name} is process {pid}):"
                " `evd status` shows it, `evd down` stops it."
            )
        refuse_left_behind(supervisor)
        yield


def refuse_left_behind(supervisor: Supervisor) -> None:
    """Killed, where processes of a supervisord that was killed hold what a new one needs."""
    if left := supervisor.left_behind():
        raise Killed(len(left))
