"""FIFOs, devices and directories in the place of our files: none of them is waited for."""

import os
from pathlib import Path

import pytest

from evd.adapters.buffer import BufferUnusable, open_buffer
from evd.adapters.files.instance import ID_FILE, read_instance_id
from evd.adapters.files.notebook import FILE_NAME, Notebook, NotSaved
from evd.adapters.files.state_dir import LOCK_FILE, held_state_dir
from evd.config import read_requests_file
from evd.core.driver.disk import BLANK_DISK
from evd.flags import ConfigError


def test_a_requests_file_that_is_none(tmp_path: Path) -> None:
    """Proves: a FIFO, a device or a directory is an error of its flag, at once."""
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    for path in (fifo, Path("/dev/zero"), Path("/dev/null"), tmp_path):
        with pytest.raises(ConfigError, match=r"^--requests-file: '.*': is no regular file$"):
            read_requests_file(path)


@pytest.mark.parametrize("name", [FILE_NAME, FILE_NAME + ".new", ID_FILE, LOCK_FILE])
def test_a_state_file_that_is_none(tmp_path: Path, name: str) -> None:
    """Proves: a FIFO in the place of a file that a start opens is one error, and no hang."""
    os.mkfifo(tmp_path / name)
    with pytest.raises((OSError, NotSaved), match="is no regular file"):
        if name == ID_FILE:
            read_instance_id(tmp_path)
        elif name == FILE_NAME:
            Notebook(tmp_path, "driver-alice").read()
        elif name == LOCK_FILE:
            with held_state_dir(tmp_path, 1):
                pass
        else:
            Notebook(tmp_path, "driver-alice").write(BLANK_DISK)


@pytest.mark.parametrize(
    "name", ["sessions.db", "sessions.db-wal", "sessions.db.salvaged", "reserve"]
)
async def test_an_engines_file_that_is_none(tmp_path: Path, name: str) -> None:
    """Proves: an engine whose buffer is no file says so, and does not wait for it."""
    os.mkfifo(tmp_path / name)
    with pytest.raises(BufferUnusable, match="is no regular file"):
        async with open_buffer(tmp_path, "CP-001"):
            pass
