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
    """Proves: a cycle that was let go of young is soon found, however many objects there are, and
    one that has lived long an hour later, with no full collection before; at the end all is as it
    was."""
    thresholds = gc.get_threshold()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(collect_garbage)
        await trio.testing.wait_all_tasks_blocked()
        whole_count = gc.get_stats()[2]["collections"]
        old, is_old_there = _cycle()
        gc.collect(1)
        del old
        young, is_young_there = _cycle()
        del young
        kept = [[number] for number in range(100_000)]
        assert is_young_there() is None
        await trio.sleep(WHOLE_EVERY_S - 1)
        assert is_old_there() is not None
        assert gc.get_stats()[2]["collections"] == whole_count
        await trio.sleep(2)
        assert is_old_there() is None
        nursery.cancel_scope.cancel()
    assert gc.get_threshold() == thresholds
    assert len(kept) == 100_000


def _cycle() -> tuple[Part, "weakref.ref[Part]"]:
    part = Part()
    part.other = part
    return part, weakref.ref(part)
