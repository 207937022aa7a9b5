"""The pause before the next start of a program that dies again and again."""

import contextlib
import time
from pathlib import Path

import pytest

from evd.adapters.supervisor.restart_delay import (
    DELAY_S_MAX,
    FILE,
    STEADY_S,
    next_delay_s,
    pause,
)


def test_it_grows_from_nothing_to_its_bound() -> None:
    """Proves: the first new start comes at once, each further one twice as late, none later than
    the bound."""
    last: tuple[float, float] | None = None
    found, now_s = [], 100.0
    for _ in range(8):
        delay_s = next_delay_s(last, now_s)
        found.append(delay_s)
        last = (now_s + delay_s, delay_s)
        now_s = last[0] + 0.1
    assert found == [0.0, 0.5, 1.0, 2.0, 4.0, 8.0, 8.0, 8.0]
    assert max(found) == DELAY_S_MAX


def test_a_long_life_ends_the_row() -> None:
    """Proves: a death after hours of work is a first one again, whatever went before."""
    assert next_delay_s((100.0, 8.0), 100.0 + STEADY_S) == 0.0


@pytest.mark.parametrize("content", [b"", b"x y\n", b"1\n", b"\xff" * 200])
def test_a_file_that_says_nothing_costs_no_time(tmp_path: Path, content: bytes) -> None:
    """Proves: the file of another release, or half of one, holds up no start."""
    (tmp_path / FILE).write_bytes(content)
    began_s = time.monotonic()
    pause(str(tmp_path))
    assert time.monotonic() - began_s < 0.4
    assert len((tmp_path / FILE).read_text().split()) == 2


def test_the_second_start_waits(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Proves: one start notes its time for the next, which waits and says so in the unit's log."""
    folders = f"{tmp_path}:/run/evd/more"
    pause(folders)
    began_s = time.monotonic()
    pause(folders)
    assert time.monotonic() - began_s >= 0.5
    assert "started again in 0.5 s" in capfd.readouterr().err


def test_outside_a_unit_there_is_no_pause(tmp_path: Path) -> None:
    """Proves: without a runtime directory nothing is waited for and nothing written."""
    with contextlib.chdir(tmp_path):
        pause("")
    assert list(tmp_path.iterdir()) == []
