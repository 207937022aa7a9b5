"""Garbage collection that leaves alone what lives long."""

import gc
import weakref

import trio
import trio.testing

from evd.daemons.garbage import WHOLE_EVERY_S, collect_garbage


class Part:
    """An object that may stand in a cycle."""

    other: "Part | None" = None


async def test_what_lives_long_is_looked_at_once_an_hour(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """Proves: what has outlived a full collection is not looked at by the next one, and a cycle of
    it that was let go of is gone an hour later; at the end all is as it was."""
    before = gc.get_freeze_count()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(collect_garbage)
        await trio.testing.wait_all_tasks_blocked()
        part = Part()
        part.other = part
        is_there = weakref.ref(part)
        gc.collect()
        assert gc.get_freeze_count() > before
        del part
        gc.collect()
        assert is_there() is not None
        await trio.sleep(WHOLE_EVERY_S + 1)
        assert is_there() is None
        nursery.cancel_scope.cancel()
    assert gc.get_freeze_count() == before
