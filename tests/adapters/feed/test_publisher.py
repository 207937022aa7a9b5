"""Clients are told a snapshot, then each change once, and merged where they are slow."""

import contextlib
import os
import time

import trio
from trio_websocket import WebSocketConnection

from evd.adapters.feed.server import Patience
from evd.core.central.rows import ShownState
from tests.adapters.feed.scene import (
    Message,
    Scene,
    event,
    feed,
    network,
    read,
    take_slowly,
    update,
    view,
    wait_until,
)
from tests.adapters.feed.test_server import request

LARGE = "x" * 200
QUICK = Patience(ping_s=0.1, pong_s=0.1, silent_s=0.15, last_s=0.1)
# A client that stands in line for a CPU for a tenth of a second is not to count as silent.
STEADY = Patience(ping_s=0.1, pong_s=0.5, silent_s=0.5, last_s=0.1)
# Longer than that patience by far.
LONG_S = 2.5
STOPS = 6
STOPS_S_MAX = 30.0


async def test_a_snapshot_then_updates_without_a_gap() -> None:
    """Proves: a client is told everything first, then only what changed, each message with the next
    number; an update without news is none."""
    async with feed(view("CP-002"), view("CP-001")) as scene, scene.client() as client:
        first = await read(client)
        assert first["type"] == "snapshot"
        assert [each["cp_id"] for each in first["charging_points"]] == ["CP-001", "CP-002"]
        assert first["network"]["service"] == "healthy"
        assert (first["active_requests"], first["events"]) == (0, [])
        changed = view("CP-002", state=ShownState.ON)
        await scene.publisher.publish(update(changed, events=[event("CP-002")]))
        await scene.publisher.publish(update())
        await scene.publisher.publish(update(removed=["CP-001"], active_requests=1))
        second, third = await read(client), await read(client)
        assert [each["state"] for each in second["charging_points"]] == ["ON"]
        assert second["removed"] == []
        assert "network" not in second
        (told,) = second["events"]
        assert told["text"] == "it happened"
        assert told["ts"] == "2026-01-31T12:00:00.000000Z"
        assert third["removed"] == ["CP-001"]
        assert third["active_requests"] == 1
        assert [each["seq"] for each in (first, second, third)] == [1, 2, 3]


async def test_a_later_client_is_told_what_came_before() -> None:
    """Proves: a snapshot has the newest state, not that of the feed's beginning, with the events
    before it."""
    async with feed(view("CP-001"), view("CP-002")) as scene:
        whole = network(kw=22.0)
        news = update(view("CP-003"), removed=["CP-001"], events=[event("CP-003")], whole=whole)
        await scene.publisher.publish(news)
        async with scene.client() as client:
            first = await read(client)
            assert [each["cp_id"] for each in first["charging_points"]] == ["CP-002", "CP-003"]
            assert [each["cp_id"] for each in first["events"]] == ["CP-003"]
            assert first["network"]["kw"] == 22.0


async def test_a_filter_narrows_everything_but_the_network() -> None:
    """Proves: a client of some charging points is told of no other, but of the whole network's
    requests; an unknown charging point is an empty list."""
    async with feed(view("CP-001"), view("CP-002")) as scene:
        query = "?cp_id=CP-002&cp_id=CP-009"
        async with scene.client(query) as some, scene.client("?cp_id=CP-009") as none:
            assert [each["cp_id"] for each in (await read(some))["charging_points"]] == ["CP-002"]
            assert (await read(none))["charging_points"] == []
            await scene.publisher.publish(update(view("CP-001"), events=[event("CP-001")]))
            news = update(
                view("CP-001"),
                view("CP-002"),
                removed=["CP-003"],
                active_requests=2,
                events=[event("CP-002"), event(None)],
            )
            await scene.publisher.publish(news)
            second = await read(some)
            assert second["seq"] == 2
            assert [each["cp_id"] for each in second["charging_points"]] == ["CP-002"]
            assert [each["cp_id"] for each in second["events"]] == ["CP-002"]
            assert second["removed"] == []
            assert (await read(none))["active_requests"] == 2


async def test_nobody_is_told_before_everything_is_known() -> None:
    """Proves: a client that comes first waits for a whole snapshot, and gets nothing before it."""
    async with feed() as scene:
        scene.publisher.rest()
        async with scene.client() as client:
            await scene.publisher.wanted.wait()
            await scene.publisher.publish(update(view("CP-001")))
            scene.publisher.go_live()
            first = await read(client)
            assert (first["type"], len(first["charging_points"])) == ("snapshot", 1)


