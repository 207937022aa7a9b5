"""Standard input, output and error, as the shell gave them: closed, full, or read by nobody."""

import os
import select
import sys
from typing import Final

# A pipe that can be written to takes so much at once, and no write waits.
PIPE_BYTES: Final = 4096
UNREAD_LOOK_S: Final = 0.5


def open_closed_streams() -> None:
    """Let a closed stream lead nowhere; otherwise the next file or socket would take its number."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_RDWR), mode))


def flush_output() -> None:
    """Write what was printed; drop what can't be, for the interpreter would try again at its end.

    Raises OSError where something was dropped.
    """
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise


class Output:
    """A descriptor that is written to beside other tasks: its reader may be slow, or go away."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    async def write(self, data: bytes) -> None:
        """Write all of it, as the reader takes it; BrokenPipeError where it has gone."""
        rest = memoryview(data)
        while rest:
            await self._wait_writable()
            rest = rest[os.write(self._descriptor, rest[:PIPE_BYTES]) :]

    async def _wait_writable(self) -> None:
        # Loaded late: most verbs need no Trio.
        import trio

        try:
            await trio.lowlevel.wait_writable(self._descriptor)
        except PermissionError:
            # A file, which always takes what it is given, can't be waited for.
            await trio.lowlevel.checkpoint()

    async def until_unread(self, code: int) -> int:
        """Return `code` once nobody can read any more what is written."""
        import trio

        poll = select.poll()
        poll.register(self._descriptor, 0)
        while True:
            if poll.poll(0):
                return code
            await trio.sleep(UNREAD_LOOK_S)
