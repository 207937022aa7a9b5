"""A disk that fills up, or can't be written, under an engine's sessions: small file systems."""

from pathlib import Path

import pytest

from evd.adapters.buffer import BufferFailed, open_buffer
from evd.adapters.buffer.buffer import FILE_NAME, RESERVE_NAME
from evd.core.engine.events import ReserveRoom, SaveConfirmed, SaveMeter, SaveRecord, SaveRun
from tests.adapters.buffer.test_buffer import found, run_of
from tests.network.disks import cut_power, fill, read_only, restore_power
from tests.unit.engine.rig import CP_ID, record_of


async def test_a_disk_that_fills_in_mid_session_does_not_take_its_record(small: Path) -> None:
    """Proves: the room taken at the start of a session holds its record on a disk without a byte
    left, durably; the next session is refused until there is room, and then can begin."""
    async with open_buffer(small, CP_ID) as buffer:
        await buffer.save(ReserveRoom())
        await buffer.save(SaveRun(run_of("s1")))
        filler = fill(small)
        readings = 0
        for second in range(1, 200):
            try:
                await buffer.save(SaveMeter("s1", second, second))
            except BufferFailed as error:
                assert error.reason == "disk is full"
                break
            readings = second
        await buffer.save(SaveRecord(record_of("s1")))
        assert readings == 199 or not (small / RESERVE_NAME).exists()
        fill(small)
        if not (small / RESERVE_NAME).exists():
            for effect in (ReserveRoom(), SaveRun(run_of("s2"))):
                with pytest.raises(BufferFailed, match="disk is full"):
                    await buffer.save(effect)
    # As the next start finds it, the disk still full.
    disk = await found(small)
    assert (disk.unconfirmed, disk.run) == (("s1",), None)
    filler.unlink()
    async with open_buffer(small, CP_ID) as buffer:
        await buffer.save(ReserveRoom())
        await buffer.save(SaveConfirmed(("s1",)))
        await buffer.save(SaveRun(run_of("s2")))


@pytest.mark.parametrize("small", ["ext4"], indirect=True)
async def test_a_file_that_can_not_be_written_fails_and_heals(small: Path) -> None:
    """Proves: a file made read-only under its owner is a failure in words, told by each probe, and
    over when it can be written again."""
    files = [small / name for name in (FILE_NAME, FILE_NAME + "-wal")]
    async with open_buffer(small, CP_ID) as buffer:
        await buffer.save(ReserveRoom())
        await buffer.save(SaveRun(run_of("s1")))
        with read_only(*files):
            for effect in (SaveMeter("s1", 1, 1.0), SaveRecord(record_of("s1")), ReserveRoom()):
                with pytest.raises(BufferFailed):
                    await buffer.save(effect)
        await buffer.save(SaveRecord(record_of("s1")))
        await buffer.save(ReserveRoom())
    assert (await found(small)).unconfirmed == ("s1",)


@pytest.mark.parametrize("small", ["ext4"], indirect=True)
async def test_a_power_cut_takes_nothing_that_was_saved(small: Path) -> None:
    """Proves: what was saved is on the disk itself: with the power cut at once it is there."""
    async with open_buffer(small, CP_ID) as buffer:
        await buffer.save(SaveRecord(record_of("s1")))
        await buffer.save(SaveRun(run_of("s2")))
        await buffer.save(SaveMeter("s2", 6_111, 1.0))
        cut_power(small)
        with pytest.raises(BufferFailed):
            await buffer.save(SaveMeter("s2", 12_222, 2.0))
    restore_power(small)
    disk = await found(small)
    assert disk.unconfirmed == ("s1",)
    assert disk.run is not None
    assert (disk.run.session_id, disk.run.energy_mwh) == ("s2", 6_111)
