"""A damaged file of sessions: put aside, told, and all that can be read of it carried over."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from evd.adapters.buffer import open_buffer
from evd.adapters.buffer.buffer import FILE_NAME, RESERVE_NAME
from evd.adapters.buffer.database import SessionDatabase, connect, make_tables
from evd.adapters.buffer.reserve import Reserve
from evd.core.engine.core import Engine
from evd.core.engine.events import (
    EngineSettings,
    ReserveRoom,
    SaveConfirmed,
    SaveMeter,
    SaveObeyed,
    SaveRecord,
    SaveRun,
)
from tests.adapters.buffer.test_buffer import found, run_of
from tests.unit.engine.rig import CP_ID, clock, record_of

PAGE_BYTES = 4096
SESSION_IDS = [f"s{number}" for number in range(300)]


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with 300 records, some confirmed, a running session, and a Central."""
    path = tmp_path_factory.mktemp("template") / FILE_NAME
    connection = connect(path)
    make_tables(connection, CP_ID)
    database = SessionDatabase(connection, Reserve(path.with_name(RESERVE_NAME)))
    database.save(SaveObeyed("central-1"))
    for session_id in SESSION_IDS:
        database.save(SaveRecord(record_of(session_id)))
    database.save(SaveConfirmed(tuple(SESSION_IDS[:50])))
    database.save(SaveRun(run_of("running")))
    database.save(SaveMeter("running", 7, 1.0))
    database.close()
    return path


@pytest.fixture
def path(template: Path, tmp_path: Path) -> Path:
    """A copy of it, in a state directory of its own."""
    return Path(shutil.copy(template, tmp_path / FILE_NAME))


def pages(path: Path) -> int:
    """How many pages the file has."""
    return path.stat().st_size // PAGE_BYTES


def overwrite(path: Path, page: int, content: bytes) -> None:
    """Put `content` at the beginning of a page, numbered from 0."""
    with path.open("r+b") as file:
        file.seek(page * PAGE_BYTES)
        file.write(content)


def broken(path: Path, damage: Callable[[Path], None]) -> bytes:
    """Damage the file; what it holds then."""
    damage(path)
    return path.read_bytes()


