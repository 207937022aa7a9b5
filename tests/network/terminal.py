"""A program on a terminal of its own, whose screen a test looks at and whose keys it presses."""

import fcntl
import os
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import pyte

READ_BYTES = 65_536
LOOK_S = 0.05
WAIT_S_MAX = 20.0


class Terminal:
    """A terminal of `columns` times `lines` characters; `on_terminal` makes it."""

    def __init__(self, command: Sequence[str], columns: int, lines: int, **env: str) -> None:
        self._master, self._slave = os.openpty()
        self._screen = pyte.Screen(columns, lines)
        self._stream = pyte.ByteStream(self._screen)
        # All that the program wrote.
        self.written = b""
        self.resize(columns, lines, tell=False)
        self.attributes = termios.tcgetattr(self._slave)
        self.process = subprocess.Popen(
            command,
            stdin=self._slave,
            stdout=self._slave,
            stderr=self._slave,
            env=_environment(env),
            preexec_fn=self._take_terminal,
        )

    def _take_terminal(self) -> None:
        os.setsid()
        fcntl.ioctl(self._slave, termios.TIOCSCTTY, 0)

    @property
    def is_as_before(self) -> bool:
        """Whether the terminal behaves as at the start: it shows keys, and gives whole lines."""
        return bool(termios.tcgetattr(self._slave) == self.attributes)

    @property
    def shows_other_screen(self) -> bool:
        """Whether the program has not gone back to the screen on which it was called."""
        return self.written.rfind(b"\x1b[?1049h") > self.written.rfind(b"\x1b[?1049l")

    @property
    def hides_cursor(self) -> bool:
        return self.written.rfind(b"\x1b[?25l") > self.written.rfind(b"\x1b[?25h")

    def lines(self) -> list[str]:
        """The lines of the screen by now, without the spaces at their ends."""
        while select.select([self._master], [], [], 0)[0]:
            data = os.read(self._master, READ_BYTES)
            self.written += data
            self._stream.feed(data)
        return [line.rstrip() for line in self._screen.display]

    def until(self, condition: Callable[[list[str]], object], what: str = "") -> list[str]:
        """The lines once `condition` holds for them; AssertionError after WAIT_S_MAX."""
        end_s = time.monotonic() + WAIT_S_MAX
        while not condition(lines := self.lines()):
            if time.monotonic() > end_s:
                raise AssertionError(f"not within {WAIT_S_MAX:g} s: {what}\n" + "\n".join(lines))
            time.sleep(LOOK_S)
        return lines

    def until_shown(self, text: str) -> list[str]:
        """The lines once one of them has this text."""
        return self.until(lambda lines: any(text in line for line in lines), repr(text))

    def press(self, keys: str) -> None:
        """Press keys, as they come from a terminal."""
        os.write(self._master, keys.encode())

    def resize(self, columns: int, lines: int, *, tell: bool = True) -> None:
        """Give the window another size."""
        size = struct.pack("HHHH", lines, columns, 0, 0)
        fcntl.ioctl(self._slave, termios.TIOCSWINSZ, size)
        self._screen.resize(lines, columns)
        if tell:
            self.process.send_signal(signal.SIGWINCH)

    def end(self) -> int:
        """The exit code of the program, which ends by itself."""
        end_s = time.monotonic() + WAIT_S_MAX
        while self.process.poll() is None and time.monotonic() < end_s:
            # Output that nobody reads holds the program up.
            self.lines()
            time.sleep(LOOK_S)
        self.lines()
        code = self.process.poll()
        assert code is not None, f"not ended within {WAIT_S_MAX:g} s"
        return code

    def close(self) -> None:
        """End the program, if it runs, and the terminal."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self._master)
        os.close(self._slave)


def _environment(env: Mapping[str, str]) -> dict[str, Any]:
    # The size is the terminal's own, whatever the shell of the tests has.
    inherited = {k: v for k, v in os.environ.items() if k not in ("COLUMNS", "LINES", "NO_COLOR")}
    return {**inherited, "TERM": "xterm-256color", **env}


@contextmanager
def on_terminal(
    command: Sequence[str], columns: int = 80, lines: int = 24, **env: str
) -> Iterator[Terminal]:
    """The program on a terminal; it has ended at the end of the block."""
    terminal = Terminal(command, columns, lines, **env)
    try:
        yield terminal
    finally:
        terminal.close()
