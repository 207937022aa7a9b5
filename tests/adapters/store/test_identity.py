"""The identity of a database: one Central at a time, and an older copy is known for what it is."""

import errno
import logging
import os
import shutil
from pathlib import Path

import pytest
import trio

from evd.adapters.store import StoreFailed, StoreInUse, StoreRefused, backup, open_store, restore
from evd.adapters.store.epoch_file import FILE_NAME, EpochFile, Progress
from tests.adapters.store.databases import url_of
from tests.adapters.store.rows import a_charging_point, a_session, stored_session

# A user who runs no Central here.
NOBODY = 65534


async def test_a_second_name_is_the_same_database(tmp_path: Path) -> None:
    """Proves: a symbolic link does not let two Centrals write into one file."""
    path = tmp_path / "central.db"
    (tmp_path / "other.db").symlink_to(path)
    async with open_store(url_of(path), tmp_path):
        with pytest.raises(StoreInUse):
            async with open_store(url_of(tmp_path / "other.db"), tmp_path):
                pass


async def a_network(url: str, state_dir: Path, copy: Path) -> str:
    """A database with a copy of itself, and with a commit that the copy lacks; its central_id."""
    async with open_store(url, state_dir) as store:
        await store.begin_epoch()
        await store.commit([a_charging_point("CP-1"), a_charging_point("CP-2")])
        await store.backup(copy)
        await store.commit([a_session(1)])
        return store.meta.central_id


async def test_an_older_copy_is_noticed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Proves: a copy made since the last start, put back by hand, makes another Central.

    It waits for every charging point that it knows, over a further restart too.
    """
    path, copy = tmp_path / "central.db", tmp_path / "copy.db"
    central_id = await a_network(url_of(path), tmp_path, copy)
    shutil.copy(copy, path)
    with caplog.at_level(logging.WARNING):
        async with open_store(url_of(path), tmp_path) as store:
            renewed = store.meta
    assert "older copy" in caplog.text and "CP-1, CP-2" in caplog.text
    assert renewed.central_id != central_id
    assert renewed.recovering == {"CP-1", "CP-2"}
    async with open_store(url_of(path), tmp_path) as store:
        assert store.meta == renewed


async def test_another_database_is_noticed(tmp_path: Path) -> None:
    """Proves: a database of another history, put in this one's place, makes another Central."""
    path, other = tmp_path / "central.db", tmp_path / "other.db"
    (tmp_path / "elsewhere").mkdir()
    other_id = await a_network(url_of(other), tmp_path / "elsewhere", tmp_path / "copy.db")
    async with open_store(url_of(path), tmp_path):
        pass
    shutil.copy(other, path)
    async with open_store(url_of(path), tmp_path) as store:
        assert store.meta.central_id != other_id
        assert store.meta.recovering == {"CP-1", "CP-2"}


async def test_a_lost_database_begins_anew(tmp_path: Path) -> None:
    """Proves: without a past there is nobody to wait for, only a new identity."""
    path = tmp_path / "central.db"
    central_id = await a_network(url_of(path), tmp_path, tmp_path / "copy.db")
    path.unlink()
    async with open_store(url_of(path), tmp_path) as store:
        assert store.meta.central_id != central_id
        assert not store.meta.recovering


@pytest.mark.parametrize("line", [None, "", "garbage\n", "x 1 2\n", "\0" * 80])
async def test_a_lost_or_damaged_witness_costs_nothing(tmp_path: Path, line: str | None) -> None:
    """Proves: the small file beside the database is a help, never a hindrance."""
    path = tmp_path / "central.db"
    central_id = await a_network(url_of(path), tmp_path, tmp_path / "copy.db")
    witness = tmp_path / FILE_NAME
    if line is None:
        witness.unlink()
    else:
        witness.write_text(line)
    async with open_store(url_of(path), tmp_path) as store:
        assert store.meta.central_id == central_id
        await store.begin_epoch()
    assert witness.read_text().startswith(f"{central_id} ")


async def test_a_witness_that_knows_less_is_believed(tmp_path: Path) -> None:
    """Proves: a power cut, which the database outlives better than the file, is no restore."""
    path, witness = tmp_path / "central.db", tmp_path / FILE_NAME
    async with open_store(url_of(path), tmp_path) as store:
        await store.commit([a_charging_point("CP-1")])
        older = witness.read_bytes()
        await store.commit([a_session(1)])
        meta = store.meta
    witness.write_bytes(older)
    async with open_store(url_of(path), tmp_path) as store:
        assert store.meta == meta


async def test_a_backup_is_whole_while_commits_go_on(tmp_path: Path) -> None:
    """Proves: a copy of a busy database is one moment of it, and hinders nobody."""
    url, copy = url_of(tmp_path / "central.db"), tmp_path / "copy.db"
    async with open_store(url, tmp_path) as store:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(store.backup, copy)
            number = 0
            while not copy.exists() or number < 50:
                await store.commit([a_session(number)])
                number += 1
        with pytest.raises(StoreRefused, match="exists already"):
            await store.backup(copy)
    async with open_store(url_of(copy), tmp_path / "nowhere") as store:
        numbers = [int(s.session_id.removeprefix("session-")) for s in await store.sessions()]
    assert numbers == sorted(numbers, reverse=True)
    assert not numbers or numbers[-1] == 0 or len(numbers) == 100


