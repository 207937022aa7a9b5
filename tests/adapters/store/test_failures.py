"""Central's database on a failing disk, in a damaged file, on a lost server."""

import contextlib
import errno
import os
import re
import sqlite3
from pathlib import Path
from typing import Any

import pytest
import trio
from sqlalchemy.engine import make_url

from evd.adapters.store import Page, Store, StoreFailed, StoreInUse, StoreRefused, open_store
from evd.adapters.store.lock import FileLock
from evd.adapters.store.postgresql import Postgresql
from evd.version import VERSION
from tests.adapters.store.databases import cut_connections, new_postgres_url, python, url_of
from tests.adapters.store.rows import a_charging_point, a_fault, a_session
from tests.network.disks import fill, read_only

COMMITTER = """
import sys, trio
from pathlib import Path
from evd.adapters.store import open_store
from tests.adapters.store.rows import a_fault, a_session

async def commit():
    async with open_store(sys.argv[1], Path(sys.argv[2])) as store:
        number = 0
        while True:
            await store.commit([a_session(number), a_fault(number)])
            print(number, flush=True)
            number += 1

trio.run(commit)
"""


async def session_ids(store: Store) -> set[str]:
    """The sessions that are stored."""
    return {session.session_id for session in await store.sessions(limit=1000)}


@pytest.mark.parametrize("small", ["tmpfs"], indirect=True)
async def test_a_full_disk(small: Path) -> None:
    """Proves: on a full disk nothing of a batch is stored, nothing earlier is lost, and when there
    is room again the same store works again."""
    path = small / "central.db"
    async with open_store(url_of(path), small) as store:
        await store.commit([a_session(1), a_charging_point()])
        filler = fill(small)
        batch = [*(a_session(n) for n in range(100, 400)), a_session(2)]
        for _ in range(3):
            with pytest.raises(StoreFailed, match="the disk is full"):
                await store.commit(batch)
        assert await session_ids(store) == {"session-1"}
        filler.unlink()
        await store.commit([a_session(3)])
        assert await session_ids(store) == {"session-1", "session-3"}
    async with open_store(url_of(path), small) as store:
        assert await session_ids(store) == {"session-1", "session-3"}
        assert not store.meta.recovering


@pytest.mark.parametrize("small", ["tmpfs"], indirect=True)
async def test_a_disk_that_is_full_at_the_start(small: Path) -> None:
    """Proves: a new Central on a full disk says so in one sentence that names the flag."""
    filler = fill(small)
    with pytest.raises((StoreFailed, StoreRefused), match=r"^--db-url: .*(full|No space)"):
        async with open_store(url_of(small / "central.db"), small):
            pass
    filler.unlink()
    async with open_store(url_of(small / "central.db"), small) as store:
        await store.begin_epoch()


@pytest.mark.parametrize("number", [errno.EIO, errno.EROFS, errno.ENOSPC])
async def test_a_disk_that_gives_no_lock_may_give_it_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """Proves: a lock that a failing disk does not give is no word to an operator: Central waits."""

    def fail(_: FileLock) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(FileLock, "acquire", fail)
    with pytest.raises(StoreFailed, match=rf"^--db-url: .* {os.strerror(number)}$"):
        async with open_store(url_of(tmp_path / "central.db"), tmp_path):
            pass


@pytest.mark.parametrize("small", ["ext4"], indirect=True)
async def test_a_disk_that_cannot_be_written(small: Path) -> None:
    """Proves: on a disk that takes no writes nothing is stored, what is there can be read, and the
    same store works again when the disk does."""
    path = small / "central.db"
    async with open_store(url_of(path), small) as store:
        await store.commit([a_session(1)])
        with read_only(path, path.with_name("central.db-wal")):
            for _ in range(2):
                with pytest.raises(StoreFailed):
                    await store.commit([a_session(2)])
            assert await session_ids(store) == {"session-1"}
        await store.commit([a_session(3)])
        assert await session_ids(store) == {"session-1", "session-3"}


async def test_a_database_that_another_program_holds(tmp_path: Path) -> None:
    """Proves: a program that locks the file costs a commit, and Central nothing more."""
    path = tmp_path / "central.db"
    async with open_store(url_of(path), tmp_path) as store:
        with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(StoreFailed, match="another program holds the database locked"):
                await store.commit([a_session(1)])
            assert await session_ids(store) == set()
            other.execute("ROLLBACK")
        await store.commit([a_session(2)])
        assert await session_ids(store) == {"session-2"}


