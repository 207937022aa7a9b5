"""A file that is not Central's own is refused, and nothing beside it or in it is touched."""

import contextlib
import os
import shutil
import socket
import sqlite3
from pathlib import Path

import pytest
import trio

from evd.adapters.store import StoreRefused, backup, open_store, restore
from evd.adapters.store.backup import check_backup
from evd.adapters.store.epoch_file import FILE_NAME, EpochFile
from tests.adapters.store.rows import a_session

BOUND_S = 5.0


def url_of(path: Path) -> str:
    """The --db-url of a file."""
    return f"sqlite:///{path}"


def a_stranger(folder: Path, kind: str) -> Path:
    """Something of this kind that is no database of Central's."""
    path = folder / "stranger"
    if kind == "text":
        path.write_text("root:x:0:0:root:/root:/bin/bash\n")
    elif kind == "directory":
        path.mkdir()
    elif kind == "fifo":
        os.mkfifo(path)
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(path))
    elif kind == "device":
        path.symlink_to("/dev/zero")
    else:
        with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute(f"PRAGMA journal_mode = {'WAL' if 'log' in kind else 'DELETE'}")
            name = "alembic_version" if kind == "alembic" else "people"
            other.execute(f"CREATE TABLE {name} (version_num TEXT)")
            other.execute(f"INSERT INTO {name} VALUES ('0001')")
            if kind == "sqlite with a log":
                shutil.copytree(folder, folder.with_name("copy"))
        if kind == "sqlite with a log":
            # As its program left it when it was killed: all of it still stands in the log.
            shutil.rmtree(folder)
            folder.with_name("copy").rename(folder)
    return path


def traces(folder: Path) -> dict[str, tuple[int, int, bytes]]:
    """All that can be seen of what stands in a folder."""
    return {
        each.name: (
            each.lstat().st_mode,
            each.lstat().st_mtime_ns,
            each.read_bytes() if each.is_file() else b"",
        )
        for each in folder.iterdir()
    }


@pytest.mark.parametrize(
    "kind",
    ["text", "directory", "fifo", "socket", "device", "sqlite", "sqlite with a log", "alembic"],
)
async def test_a_stranger_is_left_alone(tmp_path: Path, kind: str) -> None:
    """Proves: `--db-url sqlite:////etc/passwd` is one sentence, and no lock, log or table comes of
    it; neither by a backup of it, nor by a restore from it or over it."""
    state_dir, folder, sound = tmp_path / "state", tmp_path / "etc", tmp_path / "sound"
    for each in (state_dir, folder, sound):
        each.mkdir()
    stranger = a_stranger(folder, kind)
    async with open_store(url_of(sound / "central.db"), sound) as store:
        await store.commit([a_session(1)])
        await store.backup(sound / "copy.db")
    before = traces(folder), traces(state_dir)
    with pytest.raises(StoreRefused, match=r"^--db-url: [^\n]+$"):
        async with open_store(url_of(stranger), state_dir):
            pass
    with pytest.raises(StoreRefused):
        backup(url_of(stranger), tmp_path / "stolen.db")
    with pytest.raises(StoreRefused):
        check_backup(url_of(state_dir / "central.db"), stranger)
    with pytest.raises(StoreRefused):
        restore(url_of(stranger), state_dir, sound / "copy.db")
    assert (traces(folder), traces(state_dir)) == before
    assert not (tmp_path / "stolen.db").exists()


@pytest.mark.parametrize("content", ["another program's words\n", None])
async def test_a_lock_of_another_program_is_left_alone(tmp_path: Path, content: str | None) -> None:
    """Proves: what has the name of the lock, and is a link or another program's, is not written."""
    secret = tmp_path / "secret"
    secret.write_text("precious\n")
    lock = tmp_path / "central.db.lock"
    if content is None:
        lock.symlink_to(secret)
    else:
        lock.write_text(content)
    with pytest.raises(StoreRefused, match=r"^--db-url: .*lock"):
        async with open_store(url_of(tmp_path / "central.db"), tmp_path):
            pass
    assert secret.read_text() == "precious\n"
    assert content is None or lock.read_text() == content
    assert not (tmp_path / "central.db").exists()


async def test_a_check_of_a_backup_leaves_nothing_beside_it(tmp_path: Path) -> None:
    """Proves: a copy on a disk that is not ours to write can be looked at."""
    copies = tmp_path / "copies"
    copies.mkdir()
    async with open_store(url_of(tmp_path / "central.db"), tmp_path) as store:
        await store.backup(copies / "copy.db")
    before = traces(copies)
    check_backup(url_of(tmp_path / "central.db"), copies / "copy.db")
    restore(url_of(tmp_path / "central.db"), tmp_path, copies / "copy.db")
    assert traces(copies) == before


@pytest.mark.parametrize("suffix", ["-wal", "-shm", "-journal"])
@pytest.mark.parametrize("kind", ["fifo", "directory", "socket", "device"])
async def test_what_stands_beside_it_is_a_file(tmp_path: Path, kind: str, suffix: str) -> None:
    """Proves: a FIFO, or whatever is no file, that has the name of SQLite's log or index is one
    sentence, also where the database is not in the state directory; neither a start, nor a backup,
    nor a restore over it opens it."""
    path, sound = tmp_path / "central.db", tmp_path / "sound"
    sound.mkdir()
    async with open_store(url_of(path), tmp_path) as store:
        await store.backup(sound / "copy.db")
    a_stranger(tmp_path, kind).rename(tmp_path / f"central.db{suffix}")
    with pytest.raises(StoreRefused, match=rf"central\.db{suffix}, which is no regular file$"):
        async with open_store(url_of(path), tmp_path):
            pass
    for use in (
        lambda: backup(url_of(path), tmp_path / "copy.db"),
        lambda: restore(url_of(path), tmp_path, sound / "copy.db"),
    ):
        with pytest.raises(StoreRefused):
            use()


@pytest.mark.parametrize("kind", ["fifo", "directory", "socket", "device"])
async def test_a_witness_that_is_no_file(
    tmp_path: Path, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Proves: a FIFO in the place of the file that knows how far the database had come is not
    waited for, and it is told that it can't be read."""
    a_stranger(tmp_path, kind).rename(tmp_path / FILE_NAME)
    with trio.fail_after(BOUND_S):
        read = EpochFile(tmp_path).read
        assert await trio.to_thread.run_sync(read, abandon_on_cancel=True) is None
    assert "central.epoch cannot be read" in caplog.text