async def test_restore_puts_a_copy_back(tmp_path: Path) -> None:
    """Proves: the operator's restore gives the copy's content, a new identity, and all to wait for.

    What it replaced is still there, and a log that was left over is not taken for the copy's.
    """
    path, copy = tmp_path / "central.db", tmp_path / "copy.db"
    central_id = await a_network(url_of(path), tmp_path, copy)
    path.with_name("central.db-wal").write_bytes(b"left over")
    meta = restore(url_of(path), tmp_path, copy)
    assert meta.central_id != central_id
    assert meta.recovering == {"CP-1", "CP-2"}
    async with open_store(url_of(path), tmp_path) as store:
        assert store.meta == meta
        assert await stored_session(store, "session-1") is None
    kept = tmp_path / "kept"
    kept.mkdir()
    shutil.copy(tmp_path / "central.db.replaced", kept / "central.db")
    async with open_store(url_of(kept / "central.db"), kept) as store:
        assert await stored_session(store, "session-1") is not None
    assert copy.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")
async def test_what_root_restores_is_central_s(tmp_path: Path) -> None:
    """Proves: on a host, where root restores and another user runs Central, nothing is left behind
    that this user can't read and write."""
    state_dir = tmp_path / "state"
    state_dir.mkdir()
    url = url_of(state_dir / "central.db")
    await a_network(url, state_dir, tmp_path / "copy.db")
    nobody = 65534
    for path in (state_dir, *state_dir.iterdir()):
        os.chown(path, nobody, nobody)
    restore(url, state_dir, tmp_path / "copy.db")
    assert {path.name for path in state_dir.iterdir() if path.stat().st_uid != nobody} == set()


async def test_restore_where_nothing_was(tmp_path: Path) -> None:
    """Proves: a backup makes a Central on a new host."""
    copy, new = tmp_path / "copy.db", tmp_path / "new"
    await a_network(url_of(tmp_path / "central.db"), tmp_path, copy)
    new.mkdir()
    meta = restore(url_of(new / "central.db"), new, copy)
    async with open_store(url_of(new / "central.db"), new) as store:
        assert store.meta == meta


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a file away")
async def test_what_root_restores_is_centrals_own(tmp_path: Path) -> None:
    """Proves: on a host, where root restores and another user runs Central, each file that a
    restore makes belongs to that user, the one that knows how far the database had come too."""
    state_dir, copy = tmp_path / "state", tmp_path / "copy.db"
    state_dir.mkdir()
    url = url_of(state_dir / "central.db")
    await a_network(url, state_dir, copy)
    for path in (*state_dir.iterdir(), state_dir):
        os.chown(path, NOBODY, NOBODY)
    restore(url, state_dir, copy)
    assert {path.stat().st_uid for path in state_dir.iterdir()} == {NOBODY}
    assert (state_dir / FILE_NAME).exists()


async def test_restore_refuses_what_would_lose_something(tmp_path: Path) -> None:
    """Proves: a running Central, a file that is no backup, or none, changes nothing."""
    path, copy = tmp_path / "central.db", tmp_path / "copy.db"
    central_id = await a_network(url_of(path), tmp_path, copy)
    async with open_store(url_of(path), tmp_path):
        with pytest.raises(StoreInUse):
            restore(url_of(path), tmp_path, copy)
    garbage, cut = tmp_path / "garbage.db", tmp_path / "cut.db"
    garbage.write_bytes(b"not a database" * 1000)
    cut.write_bytes(copy.read_bytes()[: 8 * 4096])
    for bad in (garbage, cut, tmp_path / "none.db", tmp_path):
        with pytest.raises((StoreRefused, StoreFailed)):
            restore(url_of(path), tmp_path, bad)
    async with open_store(url_of(path), tmp_path) as store:
        assert store.meta.central_id == central_id
        assert await stored_session(store, "session-1") is not None


def test_backup_of_nothing(tmp_path: Path) -> None:
    """Proves: a mistyped --db-url makes neither a backup nor an empty database."""
    with pytest.raises(StoreRefused, match="does not exist"):
        backup(url_of(tmp_path / "central.db"), tmp_path / "copy.db")
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_fails_again_is_told_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Proves: each outage of the epoch's file is one line at its beginning and one at its end, not
    only the first of a process's life."""
    caplog.set_level(logging.INFO)
    file = EpochFile(tmp_path)
    seen = Progress("central-1", 1, 1)
    file.note(seen)

    def fail(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    for _ in range(2):
        with monkeypatch.context() as patch:
            patch.setattr(os, "pwrite", fail)
            for _ in range(5):
                file.note(seen)
        file.note(seen)
    file.close()
    assert [each.levelname for each in caplog.records] == ["WARNING", "INFO"] * 2
