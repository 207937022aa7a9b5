"""An engine's sessions on a real disk: durable, bounded, repaired, and with room kept for them."""

import contextlib
import sqlite3
import time
from datetime import UTC, datetime
from pathlib import Path

import attrs
import pytest
import trio

from evd.adapters.buffer import BufferCorrupt, BufferFailed, BufferUnusable, open_buffer
from evd.adapters.buffer.buffer import FILE_NAME, RESERVE_NAME, SessionBuffer
from evd.adapters.buffer.database import KEPT_S, SessionDatabase, connect, make_tables
from evd.adapters.buffer.reserve import RESERVE_BYTES, Reserve
from evd.core.engine.events import (
    EngineDisk,
    ReserveRoom,
    Run,
    SaveConfirmed,
    SaveMeter,
    SaveObeyed,
    SaveRecord,
    SaveRun,
)
from evd.version import VERSION
from tests.unit.engine.rig import CP_ID, record_of

WALL = datetime(2026, 1, 31, 12, 0, 0, 123456, UTC)


def run_of(session_id: str) -> Run:
    """A session that has just begun."""
    return Run(session_id, "r1", "driver-alice", "boot-1", WALL, 22.0, 0.3)


async def keep(state_dir: Path, *session_ids: str) -> None:
    """Leave these records in `state_dir`, of which Central has confirmed none."""
    async with open_buffer(state_dir, CP_ID) as buffer:
        for session_id in session_ids:
            await buffer.save(SaveRecord(record_of(session_id)))


async def found(state_dir: Path) -> EngineDisk:
    """The rows that the next engine finds."""
    async with open_buffer(state_dir, CP_ID) as buffer:
        return buffer.disk


async def test_everything_is_there_again(tmp_path: Path) -> None:
    """Proves: whom it obeys, the session that runs with its last reading, and each record with all
    its fields outlive the process."""
    async with open_buffer(tmp_path, CP_ID) as buffer:
        assert buffer.disk == EngineDisk()
        await buffer.save(ReserveRoom())
        await buffer.save(SaveObeyed("central-1"))
        await buffer.save(SaveRun(run_of("s1")))
        await buffer.save(SaveRecord(record_of("s1", "läuft „gut“")))
        await buffer.save(SaveRecord(record_of("s2")))
        await buffer.save(SaveConfirmed(("s1",)))
        await buffer.save(SaveRun(run_of("s3")))
        await buffer.save(SaveMeter("s3", 6_111, 1.25))
    async with open_buffer(tmp_path, CP_ID) as buffer:
        run = attrs.evolve(run_of("s3"), energy_mwh=6_111, metered_s=1.25)
        assert buffer.disk == EngineDisk("central-1", run, ("s2",), ("s1",))
        read = await buffer.read(["s2", "unknown", "s1"])
        assert read == [record_of("s2"), record_of("s1", "läuft „gut“")]


async def test_a_record_takes_the_place_of_its_run(tmp_path: Path) -> None:
    """Proves: after the end of a session no trace of it runs, and room-making ends a stray run."""
    async with open_buffer(tmp_path, CP_ID) as buffer:
        await buffer.save(SaveRun(run_of("s1")))
        await buffer.save(SaveRecord(record_of("s1")))
    assert (await found(tmp_path)).run is None
    async with open_buffer(tmp_path, CP_ID) as buffer:
        await buffer.save(SaveRun(run_of("s2")))
        await buffer.save(ReserveRoom())
    assert await found(tmp_path) == EngineDisk(None, None, ("s1",), ())


async def test_another_central_unconfirms_all(tmp_path: Path) -> None:
    """Proves: with the commit that obeys another Central every record waits for it."""
    await keep(tmp_path, "s1", "s2")
    async with open_buffer(tmp_path, CP_ID) as buffer:
        await buffer.save(SaveConfirmed(("s1", "s2")))
        await buffer.save(SaveObeyed("central-2"))
    assert await found(tmp_path) == EngineDisk("central-2", None, ("s1", "s2"), ())


def opened(path: Path, clock: list[float], kept_max: int) -> SessionDatabase:
    """The database alone, by a clock of the test's."""
    connection = connect(path / FILE_NAME)
    make_tables(connection, CP_ID)
    reserve = Reserve(path / RESERVE_NAME)
    return SessionDatabase(connection, reserve, clock=lambda: clock[0], kept_max=kept_max)


