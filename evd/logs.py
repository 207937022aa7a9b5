"""Log lines on stderr: for people, as JSON, or for journald.  They never end or block a daemon.

A line that stderr will not take at once (its reader is gone or stopped, the disk is full) is
dropped; the next one that gets through says how many were.
"""

import json
import logging
import math
import os
import select
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from evd.core.effects import Note
from evd.core.wire.fields import printable

STDERR_FD = 2
# A pipe that is ready takes this much at once, whatever else it holds.
WRITE_BYTES_MAX = select.PIPE_BUF
KEYS_MAX = 1000
# Lines about one thing, such as a charging point, in so many seconds.
NOTES_MAX = 30
NOTES_S = 60.0
# Such lines in a second: where ten thousand charging points come back at once, a line for each
# would hold up their monitors.
NOTES_A_S_MAX = 500

_PRIORITIES = ((logging.CRITICAL, 2), (logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6))
_DEBUG_PRIORITY = 7
LEVELS = logging.getLevelNamesMapping()


def configure(
    component: str,
    level: str = "INFO",
    log_format: str = "text",
    *,
    env: Mapping[str, str] = os.environ,
    fd: int = STDERR_FD,
) -> None:
    """Send every logger's lines to `fd`, each with `component` as its origin.

    `level` and `log_format` are values of --log-level and --log-format.
    """
    formatter: logging.Formatter
    if log_format == "json":
        formatter = JsonLines(component)
    elif is_journal(env, fd):
        formatter = JournalLines(component)
    else:
        formatter = TextLines(component)
    handler = FdHandler(fd)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    logging.captureWarnings(True)


def is_journal(env: Mapping[str, str], fd: int) -> bool:
    """Whether `fd` is the very stream that journald has opened for this unit."""
    try:
        status = os.fstat(fd)
    except OSError:
        return False
    return env.get("JOURNAL_STREAM") == f"{status.st_dev}:{status.st_ino}"


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except (TypeError, ValueError, KeyError):
        # A wrong format is a mistake of ours; it must not end the daemon that made it.
        return f"{record.msg} {record.args}"


class TextLines(logging.Formatter):
    """`2026-01-31 12:00:00 | INFO | CP_E:CP-001 | text`, the time in UTC; a traceback follows."""

    def __init__(self, component: str) -> None:
        super().__init__()
        self._component = component

    def format(self, record: logging.LogRecord) -> str:
        """The record as one line, and the lines of its traceback."""
        second = datetime.fromtimestamp(record.created, UTC).strftime("%Y-%m-%d %H:%M:%S")
        return f"{second} | {self._untimed(record)}"

    def _untimed(self, record: logging.LogRecord) -> str:
        line = f"{record.levelname} | {self._component} | {printable(_message(record))}"
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


class JournalLines(TextLines):
    """The same without a time, which journald has itself, each line with its priority before it."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as lines for journald."""
        found = (priority for level, priority in _PRIORITIES if record.levelno >= level)
        prefix = f"<{next(found, _DEBUG_PRIORITY)}>"
        return "\n".join(prefix + line for line in self._untimed(record).splitlines())


class JsonLines(logging.Formatter):
    """One object a line: ts, level, component, text, and traceback where there is one."""

    def __init__(self, component: str) -> None:
        super().__init__()
        self._component = component

    def format(self, record: logging.LogRecord) -> str:
        """The record as one JSON object."""
        when = datetime.fromtimestamp(record.created, UTC)
        line = {
            "ts": when.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            "level": record.levelname,
            "component": self._component,
            "text": _message(record),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line)


class FdHandler(logging.Handler):
    """Writes to a file descriptor what it takes at once, and counts what it does not."""

    def __init__(self, fd: int) -> None:
        super().__init__()
        self._fd = fd
        self._poll = select.poll()
        self._poll.register(fd, select.POLLOUT)
        self.dropped = 0

    def emit(self, record: logging.LogRecord) -> None:
        """Write the record, or drop it."""
        text = self.format(record)
        if self.dropped:
            note = logging.LogRecord(
                "", logging.WARNING, "", 0, "%d log lines were lost", (self.dropped,), None
            )
            text = f"{self.format(note)}\n{text}"
        if self._write(f"{text}\n".encode(errors="backslashreplace")):
            self.dropped = 0
        else:
            self.dropped += 1

    def _write(self, content: bytes) -> bool:
        # The descriptor stays blocking, because others may share it; so ask before each piece.
        for start in range(0, len(content), WRITE_BYTES_MAX):
            try:
                if not self._poll.poll(0):
                    return False
                os.write(self._fd, content[start : start + WRITE_BYTES_MAX])
            except OSError:
                return False
        return True


