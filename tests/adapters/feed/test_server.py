"""The feed's port: who is let in, what is refused, how it ends."""

import json

import attrs
import pytest
import trio
from trio_websocket import ConnectionClosed

from evd.adapters.feed.server import FEED_BOUNDS
from tests.adapters.feed.scene import WAIT_S_MAX, feed, read, update, view, wait_until

HANDSHAKE = {
    "Host": "127.0.0.1",
    "Connection": "keep-alive, Upgrade",
    "Upgrade": "WebSocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
}


def request(first: str = "GET /feed HTTP/1.1", **headers: str | None) -> str:
    """A handshake with some headers changed, or left out."""
    changed = {name.replace("_", "-"): value for name, value in headers.items()}
    lines = [f"{name}: {value}" for name, value in {**HANDSHAKE, **changed}.items() if value]
    return "\r\n".join([first, *lines, "", ""])


def status_of(answer: bytes) -> int:
    """The status of an answer, whose body must be the JSON of an error."""
    head, _, body = answer.partition(b"\r\n\r\n")
    assert json.loads(body)["error"]
    return int(head.split()[1])


@pytest.mark.parametrize("query", ["?cp_id=", "?cp_id=CP-001&cp_id=%3Cimg%3E", "?cp_id=a%00"])
async def test_a_malformed_id_is_named(query: str) -> None:
    """Proves: a cp_id that none can be is a 400 that names the field, wherever it stands."""
    async with feed() as scene:
        refused = await scene.refusal(query)
        assert (refused["status"], refused["field"]) == (400, "cp_id")


async def test_an_unknown_parameter_is_named() -> None:
    """Proves: a misspelt filter is refused, and does not show everything."""
    async with feed() as scene:
        refused = await scene.refusal("?cp=CP-001")
        assert (refused["status"], refused["field"]) == (400, "cp")


async def test_another_path_is_refused() -> None:
    """Proves: there is nothing but the feed on this port."""
    async with feed() as scene:
        assert (await scene.refusal(path="/"))["status"] == 404
        assert (await scene.refusal(path="/feed/"))["status"] == 404


@pytest.mark.parametrize(
    "origin",
    ["http://127.0.0.1:1", "https://127.0.0.1", "http://pages.example:8080", "null.example"],
)
async def test_a_page_may_follow_only_from_here_or_by_name(origin: str) -> None:
    """Proves: an Origin with the host of the Host header follows, whatever its port; another one
    only where it is listed as it stands."""
    async with feed(origins=("http://pages.example:8080",)) as scene:
        if "null" in origin:
            assert (await scene.refusal(origin=origin))["status"] == 403
            return
        async with scene.client(origin=origin) as client:
            assert (await read(client))["type"] == "snapshot"


@pytest.mark.parametrize(
    "origin",
    ["http://pages.example", "https://pages.example:8080", "null", "http://[", "file://", "x"],
)
async def test_a_page_of_elsewhere_is_refused(origin: str) -> None:
    """Proves: another scheme, port or host than the listed one is a stranger, and so is an Origin
    that is none."""
    async with feed(origins=("http://pages.example:8080",)) as scene:
        assert (await scene.refusal(origin=origin))["status"] == 403


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (request(Host="evil.example"), 421),
        (request(Host=None), 400),
        (request(Upgrade=None), 426),
        (request("GET / HTTP/1.1", Upgrade=None), 404),
        (request("POST /feed HTTP/1.1", Upgrade=None), 405),
        (request("POST /feed HTTP/1.1"), 405),
        (request(Connection="keep-alive"), 400),
        (request(Sec_WebSocket_Version="8"), 426),
        (request(Sec_WebSocket_Version=None), 426),
        (request(Sec_WebSocket_Key="short"), 400),
        (request(Sec_WebSocket_Key=None), 400),
        (request(X_Long="x" * 40_000), 431),
        ("\x16\x03\x01 this is no HTTP\r\n\r\n", 400),
    ],
    ids=range(13),
)
async def test_a_bad_handshake_is_answered_and_closed(sent: str, status: int) -> None:
    """Proves: whatever is no handshake of ours gets the right status and the JSON of an error, and
    the socket is closed behind it."""
    bounds = attrs.evolve(FEED_BOUNDS, idle_s=0.5, linger_s=0.2)
    async with feed(bounds=bounds) as scene:
        assert status_of(await scene.exchange(sent)) == status


