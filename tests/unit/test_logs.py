"""Log lines: their forms, and that they never end or block a daemon."""

import json
import logging
import os
import re
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import attrs
import pytest

from evd import logs
from evd.core.effects import Level, Note
from evd.logs import Repeats

COMPONENT = "CP_E:CP-001"
logger = logging.getLogger("tests.logs")


@pytest.fixture(autouse=True)
def _root_logger() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(False)


@attrs.frozen
class LogFile:
    """A file that is logged to; `fd` takes each line."""

    path: Path
    fd: int

    def configure(self, level: str = "INFO", form: str = "text", **env: str) -> None:
        logs.configure(COMPONENT, level, form, env=env, fd=self.fd)

    def lines(self) -> list[str]:
        return self.path.read_text().splitlines()


@pytest.fixture
def log_file(tmp_path: Path) -> Iterator[LogFile]:
    """A new log."""
    path = tmp_path / "log"
    with path.open("ab") as file:
        yield LogFile(path, file.fileno())


def fail() -> None:
    """Raise what a daemon might."""
    raise ZeroDivisionError("by zero")


def test_text_lines(log_file: LogFile) -> None:
    """Proves: a line is time in UTC, level, component and text, with bars between them."""
    log_file.configure()
    logger.info("Session %s buffered (%d/%d)", "session-1", 1, 100)
    logger.debug("not at this level")
    (line,) = log_file.lines()
    form = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d \| INFO \| CP_E:CP-001 \| (.*)"
    match = re.fullmatch(form, line)
    assert match is not None
    assert match[1] == "Session session-1 buffered (1/100)"


def test_the_time_is_utc(monkeypatch: pytest.MonkeyPatch) -> None:
    """Proves: lines of hosts in different zones can be laid side by side."""
    monkeypatch.setenv("TZ", "America/Lima")
    time.tzset()
    record = logging.LogRecord("", logging.INFO, "", 0, "text", None, None)
    record.created = 1_769_860_800.9
    line = logs.TextLines("Central").format(record)
    monkeypatch.undo()
    time.tzset()
    assert line == "2026-01-31 12:00:00 | INFO | Central | text"


def test_json_lines(log_file: LogFile) -> None:
    """Proves: --log-format json gives one object a line, a traceback within it."""
    log_file.configure("DEBUG", "json")
    logger.debug("two\nlines")
    try:
        fail()
    except ZeroDivisionError:
        logger.exception("crashed")
    first, second = (json.loads(line) for line in log_file.lines())
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", first.pop("ts"))
    assert first == {"level": "DEBUG", "component": COMPONENT, "text": "two\nlines"}
    assert second["level"] == "ERROR"
    assert "ZeroDivisionError: by zero" in second["traceback"]


def test_journal_lines(log_file: LogFile) -> None:
    """Proves: under journald there is no time, and each line has its priority before it."""
    status = os.fstat(log_file.fd)
    log_file.configure("DEBUG", JOURNAL_STREAM=f"{status.st_dev}:{status.st_ino}")
    for level in (logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR, logging.CRITICAL):
        logger.log(level, "text")
    assert log_file.lines() == [
        f"<7>DEBUG | {COMPONENT} | text",
        f"<6>INFO | {COMPONENT} | text",
        f"<4>WARNING | {COMPONENT} | text",
        f"<3>ERROR | {COMPONENT} | text",
        f"<2>CRITICAL | {COMPONENT} | text",
    ]
    try:
        fail()
    except ZeroDivisionError:
        logger.exception("crashed")
    assert all(line.startswith("<3>") for line in log_file.lines()[5:])


@pytest.mark.parametrize("stream", ["", "1:2", "nonsense"])
def test_another_stream_is_not_the_journal(log_file: LogFile, stream: str) -> None:
    """Proves: a unit's daemon whose stderr was redirected to a file keeps the time."""
    assert not logs.is_journal({"JOURNAL_STREAM": stream}, log_file.fd)
    assert not logs.is_journal({}, log_file.fd)


def test_a_text_cannot_forge_a_line(log_file: LogFile) -> None:
    """Proves: line breaks and terminal codes from outside are shown, not carried out."""
    log_file.configure()
    logger.info("reason: %s", "x\n2026-01-31 12:00:00 | INFO | Central | forged\x1b[2J\u2028")
    (line,) = log_file.lines()
    assert line.endswith(r"x\n2026-01-31 12:00:00 | INFO | Central | forged\x1b[2J\u2028")


def test_a_wrong_format_is_still_logged(log_file: LogFile) -> None:
    """Proves: a mistake in a log call costs neither the line nor the daemon."""
    log_file.configure()
    logger.info("one %s and %d", "only")
    (line,) = log_file.lines()
    assert line.endswith("one %s and %d ('only',)")


def test_a_reader_that_has_gone_ends_nothing() -> None:
    """Proves: a broken pipe on stderr is swallowed."""
    reader, writer = os.pipe()
    logs.configure(COMPONENT, env={}, fd=writer)
    os.close(reader)
    logger.info("into nothing")
    os.close(writer)
    logger.info("not even a descriptor")


