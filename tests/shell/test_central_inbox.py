"""The two lanes before Central's loop."""

import pytest
import trio
import trio.testing

from evd.core.central.events import Ticked
from evd.core.wire.messages import Telemetry
from evd.core.wire.partition import Mark
from evd.daemons.central.inbox import BATCHES_WAITING_MAX, EVENTS_MAX, PIECE_MIN, PIECE_S_MAX, Inbox

READING = Telemetry("CP-001", "boot-1", "session-1", "driver-1", 22.0, 0.1, 0.03)


async def test_a_monitor_never_waits_behind_the_backlog(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """Proves: with 100,000 messages behind them, what monitors, callers and the clock say is in one
    of the next two pieces of work, and a piece of the backlog is bounded."""
    inbox, batch, left = Inbox(), [READING] * 500, 200

    async def read() -> None:
        for number in range(left):
            await inbox.put_batch([*batch], {("cp.telemetry", 0): Mark("log", number)})

    async with trio.open_nursery() as nursery:
        nursery.start_soon(read)
        taken = 0
        while taken < left * len(batch):
            await trio.testing.wait_all_tasks_blocked()
            await inbox.put(Ticked(True))
            pieces = [(await inbox.take()).events, (await inbox.take()).events]
            assert [Ticked(True)] in pieces
            sizes = [len(piece) for piece in pieces]
            assert max(sizes) < EVENTS_MAX + len(batch)
            taken += max(sizes)


async def test_a_full_lane_makes_its_own_senders_wait(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """Proves: Kafka's reader waits once some batches wait, a monitor still does not; and a flood of
    one lane leaves the other its turn."""
    inbox = Inbox()
    for number in range(BATCHES_WAITING_MAX):
        await inbox.put_batch([READING], {("cp.telemetry", 0): Mark("log", number)})
    with pytest.raises(trio.TooSlowError), trio.fail_after(1):
        await inbox.put_batch([READING], {})
    with trio.fail_after(1):
        for _ in range(100):
            await inbox.put(Ticked(True))
    assert (await inbox.take()).events == [Ticked(True)] * 100
    await inbox.put(Ticked(True))
    delivery = await inbox.take()
    assert delivery.events == [READING] * BATCHES_WAITING_MAX
    assert delivery.marks == {("cp.telemetry", 0): Mark("log", BATCHES_WAITING_MAX - 1)}


async def test_a_piece_of_the_backlog_is_as_large_as_its_time_allows(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """Proves: quick messages share large commits, and slow ones are taken few at a time."""
    inbox = Inbox()

    async def read() -> None:
        while True:
            await inbox.put_batch([READING] * 250, {})

    async with trio.open_nursery() as nursery:
        nursery.start_soon(read)
        for taken_s, expected in ((0.01, 5 * 250), (2 * PIECE_S_MAX, PIECE_MIN)):
            for _ in range(5):
                await trio.testing.wait_all_tasks_blocked()
                size = len((await inbox.take()).events)
                await trio.sleep(taken_s)
            assert size == expected
        nursery.cancel_scope.cancel()