async def test_what_was_said_to_be_stored_outlives_a_kill(tmp_path: Path) -> None:
    """Proves: every commit that returned is there after a SIGKILL, and no half of any other; while
    another process has the database it is named, and killed it leaves no lock behind."""
    path = tmp_path / "central.db"
    with python(COMMITTER, url_of(path), str(tmp_path)) as committer:
        assert committer.stdout is not None
        for _ in range(50):
            await trio.to_thread.run_sync(committer.stdout.readline)
        with pytest.raises(StoreInUse, match=f"process {committer.pid}"):
            async with open_store(url_of(path), tmp_path):
                pass
        committer.kill()
        rest = await trio.to_thread.run_sync(committer.stdout.read)
    stored_count = 50 + rest.count(b"\n")
    async with open_store(url_of(path), tmp_path) as store:
        sessions = await session_ids(store)
        assert sessions >= {f"session-{n}" for n in range(stored_count)}
        assert len(await store.faults(page=Page(1000))) == len(sessions) <= stored_count + 1
        assert not store.meta.recovering


async def a_closed_database(tmp_path: Path) -> Path:
    """A sound file with some rows."""
    path = tmp_path / "central.db"
    async with open_store(url_of(path), tmp_path) as store:
        await store.commit([a_session(n) for n in range(200)])
    return path


async def refusal(path: Path, state_dir: Path) -> str:
    """The refusal to open it, as one line."""
    with pytest.raises(StoreRefused) as caught:
        async with open_store(url_of(path), state_dir):
            pass
    assert re.fullmatch(r"--db-url: [^\n]+", str(caught.value))
    return str(caught.value)


async def test_a_damaged_file(tmp_path: Path) -> None:
    """Proves: a damaged database is one sentence that says what helps, at the head or inside."""
    path = await a_closed_database(tmp_path)
    sound = path.read_bytes()
    path.write_bytes(b"\0" * 100 + sound[100:])
    assert "is damaged" in await refusal(path, tmp_path)
    path.write_bytes(b"some other file\n" * 100)
    assert "evd central restore" in await refusal(path, tmp_path)
    # Inside: looked for where the last Central did not come to its end.
    path.write_bytes(sound[: 3 * 4096] + b"\xff" * 4096 + sound[4 * 4096 :])
    path.with_name("central.db-wal").touch()
    assert "is damaged" in await refusal(path, tmp_path)
    path.write_bytes(sound)
    async with open_store(url_of(path), tmp_path) as store:
        assert len(await session_ids(store)) == 200


async def test_what_is_no_database(tmp_path: Path) -> None:
    """Proves: a directory, a missing directory or a newer evd's tables are each one
    sentence, which names both releases."""
    path = await a_closed_database(tmp_path)
    assert "is a directory" in await refusal(tmp_path, tmp_path)
    assert "does not exist" in await refusal(tmp_path / "none" / "central.db", tmp_path)
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
        connection.execute("UPDATE schema_release SET release = '9.8.7'")
    told = await refusal(path, tmp_path)
    assert "tables of version 9999, made by evd 9.8.7: this is evd " + VERSION in told


async def test_a_database_replaced_under_way(tmp_path: Path) -> None:
    """Proves: a Central whose file was put back from a copy does not go on writing into it."""
    path, copy = tmp_path / "central.db", tmp_path / "copy.db"
    async with open_store(url_of(path), tmp_path) as store:
        await store.backup(copy)
        await store.commit([a_session(1)])
        with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(StoreFailed):
                await store.commit([a_session(2)])
            other.execute("ROLLBACK")
        for suffix in ("-wal", "-shm"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)
        copy.replace(path)
        with pytest.raises(StoreInUse, match="put back from a copy"):
            await store.commit([a_session(2)])


@pytest.mark.postgres
async def test_a_connection_that_is_cut_off(postgres: Path, tmp_path: Path) -> None:
    """Proves: a lost connection costs one commit, after which the same store works again."""
    url = new_postgres_url(postgres)
    async with open_store(url, tmp_path) as store:
        await store.commit([a_session(1)])
        assert await session_ids(store) == {"session-1"}
        cut_connections(postgres, url)
        with pytest.raises(StoreFailed):
            await store.commit([a_session(2)])
        await store.commit([a_session(2)])
        assert await session_ids(store) == {"session-1", "session-2"}