async def test_a_handshake_that_does_not_come_is_not_waited_for() -> None:
    """Proves: a client that sends half a head, or none, holds its place for a bounded time."""
    bounds = attrs.evolve(FEED_BOUNDS, idle_s=0.2, head_s=0.2, linger_s=0.2)
    async with feed(bounds=bounds) as scene:
        assert status_of(await scene.exchange(request()[:-4])) == 408
        assert await scene.exchange("") == b""


async def test_places_are_bounded_for_each_address() -> None:
    """Proves: one address can't take all places; the one too many is told so, and a place that is
    free again is given out."""
    bounds = attrs.evolve(FEED_BOUNDS, connections_max=4)
    async with feed(bounds=bounds) as scene:
        async with scene.client() as one, scene.client() as two:
            assert (await read(one))["seq"] == (await read(two))["seq"]
            assert (await scene.refusal())["status"] == 503
            assert scene.metric("evd_feed_clients") == 2
        await wait_until(lambda: not scene.publisher.clients_count)
        async with scene.client() as three:
            assert (await read(three))["type"] == "snapshot"


async def test_a_stop_tells_every_client() -> None:
    """Proves: at a stop each client gets the code 1001, the one that does not read as well as it
    can, and the port is done within its grace."""
    async with feed(view("CP-001")) as scene, scene.client() as client:
        await read(client)
        async with scene.raw() as silent:
            await silent.send_all(request().encode())
            await wait_until(lambda: scene.publisher.clients_count == 2)
            began_s = trio.current_time()
            scene.stopping.set()
            with pytest.raises(ConnectionClosed) as ended:
                await read(client)
            assert ended.value.reason is not None
            assert ended.value.reason.code == 1001
            await wait_until(lambda: not scene.publisher.clients_count)
            assert trio.current_time() - began_s < FEED_BOUNDS.stop_grace_s + 1


async def test_a_ping_at_a_stop_is_no_error(caplog: pytest.LogCaptureFixture) -> None:
    """Proves: a client that asks for a sign of life while Central stops is closed as the others
    are, and nothing is written of it."""
    async with feed() as scene, scene.raw() as client:
        await client.send_all(request().encode())
        await wait_until(lambda: scene.publisher.clients_count == 1)
        scene.stopping.set()
        with trio.fail_after(WAIT_S_MAX):
            while b"Central stops" not in await client.receive_some():
                pass
            await client.send_all(b"\x89\x80\0\0\0\0")
            while await client.receive_some():
                pass
    assert caplog.records == []


async def test_what_clients_say_is_dropped_and_too_much_ends_them() -> None:
    """Proves: a short message changes nothing, a long one and a flood end their client, and nobody
    else notices."""
    async with feed(view("CP-001")) as scene, scene.client() as quiet:
        await read(quiet)
        async with scene.client() as client:
            await read(client)
            await client.send_message("hello")
            await scene.publisher.publish(update(view("CP-002")))
            assert (await read(client))["seq"] == 2
            await client.send_message("x" * 2_000)
            with pytest.raises(ConnectionClosed):
                await read(client)
        async with scene.client() as flood:
            with pytest.raises(ConnectionClosed):
                while True:
                    await flood.send_message("x" * 500)
        await wait_until(lambda: scene.publisher.clients_count == 1)
        assert scene.metric('evd_feed_clients_cut_total{reason="too_much"}') == 1
        assert (await read(quiet))["seq"] == 2
