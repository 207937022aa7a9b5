"""`evd watch` on a terminal and `evd feed` on a pipe, against a feed that a test says."""

import json
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.network.feeds import FakeFeed, a_point, an_event, snapshot, telling, update
from tests.network.processes import BIN, free_port
from tests.network.terminal import Terminal, on_terminal

BOUND_S = 20.0
POINTS = [a_point(f"CP-{number:03}") for number in range(1, 31)]


def command_for(folder: Path, feed_port: int, *arguments: str) -> list[str]:
    """The tool in a network that does not run here, and whose feed is said at this port."""
    conf = folder / "etc" / "supervisord.conf"
    if not conf.exists():
        conf.parent.mkdir()
    program = f"[program:evd-central]\ncommand = evd-central --feed-port {feed_port}\n"
    socket = "[unix_http_server]\nfile = %(here)s/none.sock\n"
    conf.write_text(f"[supervisord]\n{socket}{program}")
    return [str(BIN / "evd"), "--config", str(conf), *arguments]


@contextmanager
def watching(
    folder: Path, feed: FakeFeed, *arguments: str, columns: int = 80
) -> Iterator[Terminal]:
    """`evd watch` that follows this feed."""
    command = command_for(folder, feed.port, "watch", *arguments)
    with on_terminal(command, columns) as terminal:
        yield terminal


def is_restored(terminal: Terminal) -> bool:
    """Whether a shell can go on in the terminal as if nothing had been."""
    return (terminal.is_as_before, terminal.shows_other_screen, terminal.hides_cursor) == (
        *(True, False, False),
    )


def test_a_window_follows_the_feed_and_the_keys(tmp_path: Path) -> None:
    """Proves: what the feed says stands in the window without a key; keys sort, scroll and search;
    another size is filled; `q` gives the terminal back as it was."""
    with telling(FakeFeed(snapshot(*POINTS))) as feed, watching(tmp_path, feed) as terminal:
        lines = terminal.until_shown("CP-001")
        assert lines[0].startswith("ON 30  BROKEN 0  DISCONNECTED 0  22.5 kW")
        assert lines[-1].startswith("q quit")
        meter = {"kw": 11.0, "kwh": 0.5, "euros": 0.15}
        busy = a_point("CP-030", current_driver="driver-bob", telemetry=meter, state="BROKEN")
        feed.say(update(busy, events=[an_event("FAULT", "CP-030", "CP-030 has\x1b[2J a fault")]))
        lines = terminal.until_shown("CP-030 has\\x1b[2J a fault")
        assert next(line for line in lines if line.startswith("CP-")).split()[:2] == [
            *("CP-030", "BROKEN")
        ]
        terminal.press("s")
        terminal.until(lambda lines: any("all, by CP" in line for line in lines))
        terminal.press("\x1b[F")
        terminal.until(lambda lines: "of 30:" in lines[-2] and "-30 of" in lines[-2])
        terminal.press("/bob\r")
        lines = terminal.until_shown("search: bob")
        terminal.until(lambda lines: lines[-2].startswith("1-1 of 1:"))
        terminal.press("\x1b")
        terminal.resize(150, 40)
        lines = terminal.until(
            lambda lines: len(lines) == 40 and lines[-1].startswith("q quit"), "the new size"
        )
        terminal.until_shown("BREAKER  SESSION")
        terminal.press("q")
        assert terminal.end() == 0
        assert is_restored(terminal)


@pytest.mark.parametrize(
    ("way", "code", "told"),
    [
        (signal.SIGINT, 0, ""),
        (signal.SIGTERM, 0, ""),
        (signal.SIGHUP, 0, ""),
        ("no message of a feed", 1, "is not Central: no message of a status feed"),
    ],
)
def test_the_terminal_is_given_back_at_each_end(
    tmp_path: Path, way: signal.Signals | str, code: int, told: str
) -> None:
    """Proves: however the window ends, by a signal or by an error, the terminal shows keys again,
    has its cursor and its own screen; the error is one sentence on it."""
    with telling(FakeFeed(snapshot(*POINTS))) as feed, watching(tmp_path, feed) as terminal:
        terminal.until_shown("CP-001")
        assert not terminal.is_as_before
        if isinstance(way, str):
            feed.say(way)
        else:
            terminal.process.send_signal(way)
        assert terminal.end() == code
        assert is_restored(terminal)
        assert told in " ".join(terminal.written.decode().rpartition("\x1b[?25h")[2].split())
        assert b"Traceback" not in terminal.written


