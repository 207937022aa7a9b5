"""A client of the status feed, against a server that says as the test wants."""

import json
import socket
from typing import Any

import pytest
import trio
from wsproto import ConnectionType, WSConnection
from wsproto.events import AcceptConnection, TextMessage

from evd.adapters.feed.client import FeedAway, FeedRefused, FeedWay, follow, open_feed
from tests.network.feeds import FakeFeed, a_point, snapshot, telling, update


async def first_of(url: str) -> dict[str, Any]:
    """The first message that the feed at `url` says."""
    async with open_feed(FeedWay(url)) as feed:
        found: dict[str, Any] = json.loads(await feed.message())
        return found


async def test_messages_come_in_their_order() -> None:
    """Proves: a client reads the snapshot, of any size, and then each update."""
    points = [a_point(f"CP-{number}") for number in range(10_000)]
    with telling(FakeFeed(snapshot(*points))) as server:
        async with open_feed(FeedWay(server.url)) as feed:
            assert len(json.loads(await feed.message())["charging_points"]) == 10_000
            server.say(update(points[0]))
            assert json.loads(await feed.message())["type"] == "update"


async def test_a_feed_that_ends_is_followed_anew() -> None:
    """Proves: where the connection ends the client is told why, and goes on with a snapshot as soon
    as there is a feed again."""
    told: list[str] = []
    taken: list[str] = []
    server = FakeFeed(snapshot())

    async def take(message: str) -> None:
        taken.append(json.loads(message)["type"])

    async with trio.open_nursery() as nursery:
        with telling(server):
            nursery.start_soon(follow, [FeedWay(server.url)], take, told.append)
            with trio.fail_after(10):
                while not taken:
                    await trio.sleep(0.01)
        with trio.fail_after(10):
            while len(told) < 2:
                await trio.sleep(0.01)
        with telling(server), trio.fail_after(10):
            while len(taken) < 2:
                await trio.sleep(0.01)
        nursery.cancel_scope.cancel()
    assert taken == ["snapshot", "snapshot"]
    assert told[:2] == [
        f"the feed at {server.url} has ended",
        f"the feed at {server.url} can't be reached: Connection refused",
    ]


async def test_the_feed_of_the_central_that_serves() -> None:
    """Proves: of several feeds the one that can be followed is found, and another one after it
    ends; what each said is told once none could be followed."""
    told: list[str] = []
    taken: list[str] = []
    first = FakeFeed(snapshot(), refusal=(503, "standing by for b:8000"))
    second = FakeFeed(snapshot())

    async def take(message: str) -> None:
        taken.append(json.loads(message)["type"])

    async def has_taken(count: int) -> None:
        with trio.fail_after(20):
            while len(taken) < count:
                await trio.sleep(0.01)

    async with trio.open_nursery() as nursery:
        with telling(first):
            with telling(second):
                ways = [FeedWay(first.url), FeedWay(second.url)]
                nursery.start_soon(follow, ways, take, told.append)
                await has_taken(1)
                assert told == []
            with trio.fail_after(20):
                while not any(second.url in each and "standing by" in each for each in told):
                    await trio.sleep(0.01)
            first.refusal = None
            await has_taken(2)
        nursery.cancel_scope.cancel()


async def test_a_refusal_is_centrals_own_sentence() -> None:
    """Proves: what Central refuses for good ends the following with its sentence; what it refuses
    for now, and what another server answers, is its absence."""
    server = FakeFeed(snapshot(), refusal=(400, "cp_id must be 1 to 32 letters"))
    with telling(server):
        with pytest.raises(FeedRefused, match=r"^cp_id must be 1 to 32 letters$"):
            await first_of(server.url)
        server.refusal = (503, "too many clients")
        with pytest.raises(FeedAway, match=r"^too many clients$"):
            await first_of(server.url)


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", "is not Central"),
        (b"SSH-2.0-OpenSSH\r\n\r\n", "speaks no HTTP"),
    ],
)
async def test_another_server_in_its_place(answer: bytes, why: str) -> None:
    """Proves: a server that is no feed is told with the address, and is no exception."""

    async def serve(stream: trio.SocketStream) -> None:
        await stream.receive_some()
        await stream.send_all(answer)
        await stream.aclose()

    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(trio.serve_tcp, serve, 0)
        port = listeners[0].socket.getsockname()[1]
        with pytest.raises(FeedAway, match=why):
            await first_of(f"ws://127.0.0.1:{port}/feed")
        nursery.cancel_scope.cancel()


async def test_a_ping_while_it_closes_is_no_error() -> None:
    """Proves: a client that is asked for a sign of life while it leaves has left all the same."""

    async def serve(stream: trio.SocketStream) -> None:
        server = WSConnection(ConnectionType.SERVER)
        server.receive_data(await stream.receive_some())
        list(server.events())
        accepted = server.send(AcceptConnection())
        await stream.send_all(accepted + server.send(TextMessage("{}")))
        closing = await stream.receive_some()
        assert closing.startswith(b"\x88")
        await stream.send_all(b"\x89\x00")
        await stream.receive_some()

    left = None
    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(trio.serve_tcp, serve, 0)
        port = listeners[0].socket.getsockname()[1]
        with trio.fail_after(5):
            left = await first_of(f"ws://127.0.0.1:{port}/feed")
        nursery.cancel_scope.cancel()
    assert left == {}


async def test_a_central_that_hangs_gives_no_sign_of_life(autojump_clock: object) -> None:
    """Proves: a feed that is silent for long is asked for a pong; without one it has gone."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"ws://127.0.0.1:{server.getsockname()[1]}/feed"
        with pytest.raises(FeedAway, match=f"{url} does not answer within 5 s"):
            await first_of(url)