def lose_a_page(path: Path) -> None:
    """A page of zeros in the middle: a sector that was lost."""
    overwrite(path, pages(path) // 2, bytes(PAGE_BYTES))


def lose_several(path: Path) -> None:
    """Noise in several places."""
    for part in (3, 5, 7):
        overwrite(path, pages(path) * part // 9, b"\xa5" * PAGE_BYTES)


def all_noise(path: Path) -> None:
    """Nothing is left."""
    path.write_bytes(b"\xff" * path.stat().st_size)


@pytest.mark.parametrize(
    ("damage", "kept_min"),
    [
        (lose_a_page, 280),
        (lose_several, 200),
        (lambda path: os.truncate(path, pages(path) // 2 * PAGE_BYTES), 50),
        (lambda path: overwrite(path, 0, b"\x00" * 100), 0),
        (all_noise, 0),
    ],
    ids=["one page", "several pages", "cut off", "no header", "nothing is left"],
)
async def test_what_can_be_read_is_carried_over(
    path: Path,
    tmp_path: Path,
    damage: Callable[[Path], None],
    kept_min: int,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Proves: the engine starts whatever became of its file; the old one is put aside and said so,
    no record is changed, few are lost, and the next start finds nothing to repair."""
    damaged = broken(path, damage)
    async with open_buffer(tmp_path, CP_ID) as buffer:
        disk = buffer.disk
        kept = [*disk.confirmed, *disk.unconfirmed]
        assert await buffer.read(kept) == [record_of(session_id) for session_id in kept]
        await buffer.save(SaveRecord(record_of("new")))
    assert len(kept) >= kept_min
    assert set(disk.confirmed) <= set(SESSION_IDS[:50])
    if kept_min:
        assert disk.central_id == "central-1"
        assert disk.run is not None
        assert (disk.run.session_id, disk.run.energy_mwh) == ("running", 7)
    assert (tmp_path / f"{FILE_NAME}.corrupt-1").read_bytes()[: len(damaged)] == damaged
    assert "put aside" in caplog.text
    assert "new" in (await found(tmp_path)).unconfirmed
    assert not (tmp_path / f"{FILE_NAME}.corrupt-2").exists()


async def test_a_second_damage_is_put_aside_beside_the_first(path: Path, tmp_path: Path) -> None:
    """Proves: nothing that was put aside is overwritten."""
    for number in (1, 2):
        all_noise(path)
        await found(tmp_path)
        assert (tmp_path / f"{FILE_NAME}.corrupt-{number}").exists()


async def test_a_torn_last_write_costs_that_write_alone(tmp_path: Path) -> None:
    """Proves: a commit that was cut off in the middle did not happen, and no other is lost."""
    path = tmp_path / FILE_NAME
    connection = connect(path)
    make_tables(connection, CP_ID)
    connection.execute("UPDATE engine SET central_id = 'central-1'")
    log = path.with_name(FILE_NAME + "-wal")
    whole = log.stat().st_size
    connection.execute("UPDATE engine SET central_id = 'central-2'")
    torn = log.read_bytes()[: whole + 1000]
    # As after a crash: the log is not taken into the file.
    for name, content in ((FILE_NAME, path.read_bytes()), (FILE_NAME + "-wal", torn)):
        copy = tmp_path / "after" / name
        copy.parent.mkdir(exist_ok=True)
        copy.write_bytes(content)
    connection.close()
    assert (await found(tmp_path / "after")).central_id == "central-1"
    assert not list((tmp_path / "after").glob("*corrupt*"))


@pytest.mark.parametrize("steps", [0, 1, 2])
async def test_a_repair_that_was_cut_off_is_finished(
    path: Path, tmp_path: Path, steps: int
) -> None:
    """Proves: a crash between any two steps of the repair loses nothing of what was salvaged."""
    # The salvaged file has its name; `steps` of the damaged file's two parts are moved already.
    shutil.move(path, tmp_path / f"{FILE_NAME}.salvaged")
    parts = [
        (f"{FILE_NAME}-wal", f"{FILE_NAME}.corrupt-1-wal"),
        (FILE_NAME, f"{FILE_NAME}.corrupt-1"),
    ]
    for number, (name, aside) in enumerate(parts):
        (tmp_path / (aside if number < steps else name)).write_bytes(b"\xff" * 5000)
    disk = await found(tmp_path)
    assert len(disk.unconfirmed) == 250
    assert disk.run is not None
    assert not [name for name in os.listdir(tmp_path) if "salv" in name]


async def test_a_repair_that_had_not_finished_reading_begins_again(
    path: Path, tmp_path: Path
) -> None:
    """Proves: half of a salvaged copy is never taken for the whole."""
    lose_a_page(path)
    (tmp_path / f"{FILE_NAME}.salvaging").write_bytes(b"\xff" * 100)
    disk = await found(tmp_path)
    assert len(disk.unconfirmed) >= 230


@pytest.mark.parametrize(
    "damage",
    [
        "energy_mwh = 1000000000000001",
        "energy_mwh = 1000000000000, euro_rate = 1000.1",
        "energy_mwh = -1",
        "euro_rate = 9e999",
        "kw_rate = 1e308",
        "metered_s = 9e999",
        "started_at = '9999-12-31T23:59:59.999999Z'",
        "started_at = 'yesterday'",
        "started_at = '2026-01-31T12:00:00'",
        "driver_id = ''",
        "boot_id = CAST(x'ff00' AS TEXT)",
        "session_id = 'no id', request_id = ''",
    ],
)
async def test_a_session_that_no_record_can_say_is_put_aside(
    path: Path, tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Proves: a stored session that can't be read or said does not keep its engine from starting:
    it is put aside and named, for good, and the others are served."""
    connection = connect(path)
    connection.execute(f"UPDATE run SET {damage}")
    (session_id,) = connection.execute("SELECT session_id FROM run").fetchone()
    connection.close()
    for _ in range(2):
        async with open_buffer(tmp_path, CP_ID) as buffer:
            assert buffer.disk.run is None
            assert buffer.disk.unconfirmed == (*SESSION_IDS[50:], session_id)
            assert await buffer.read([session_id, "s299"]) == [record_of("s299")]
            Engine(
                EngineSettings(cp_id=CP_ID, kw_rate=22, euro_rate=0.3), "b", buffer.disk, clock()
            )
            await buffer.save(ReserveRoom())
    assert [session_id in each.getMessage() for each in caplog.records] == [True]


async def test_a_central_and_a_name_that_cannot_be_read_are_learned_anew(
    path: Path, tmp_path: Path
) -> None:
    """Proves: an engine whose row is nonsense starts, keeps its records, and obeys whom it hears
    next."""
    connection = connect(path)
    connection.execute("UPDATE engine SET central_id = 'no id', cp_id = '', ran_s = 9e999")
    connection.close()
    for _ in range(2):
        disk = await found(tmp_path)
        assert (disk.central_id, len(disk.unconfirmed)) == (None, 250)
    async with open_buffer(tmp_path, CP_ID) as buffer:
        assert await buffer.save(SaveConfirmed(("s299",))) == ()
