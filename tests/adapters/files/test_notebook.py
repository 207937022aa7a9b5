"""The driver's notebook on a real disk."""

import errno
import os
from datetime import UTC, datetime
from pathlib import Path

import attrs
import pytest

from evd.adapters.files.notebook import FILE_NAME, ForeignNotebook, Notebook, NotSaved
from evd.core.driver.disk import BLANK_DISK, FINALS_MAX, REQUESTS_MAX, DriverDisk, OpenRequest
from evd.core.wire.messages import Action, DriverUpdate, RequestStatus

ALICE = "driver-alice"
WALL = datetime(2026, 1, 31, 12, tzinfo=UTC)


def full_disk(requests: int = 2, finals: int = 2) -> DriverDisk:
    """A disk with some of everything."""
    ended = tuple(
        DriverUpdate(
            f"req-{number}",
            ALICE,
            None if number % 2 else "CP-001",
            RequestStatus.FAILED,
            'no "coordinator" €\n',
            session_id=f"session-{number}",
            kwh=0.061,
            euros=0.02,
            ts=WALL,
        )
        for number in range(finals)
    )
    still_open = tuple(
        OpenRequest(
            f"req-open-{number}",
            None if number % 2 else "CP-001",
            "car-1" if number % 2 else None,
            action=Action.STOP,
            answered=True,
            given_up=False,
            session_id="session-9",
            session_cp_id="CP-001",
            started_at=WALL,
        )
        for number in range(requests)
    )
    return DriverDisk(still_open, ended, ended[-1:], "digest", 7)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    """Proves: a restart finds all that was saved, and nothing where nothing was."""
    notebook = Notebook(tmp_path, ALICE)
    assert notebook.read() == BLANK_DISK
    for disk in (BLANK_DISK, full_disk(), full_disk(REQUESTS_MAX, FINALS_MAX)):
        notebook.write(disk)
        assert Notebook(tmp_path, ALICE).read() == disk


@pytest.mark.parametrize(
    "damage", ["torn", "flipped", "empty", "other JSON", "wrong field", "too deep"]
)
def test_a_damaged_notebook_is_put_aside_loudly(
    tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Proves: damage is found, logged and kept for a look at it, and the driver goes on."""
    notebook = Notebook(tmp_path, ALICE)
    notebook.write(full_disk())
    whole = notebook.path.read_bytes()
    broken = {
        "torn": whole[: len(whole) // 2],
        "flipped": whole.replace(b"req-open-0", b"req-open-8"),
        "empty": b"",
        "other JSON": b"[1, 2]",
        "wrong field": whole.replace(b'"STOP"', b'"HALT"'),
        "too deep": whole.replace(
            b'"finals":[', b'"deep":%s%s,"finals":[' % (b"[" * 300, b"]" * 300)
        ),
    }[damage]
    assert broken != whole
    notebook.path.write_bytes(broken)
    assert notebook.read() == BLANK_DISK
    assert (tmp_path / (FILE_NAME + ".damaged")).read_bytes() == broken
    assert "damaged" in caplog.text
    notebook.write(full_disk())
    assert notebook.read() == full_disk()


def test_another_drivers_notebook_is_refused(tmp_path: Path) -> None:
    """Proves: a state directory that was given to the wrong driver is not overwritten."""
    Notebook(tmp_path, ALICE).write(full_disk())
    with pytest.raises(ForeignNotebook, match=ALICE):
        Notebook(tmp_path, "driver-bob").read()


def test_a_disk_that_refuses_keeps_the_page_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Proves: a full disk is told as NotSaved, and what was saved before stays."""
    notebook = Notebook(tmp_path, ALICE)
    notebook.write(full_disk())

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(NotSaved, match="No space left"):
            notebook.write(attrs.evolve(full_disk(), file_line=8))
    assert notebook.read() == full_disk()
