"""Garbage collection that leaves alone what lives long."""

import gc
import weakref

import trio
import trio.testing

from evd.daemons.garbage import EVERY_S, WHOLE_EVERY_S, collect_garbage


class Part:
    """An object that may stand in a cycle."""

    other: "Part | None" = None


async def test_what_lives_long_is_looked_at_once_an_hour(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """Proves: what has outlived a full collection is not looked at by the next ones, and a cycle of
    it that was let go of is gone an hour later; at the end all is as it was."""
    before, thresholds = gc.get_freeze_count(), gc.get_threshold()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(collect_garbage)
        await trio.testing.wait_all_tasks_blocked()
        old, young = _cycle(), _cycle()
        is_old_there, is_young_there = weakref.ref(old), weakref.ref(young)
        del young
        # Python does no full collection by itself meanwhile.
        assert gc.get_threshold()[2] > 1_000_000
        await trio.sleep(EVERY_S + 1)
        assert is_young_there() is None
        assert gc.get_freeze_count() > before
        del old
        await trio.sleep(EVERY_S)
        assert is_old_there() is not None
        await trio.sleep(WHOLE_EVERY_S)
        assert is_old_there() is None
        nursery.cancel_scope.cancel()
    assert (gc.get_freeze_count(), gc.get_threshold()) == (before, thresholds)


def _cycle() -> Part:
    part = Part()
    part.other = part
    return part
