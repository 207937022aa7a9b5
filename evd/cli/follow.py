"""The logs of the network's programs, followed as they are written and shown in lines to read."""

import contextlib
import os
from collections.abc import Iterable, Iterator
from io import BufferedReader
from pathlib import Path
from typing import Final

import attrs
from rich.console import Console
from rich.text import Text

from evd.adapters.files.regular_file import open_regular
from evd.adapters.supervisor.protocol import Program
from evd.cli.programs import CENTRAL

READ_BYTES_MAX: Final = 65_536
# A log line may be cut where it is longer.
LINE_BYTES_MAX: Final = 8192
NAME_CHARS: Final = 18

_STATUS_COLORS: Final = {
    "ACCEPTED": "cyan",
    "IN_PROGRESS": "blue",
    "COMPLETED": "green",
    "DENIED": "yellow",
    "FAILED": "red",
}
_LEVEL_COLORS: Final = {"WARNING": "yellow", "ERROR": "red", "CRITICAL": "red"}
# Central alone is followed at INFO too: it tells which charging points come and go.
_CENTRAL_COLORS: Final = {"INFO": "", **_LEVEL_COLORS}


@attrs.define
class Tail:
    """A log file that grows, and is sometimes replaced by an empty one of the same name."""

    path: Path
    _file: BufferedReader | None = None
    _rest: bytes = b""

    def skip(self) -> None:
        """Forget what is in it now."""
        with contextlib.suppress(FileNotFoundError):
            self._file = os.fdopen(open_regular(self.path), "rb")
            self._file.seek(0, 2)

    def lines(self) -> Iterator[str]:
        """The whole lines that were written since the last call."""
        yield from self._read()
        if self._replaced():
            self.close()
            yield from self._read()

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
        self._file = None
        self._rest = b""

    def _read(self) -> Iterator[str]:
        if self._file is None:
            with contextlib.suppress(FileNotFoundError):
                self._file = os.fdopen(open_regular(self.path), "rb")
        while self._file is not None and (chunk := self._file.read(READ_BYTES_MAX)):
            *whole, rest = (self._rest + chunk).split(b"\n")
            self._rest = rest[:LINE_BYTES_MAX]
            for line in whole:
                yield line[:LINE_BYTES_MAX].decode(errors="replace")

    def _replaced(self) -> bool:
        if self._file is None:
            return False
        try:
            status = self.path.stat()
        except FileNotFoundError:
            return False
        mine = os.fstat(self._file.fileno())
        return status.st_ino != mine.st_ino or status.st_size < self._file.tell()


@attrs.define
class LogFollower:
    """Follows the programs' files, and shows the lines that a person wants to see go by.

    These are the lines of drivers for their users, Central's log from INFO on, and other logs from
    WARNING on.
    """

    console: Console
    _tails: dict[Path, tuple[str, Tail]] = attrs.field(factory=dict)

    def follow(self, programs: Iterable[Program], *, from_now: bool) -> None:
        """Follow these programs and no others; `from_now`: what new ones wrote before is left."""
        wanted = {
            path: program.name
            for program in programs
            for path in (program.log, program.output_log)
            if path is not None
        }
        for path in self._tails.keys() - wanted.keys():
            self._tails.pop(path)[1].close()
        for path, name in wanted.items():
            if path not in self._tails:
                tail = Tail(path)
                if from_now:
                    tail.skip()
                self._tails[path] = (name, tail)

    def show(self) -> int:
        """Print the new lines; their number."""
        found = [
            shown
            for path, (name, tail) in self._tails.items()
            for line in tail.lines()
            if (shown := (_user_line if path.suffix == ".out" else _log_line)(name, line))
        ]
        # The lines of several programs, in the order in which it happened.
        for _, text in sorted(found, key=lambda each: each[0]):
            self.console.print(text, soft_wrap=True)
        return len(found)


def _user_line(name: str, line: str) -> tuple[str, Text] | None:
    """A driver's line for its user: time, status, request, charging point, text."""
    parts = [part.strip() for part in line.split(" | ", 4)]
    if len(parts) < 5:
        return None
    when, status, _, cp_id, told = parts
    return when.replace("T", " "), Text.assemble(
        (_clock(when), "dim"),
        f" {name.rpartition(':')[2]:<{NAME_CHARS}} ",
        (f"{status:<12}", _STATUS_COLORS.get(status, "")),
        f" {cp_id:<8} {told}",
    )


def _log_line(name: str, line: str) -> tuple[str, Text] | None:
    """A line of a log, where its program and its level are ones to show."""
    parts = [part.strip() for part in line.split(" | ", 3)]
    colors = _CENTRAL_COLORS if name == CENTRAL else _LEVEL_COLORS
    if len(parts) < 4 or parts[1] not in colors:
        return None
    when, level, component, told = parts
    return when.replace("T", " "), Text.assemble(
        (_clock(when), "dim"),
        f" {component:<{NAME_CHARS}} ",
        (f"{level:<12}", colors[level]),
        f" {told}",
    )


def _clock(when: str) -> str:
    """The time of day of `2026-01-31T12:00:00.123456Z` or `2026-01-31 12:00:00`."""
    return when[11:19]


def last_lines(path: Path, count: int) -> list[str]:
    """The last `count` lines of a file, none where there is no file."""
    with contextlib.suppress(FileNotFoundError), open(open_regular(path), "rb") as file:
        size = file.seek(0, 2)
        file.seek(max(0, size - count * LINE_BYTES_MAX // 8))
        return file.read().decode(errors="replace").splitlines()[-count:]
    return []