@pytest.mark.postgres
async def test_an_end_and_a_start_at_once(postgres: Path, tmp_path: Path) -> None:
    """Proves: a Central that ends and begins again is not taken for another one."""
    url = new_postgres_url(postgres)
    for epoch in range(1, 21):
        async with open_store(url, tmp_path) as store:
            assert (await store.begin_epoch()).epoch == epoch


@pytest.mark.postgres
def test_a_server_gives_up_a_host_that_is_gone(postgres: Path) -> None:
    """Proves: the server too looks whether its client still is there, so that the lock of a Central
    whose host died keeps no other out for hours."""
    url = make_url(new_postgres_url(postgres, by_tcp=True))
    connection = Postgresql(url).connect_writer()
    try:
        cursor = connection.cursor()
        found = {}
        for name in ("keepalives_idle", "keepalives_interval", "keepalives_count", "user_timeout"):
            cursor.execute(f"SHOW tcp_{name}")
            found[name] = (cursor.fetchone() or ("",))[0]
        assert found == {
            "keepalives_idle": "2",
            "keepalives_interval": "1",
            "keepalives_count": "2",
            "user_timeout": "4000",
        }
    finally:
        connection.close()


@pytest.mark.postgres
async def test_one_central_on_a_server(postgres: Path, tmp_path: Path) -> None:
    """Proves: the server keeps a second Central out, and one that lost its lock to another for
    good."""
    url = new_postgres_url(postgres)
    other_dir = tmp_path / "other"
    other_dir.mkdir()
    async with open_store(url, tmp_path) as first:
        with pytest.raises(StoreInUse, match="in use by another Central"):
            async with open_store(url, other_dir):
                pass
        cut_connections(postgres, url)
        async with open_store(url, other_dir) as second:
            await second.begin_epoch()
            with pytest.raises(StoreFailed):
                await first.commit([a_fault(1)])
            with pytest.raises(StoreInUse):
                await first.commit([a_fault(1)])
            assert await second.faults() == {}


class AnswerLost:
    """A connection, its own one cursor, whose answer to a COMMIT never arrives."""

    def __init__(self, connection: Any, error: Exception) -> None:
        self._connection = connection
        self._error = error

    def cursor(self) -> "AnswerLost":
        self._cursor = self._connection.cursor()
        return self

    def execute(self, statement: str, *arguments: object) -> None:
        """Carry it out, and lose the answer to the last of all."""
        self._cursor.execute(statement, *arguments)
        if statement == "COMMIT":
            self._connection.close()
            raise self._error

    def executemany(self, *arguments: object) -> None:
        self._cursor.executemany(*arguments)

    def close(self) -> None:
        """It is closed already."""


@pytest.mark.postgres
async def test_a_commit_in_doubt_is_stored_once(postgres: Path, tmp_path: Path) -> None:
    """Proves: a batch whose answer was lost is not stored a second time when it is repeated."""
    async with open_store(new_postgres_url(postgres), tmp_path) as store:
        await store.commit([a_session(1)])
        writer = store._writer
        lossy = AnswerLost(writer._connection, writer._database.errors("the connection is lost"))
        writer._connection = lossy  # type: ignore[assignment]
        with pytest.raises(StoreFailed):
            await store.commit([a_fault(1)])
        await store.commit([a_fault(1)])
        assert list((await store.faults()).values()) == [a_fault(1)]
        await store.commit([a_fault(1)])
        assert len(await store.faults()) == 2


@pytest.mark.postgres
async def test_a_server_that_is_away(tmp_path: Path) -> None:
    """Proves: a server that cannot be reached is one sentence, without the password."""
    url = f"postgresql+psycopg://evd:secret@/central?host={tmp_path}"
    with pytest.raises(
        StoreFailed, match=r"^--db-url: \S*evd:\*\*\*@\S* cannot be opened"
    ) as caught:
        async with open_store(url, tmp_path):
            pass
    assert "\n" not in str(caught.value) and "secret" not in str(caught.value)