class Repeats:
    """Lets `lines_max` lines through in `every_s` seconds for each key, and counts the others.

    It remembers KEYS_MAX keys, the newest.
    """

    def __init__(
        self, every_s: float, clock: Callable[[], float] = time.monotonic, *, lines_max: int = 1
    ) -> None:
        self._every_s = every_s
        self._clock = clock
        self._lines_max = lines_max
        # Each key with the begin of its present time, the lines since, and those of them held back.
        self._seen: dict[str, tuple[float, int, int]] = {}

    def log(
        self,
        logger: logging.Logger,
        level: int,
        key: str,
        text: str,
        *arguments: object,
        error: BaseException | None = None,
    ) -> bool:
        """Log `text` (with %-arguments) and the traceback of `error`, unless `key` has had its
        lines within the last `every_s`; return whether there was one."""
        now = self._clock()
        began_at, lines, held_back = self._seen.get(key, (None, 0, 0))
        if began_at is not None and now - began_at < self._every_s:
            is_over = lines >= self._lines_max
            self._seen[key] = (began_at, lines + 1, held_back + is_over)
            if not is_over:
                logger.log(level, text, *arguments, exc_info=error)
            return not is_over
        # Taken out first, so that the oldest key is always the first of the dictionary.
        self._seen.pop(key, None)
        if len(self._seen) >= KEYS_MAX:
            self._seen.pop(next(iter(self._seen)))
        self._seen[key] = (now, 1, 0)
        if held_back:
            text, arguments = text + " (%d more like it before)", (*arguments, held_back)
        logger.log(level, text, *arguments, exc_info=error)
        return True

    def log_rest(self, logger: logging.Logger, level: int) -> None:
        """Say of each key whose time is over how many lines were held back, as its last line.

        For a shell that comes by now and then: else only the next line of a key tells it.
        """
        now = self._clock()
        for key, (began_at, _, held_back) in list(self._seen.items()):
            if now - began_at >= self._every_s:
                del self._seen[key]
                if held_back:
                    text = "%s: and %d more like it within %g s"
                    logger.log(level, text, key, held_back, self._every_s)


class NoteLog:
    """Logs a core's lines: of those about one thing NOTES_MAX in NOTES_S, or one where one is
    enough, then how many more; of those about anything NOTES_A_S_MAX in a second."""

    def __init__(self, logger: logging.Logger, clock: Callable[[], float] = time.monotonic) -> None:
        self._logger = logger
        self._repeats = Repeats(NOTES_S, clock, lines_max=NOTES_MAX)
        self._ones = Repeats(NOTES_S, clock)
        self._clock = clock
        # The begin of the present second, and the lines in it; and those that were left out.
        self._second_s = -math.inf
        self._lines = self._left_out = 0

    def log(self, note: Note) -> None:
        """Log a line that a core wants logged, or count it."""
        level = LEVELS[note.level]
        if note.about and self._are_too_many():
            self._left_out += 1
        elif note.about:
            repeats = self._ones if note.is_one else self._repeats
            self._lines += repeats.log(self._logger, level, note.about, "%s", note.text)
        else:
            self._logger.log(level, "%s", note.text)

    def _are_too_many(self) -> bool:
        now_s = self._clock()
        if now_s - self._second_s >= 1.0:
            self._second_s, self._lines = now_s, 0
        return self._lines >= NOTES_A_S_MAX

    def log_rest(self) -> None:
        """Say how many lines were held back of what has had its time; for the shell's ticks."""
        if self._left_out and self._clock() - self._second_s >= 1.0:
            text = "%d lines about single charging points and the like were too many at once"
            self._logger.warning(text, self._left_out)
            self._left_out = 0
        for repeats in (self._repeats, self._ones):
            repeats.log_rest(self._logger, logging.WARNING)