def test_confirmed_records_are_bounded_and_unconfirmed_ones_never_dropped(tmp_path: Path) -> None:
    """Proves: beyond the bound the longest confirmed is let go and named, and none that waits."""
    clock = [0.0]
    database = opened(tmp_path, clock, 3)
    for number in range(8):
        database.save(SaveRecord(record_of(f"s{number}")))
    gone: list[str] = []
    for number in (2, 1, 0, 4, 5):
        clock[0] += 1
        gone += database.save(SaveConfirmed((f"s{number}",)))
    assert gone == ["s2", "s1"]
    assert database.load() == EngineDisk(None, None, ("s3", "s6", "s7"), ("s0", "s4", "s5"))
    database.close()


def test_confirmed_records_are_kept_for_30_days_of_running(tmp_path: Path) -> None:
    """Proves: age is counted in the engine's own running time, over restarts, from the
    confirmation on."""
    clock = [1e6]
    database = opened(tmp_path, clock, 100)
    database.save(SaveRecord(record_of("waits")))
    clock[0] += KEPT_S
    database.save(SaveRecord(record_of("old")))
    assert database.save(SaveConfirmed(("old",))) == ()
    database.close()
    # Another boot of the host: its clock begins anew.
    clock[0] = 5.0
    database = opened(tmp_path, clock, 100)
    for session_id, later_s, gone in (("s1", KEPT_S - 10, ()), ("s2", 20.0, ("old",))):
        clock[0] += later_s
        database.save(SaveRecord(record_of(session_id)))
        assert database.save(SaveConfirmed((session_id,))) == gone
    assert database.load().unconfirmed == ("waits",)
    database.close()


async def test_each_commit_is_durable(tmp_path: Path) -> None:
    """Proves: the file is in the mode in which a commit returns only when it is on the disk."""
    connection = connect(tmp_path / "any.db")
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert connection.execute("PRAGMA synchronous").fetchone() == (2,)
    connection.close()


async def refused(state_dir: Path, cp_id: str = CP_ID) -> str:
    """Return why an engine does not use a state directory."""
    with pytest.raises(BufferUnusable) as caught:
        async with open_buffer(state_dir, cp_id):
            pass
    return str(caught.value)


async def test_a_file_that_is_not_its_own_is_left_alone(tmp_path: Path) -> None:
    """Proves: a state directory given to the wrong engine is refused in words, and so are a newer
    file after a downgrade and a path with which anything is wrong; nothing is broken by it."""
    foreign, newer, unusable = (tmp_path / name for name in ("foreign", "newer", "unusable"))
    for folder in (foreign, newer, unusable / FILE_NAME):
        folder.mkdir(parents=True)
    await keep(foreign, "s1")
    assert "CP-001, and not of CP-002" in await refused(foreign, "CP-002")
    await keep(newer, "s1")
    with sqlite3.connect(newer / FILE_NAME) as connection:
        connection.execute("PRAGMA user_version=99")
    connection.close()
    told = await refused(newer)
    assert f"newer evd-engine (version 99): this is evd {VERSION}" in told
    assert FILE_NAME in await refused(unusable)


async def test_a_refusal_holds_nothing(tmp_path: Path) -> None:
    """Proves: a file that was refused can be opened at once by its own engine, also while somebody
    still keeps the error; one that was whole is not taken for damaged after it."""
    await keep(tmp_path, "s1")
    for refusal in ("UPDATE engine SET cp_id = 'CP-002'", "PRAGMA user_version=99"):
        with contextlib.closing(sqlite3.connect(tmp_path / FILE_NAME)) as connection, connection:
            connection.execute(refusal)
        with pytest.raises(BufferUnusable) as caught:
            async with open_buffer(tmp_path, CP_ID):
                pass
        with contextlib.closing(sqlite3.connect(tmp_path / FILE_NAME)) as connection, connection:
            connection.execute("PRAGMA user_version=1")
            connection.execute("UPDATE engine SET cp_id = ?", (CP_ID,))
        assert (await found(tmp_path)).unconfirmed == ("s1",), caught.value