def test_a_reader_that_stops_reading_holds_nothing_up() -> None:
    """Proves: a full pipe costs lines, not time, and the next one that fits tells how many."""
    reader, writer = os.pipe()
    logs.configure(COMPONENT, env={}, fd=writer)
    lines = 2000
    for number in range(lines):
        logger.info("%d %s", number, "x" * 100)
    held = os.read(reader, 1 << 20)
    logger.info("again")
    text = (held + os.read(reader, 1 << 20)).decode()
    lost = re.search(r"WARNING \| CP_E:CP-001 \| (\d+) log lines were lost\n.*again\n$", text)
    assert lost is not None
    assert text.count("x" * 100) == lines - int(lost[1])
    assert 0 < int(lost[1]) < lines
    os.close(reader)
    os.close(writer)


def test_a_long_line_comes_whole(log_file: LogFile) -> None:
    """Proves: what is longer than one piece is written in several, in order."""
    log_file.configure()
    text = "".join(str(number) for number in range(5000))
    logger.info(text)
    (line,) = log_file.lines()
    assert line.endswith(text)


def test_repeats_are_held_back(caplog: pytest.LogCaptureFixture) -> None:
    """Proves: the same key is logged at most once in its time, and the next tells how many more."""
    now = [0.0]
    repeats = Repeats(10.0, clock=lambda: now[0])

    def log_at(when: float, key: str) -> None:
        now[0] = when
        repeats.log(logger, logging.WARNING, key, "%s is away", key)

    for when, key in [(0, "broker"), (1, "broker"), (2, "central"), (9.9, "broker")]:
        log_at(when, key)
    log_at(10.0, "broker")
    log_at(20.0, "broker")
    assert [record.getMessage() for record in caplog.records] == [
        "broker is away",
        "central is away",
        "broker is away (2 more like it before)",
        "broker is away",
    ]


def test_repeats_remember_a_bounded_number_of_keys(caplog: pytest.LogCaptureFixture) -> None:
    """Proves: keys that come from outside cannot fill the memory; the oldest is forgotten."""
    repeats = Repeats(10.0, clock=lambda: 0.0)
    for number in range(logs.KEYS_MAX + 1):
        repeats.log(logger, logging.WARNING, str(number), "seen")
    assert len(repeats._seen) == logs.KEYS_MAX
    caplog.clear()
    repeats.log(logger, logging.WARNING, "1", "seen")
    assert not caplog.records
    repeats.log(logger, logging.WARNING, "0", "seen")
    assert len(caplog.records) == 1


def test_some_lines_a_minute_and_then_how_many_more(caplog: pytest.LogCaptureFixture) -> None:
    """Proves: each minute has its lines again, for ever, and says by itself how many it held
    back."""
    now = [0.0]
    repeats = Repeats(60.0, clock=lambda: now[0], lines_max=3)
    for minute in range(100):
        now[0] = 60.0 * minute
        caplog.clear()
        for _ in range(10):
            repeats.log(logger, logging.WARNING, "cp.status", "bad")
        repeats.log_rest(logger, logging.WARNING)
        assert len(caplog.records) == 3
        now[0] += 60.0
        repeats.log_rest(logger, logging.WARNING)
        assert caplog.records[-1].getMessage() == "cp.status: and 7 more like it within 60 s"
    repeats.log_rest(logger, logging.WARNING)
    assert len(caplog.records) == 4


def test_a_core_floods_no_log(caplog: pytest.LogCaptureFixture) -> None:
    """Proves: what flaps a thousand times a second has some lines a minute and then their number;
    all other lines, and those about nothing in particular, are there."""
    caplog.set_level(logging.INFO)
    now = [0.0]
    notes = logs.NoteLog(logger, clock=lambda: now[0])
    for _ in range(1000):
        now[0] += 0.001
        notes.log(Note(Level.WARNING, "flaps", about="CP-001"))
        notes.log_rest()
    notes.log(Note(Level.ERROR, "breaks", about="CP-002"))
    for _ in range(100):
        notes.log(Note(Level.INFO, "charges"))
    said = Counter(record.getMessage() for record in caplog.records)
    assert said == {"flaps": logs.NOTES_MAX, "breaks": 1, "charges": 100}
    now[0] = 61.0
    notes.log_rest()
    notes.log_rest()
    assert caplog.records[-1].getMessage() == (
        f"CP-001: and {1000 - logs.NOTES_MAX} more like it within 60 s"
    )
    caplog.clear()
    for _ in range(9):
        notes.log(Note(Level.WARNING, "no place", about="places", is_one=True))
    now[0] = 122.0
    notes.log_rest()
    told = [record.getMessage() for record in caplog.records]
    assert told == ["no place", "places: and 8 more like it within 60 s"]


def test_many_things_at_once_flood_no_log(caplog: pytest.LogCaptureFixture) -> None:
    """Proves: of ten thousand charging points that come back at once only some have a line, and
    one line says how many have none; a second later each has its line again."""
    caplog.set_level(logging.INFO)
    now = [0.0]
    notes = logs.NoteLog(logger, clock=lambda: now[0])
    for number in range(10_000):
        notes.log(Note(Level.INFO, "is back", about=f"CP-{number}"))
    notes.log(Note(Level.INFO, "Central started"))
    notes.log_rest()
    said = Counter(record.getMessage() for record in caplog.records)
    assert said == {"is back": logs.NOTES_A_S_MAX, "Central started": 1}
    caplog.clear()
    now[0] = 1.0
    notes.log_rest()
    notes.log(Note(Level.INFO, "is back", about="CP-1"))
    left_out, back = (record.getMessage() for record in caplog.records)
    assert left_out.startswith(f"{10_000 - logs.NOTES_A_S_MAX} lines")
    assert back == "is back"