def test_a_window_without_a_feed(tmp_path: Path) -> None:
    """Proves: while there is no feed the window says that the connection is lost, and why; once it
    is there again all is shown, without a key."""
    feed = FakeFeed(snapshot(*POINTS), port=free_port())
    with watching(tmp_path, feed, "--cp", "7") as terminal:
        away = f"connection lost: the feed at {feed.url} can't be reached: Connection refused;"
        terminal.until(lambda lines: away in " ".join(lines[:2]), away)
        with telling(feed):
            terminal.until(lambda lines: lines[0].startswith("ON 30"), "the feed is followed")
            assert feed.asked == ["/feed?cp_id=CP-007"]
        terminal.until(lambda lines: lines[0].startswith("connection lost: "), "the loss")
        assert "CP-001" in "".join(terminal.lines())
        with telling(feed):
            terminal.until(lambda lines: lines[0].startswith("ON 30"), "it is followed again")
        terminal.press("q")
        assert terminal.end() == 0


def test_no_terminal_to_draw_on(tmp_path: Path) -> None:
    """Proves: a pipe, and a terminal that can't be drawn on, are one sentence and code 2."""
    command = command_for(tmp_path, 1, "watch")
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "evd: evd watch needs a terminal; a script asks evd feed or evd status.\n"
    with on_terminal(command, TERM="dumb") as terminal:
        assert terminal.end() == 2
        assert b"and TERM is dumb" in terminal.written


def test_the_feed_on_a_pipe(tmp_path: Path) -> None:
    """Proves: each message is a line of JSON as it comes; a reader that goes away ends it while the
    feed is silent; Ctrl-C does so too; --once is the snapshot alone; none leaves a traceback."""
    with telling(FakeFeed(snapshot(*POINTS))) as feed:
        command = command_for(tmp_path, feed.port, "feed", "--cp", "1", "--cp", "CP-2")
        once = subprocess.run([*command, "--once"], capture_output=True, check=True)
        assert json.loads(once.stdout) == json.loads(json.dumps(feed.first))
        assert feed.asked == ["/feed?cp_id=CP-001&cp_id=CP-2"]
        for is_read in (True, False):
            with subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=subprocess.PIPE
            ) as process:
                assert process.stdout is not None and process.stderr is not None
                assert json.loads(process.stdout.readline())["type"] == "snapshot"
                feed.say(update(a_point("CP-001", state="BROKEN")))
                changed = json.loads(process.stdout.readline())
                assert changed["charging_points"][0]["state"] == "BROKEN"
                if is_read:
                    process.send_signal(signal.SIGINT)
                else:
                    process.stdout.close()
                assert process.wait(BOUND_S) == (130 if is_read else 1)
                assert process.stderr.read() == b""


def test_the_feed_is_found_again(tmp_path: Path) -> None:
    """Proves: a feed that goes is told once on standard error, and goes on with a snapshot when it
    is back; without any, --once fails with a sentence, and so does what Central refuses."""
    feed = FakeFeed(snapshot(*POINTS), port=free_port())
    command = command_for(tmp_path, feed.port, "feed")
    once = subprocess.run([*command, "--once"], capture_output=True, text=True, check=False)
    assert (once.returncode, once.stdout) == (1, "")
    assert once.stderr == f"evd: The feed at {feed.url} can't be reached: Connection refused.\n"
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stderr is not None
        for _ in range(2):
            with telling(feed):
                assert json.loads(process.stdout.readline())["type"] == "snapshot"
        process.send_signal(signal.SIGTERM)
        assert process.wait(BOUND_S) == 130
        told = process.stderr.read().decode()
    assert f"evd: The feed at {feed.url} has ended. Trying again.\n" in told
    feed.refusal = (400, "cp_id is not well formed")
    with telling(feed):
        refused = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (refused.returncode, refused.stderr) == (1, "evd: Cp_id is not well formed.\n")