async def fill(scene: Scene, *quick: WebSocketConnection) -> int:
    """Publish until a client is behind whose test does not read, and some times more; the rounds.

    Those in `quick` must be told of each round meanwhile.
    """
    rounds, left = 0, 5
    while left:
        rounds += 1
        left -= bool(scene.publisher.behind_count)
        views = [view(f"CP-{n:03}", location=f"{LARGE}{rounds}") for n in range(100)]
        await scene.publisher.publish(update(*views, removed=[f"CP-gone-{rounds}"]))
        for client in quick:
            assert (await read(client))["seq"] == rounds + 1
    return rounds


async def catch_up(scene: Scene) -> None:
    """Do what Central does four times a second."""
    while True:
        scene.publisher.catch_up()
        await trio.sleep(0.02)


async def test_a_slow_reader_gets_merged_updates_and_holds_up_nobody() -> None:
    """Proves: while one client does not read, others are told at once; when it reads again it has
    its own numbers without a gap, the newest state of each charging point, and fewer messages."""
    async with feed() as scene, scene.client() as quick, scene.client() as slow:
        await read(quick)
        rounds = await fill(scene, quick)
        seqs, last = [], Message(charging_points=[{"location": ""}])
        async with trio.open_nursery() as nursery:
            nursery.start_soon(catch_up, scene)
            while last["charging_points"][0]["location"] != f"{LARGE}{rounds}":
                last = await read(slow)
                seqs.append(last["seq"])
                last["charging_points"] = last["charging_points"] or [{"location": ""}]
            nursery.cancel_scope.cancel()
        assert seqs == [*range(1, len(seqs) + 1)]
        assert len(seqs) < rounds
        assert {each["location"] for each in last["charging_points"]} == {f"{LARGE}{rounds}"}
        assert len(last["removed"]) > 1
        assert len(last["charging_points"]) == 100
        assert scene.publisher.behind_count == 0
        await scene.publisher.publish(update(view("CP-new")))
        assert (await read(slow))["seq"] == len(seqs) + 1
        assert (await read(quick))["seq"] == rounds + 2


async def test_a_client_that_does_not_read_is_cut_while_nothing_changes() -> None:
    """Proves: a client whose process hangs is gone within the patience of the feed, and counted;
    one that reads stays."""
    async with feed(patience=STEADY) as scene, scene.client() as client:
        await read(client)
        async with scene.raw() as silent:
            await silent.send_all(request().encode())
            await wait_until(lambda: scene.publisher.clients_count == 2)
            await wait_until(lambda: scene.publisher.clients_count == 1)
        assert scene.metric('evd_feed_clients_cut_total{reason="silent"}') == 1
        await trio.sleep(2 * (STEADY.ping_s + STEADY.pong_s))
        await scene.publisher.publish(update(view("CP-001")))
        assert (await read(client))["seq"] == 2


async def test_a_client_that_stops_in_a_message_is_cut_and_a_slow_one_is_not() -> None:
    """Proves: a client whose buffers are full is cut as well; one that takes a little of its
    message each time is alive, though no answer of it can come through."""
    async with feed(patience=QUICK) as scene, scene.client():
        await fill(scene)
        await wait_until(lambda: scene.publisher.clients_count == 0, 2.0)
    large = [view(f"CP-{n:05}", location=LARGE) for n in range(20_000)]
    async with feed(*large, patience=STEADY) as scene, scene.raw() as slow:
        await slow.send_all(request().encode())
        assert await take_slowly(slow, LONG_S) < 8_000_000
        assert scene.publisher.clients_count == 1


async def test_many_share_one_message() -> None:
    """Proves: for clients in step a change is encoded once, however many they are; each is counted
    as a message."""
    async with feed() as scene, contextlib.AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(scene.client()) for _ in range(20)]
        for client in clients:
            await read(client)
        sent = scene.metric("evd_feed_messages_total")
        await scene.publisher.publish(update(view("CP-001")))
        messages = [await read(client) for client in clients]
        assert all(message == messages[0] for message in messages)
        assert scene.metric("evd_feed_messages_total") == sent + 20


async def test_a_central_that_stood_still_blames_nobody() -> None:
    """Proves: after a time in which this process was stopped a client whose answer came meanwhile
    is kept, though all of its time was over at once."""
    async with feed(patience=STEADY) as scene, scene.raw() as client:
        await client.send_all(request().encode())
        stops = 0
        with trio.fail_after(STOPS_S_MAX):
            while stops < STOPS:
                ping = (await client.receive_some()).partition(b"\x89\x04")[2][:4]
                if not ping:
                    continue
                # A mask of zeros leaves its payload as it is.  Nobody else runs before the stop.
                os.write(client.socket.fileno(), b"\x8a\x84\0\0\0\0" + ping)
                stops += 1
                if stops % 2:
                    time.sleep(STEADY.pong_s + STEADY.silent_s)  # noqa: ASYNC251
        assert scene.publisher.clients_count == 1