async def test_a_record_that_is_not_what_was_written_is_not_read(tmp_path: Path) -> None:
    """Proves: a flipped bit in a record is no other bill: it counts as gone."""
    await keep(tmp_path, "s1", "s2")
    with sqlite3.connect(tmp_path / FILE_NAME) as connection:
        connection.execute("UPDATE records SET fields = replace(fields, '0.061111', '9.061111')")
        connection.execute("UPDATE records SET fields = '{}', crc = 2745614147 WHERE number = 2")
    connection.close()
    async with open_buffer(tmp_path, CP_ID) as buffer:
        assert await buffer.read(["s1", "s2"]) == []


async def test_a_file_that_somebody_looks_into_is_not_opened(tmp_path: Path) -> None:
    """Proves: a reader that holds the file is told to the operator, and costs nothing once gone."""
    await keep(tmp_path, "s1")
    other = sqlite3.connect(tmp_path / FILE_NAME, isolation_level=None)
    assert other.execute("SELECT session_id FROM records").fetchall() == [("s1",)]
    assert "locked" in await refused(tmp_path)
    other.close()
    assert (await found(tmp_path)).unconfirmed == ("s1",)


class SlowDatabase(SessionDatabase):
    """A database on a disk that stops answering for a while."""

    def __init__(self, inner: SessionDatabase) -> None:
        self.inner = inner
        self.slow_s = 0.0

    def save(self, effect: object) -> tuple[str, ...]:
        time.sleep(self.slow_s)
        return self.inner.save(effect)  # type: ignore[arg-type]

    def close(self) -> None:
        self.inner.close()


async def test_a_hanging_disk_is_not_waited_for(tmp_path: Path) -> None:
    """Proves: a save that takes too long fails, those behind it fail at once, and when the disk
    answers again all is as before."""
    slow = SlowDatabase(opened(tmp_path, [0.0], 10))
    buffer = SessionBuffer(slow, EngineDisk(), timeout_s=0.1)
    slow.slow_s = 0.4
    began_s = time.monotonic()
    with pytest.raises(BufferFailed, match="within"):
        await buffer.save(SaveObeyed("central-1"))
    with pytest.raises(BufferFailed, match="still"):
        await buffer.save(SaveObeyed("central-2"))
    assert time.monotonic() - began_s < 0.35
    slow.slow_s = 0.0
    while True:
        try:
            await buffer.save(SaveObeyed("central-3"))
            break
        except BufferFailed:
            assert time.monotonic() - began_s < 10
            await trio.sleep(0.02)
    await buffer.aclose()
    assert (await found(tmp_path)).central_id == "central-3"


async def test_a_file_that_breaks_while_it_is_used_must_be_opened_again(tmp_path: Path) -> None:
    """Proves: damage is told apart from a disk that merely fails."""
    await keep(tmp_path, *(f"s{number}" for number in range(100)))
    connection = connect(tmp_path / FILE_NAME)
    database = SessionDatabase(connection, Reserve(tmp_path / RESERVE_NAME))
    content = bytearray((tmp_path / FILE_NAME).read_bytes())
    content[8192:] = b"\xff" * (len(content) - 8192)
    (tmp_path / FILE_NAME).write_bytes(content)
    connection.execute("PRAGMA shrink_memory")
    with pytest.raises(BufferCorrupt):
        database.read([f"s{number}" for number in range(100)])
    with pytest.raises(BufferCorrupt):
        database.save(SaveRecord(record_of("s200")))
    database.close()


async def test_the_room_is_taken_once_and_given_up_for_good(tmp_path: Path) -> None:
    """Proves: the reserve is real bytes, taken before a session begins."""
    async with open_buffer(tmp_path, CP_ID) as buffer:
        await buffer.save(ReserveRoom())
        status = (tmp_path / RESERVE_NAME).stat()
        assert status.st_size == RESERVE_BYTES
        assert status.st_blocks * 512 >= RESERVE_BYTES
        (tmp_path / RESERVE_NAME).unlink()
        await buffer.save(SaveRun(run_of("s1")))
        assert (tmp_path / RESERVE_NAME).stat().st_size == RESERVE_BYTES
