"""The feed by TLS: the same messages, and the same patience with those who do not read."""

import pytest
import trio

from tests.adapters.feed.scene import feed, read, take_slowly, update, view, wait_until
from tests.adapters.feed.test_publisher import LARGE, LONG_S, STEADY, catch_up
from tests.adapters.feed.test_server import request
from tests.network.certificates import Certificates


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """The certificates of this machine."""
    return Certificates(tmp_path_factory.mktemp("certificates"))


async def test_a_snapshot_and_updates(certificates: Certificates) -> None:
    """Proves: a client that has shaken hands by TLS is told everything, then each change."""
    async with feed(view("CP-001"), certificates=certificates) as scene, scene.client() as client:
        first = await read(client)
        assert (first["type"], len(first["charging_points"])) == ("snapshot", 1)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(catch_up, scene)
            for count in range(1, 4):
                await scene.publisher.publish(update(view("CP-001", location=str(count))))
                message = await read(client)
                assert message["seq"] == first["seq"] + count
                assert message["charging_points"][0]["location"] == str(count)
            nursery.cancel_scope.cancel()


async def test_a_stuck_client_is_cut_and_a_slow_one_is_not(certificates: Certificates) -> None:
    """Proves: a client that takes nothing of a long message is gone within the feed's patience; one
    that takes a little each time is alive, though no answer of it can come through."""
    large = [view(f"CP-{n:05}", location=LARGE) for n in range(20_000)]
    async with feed(*large, patience=STEADY, certificates=certificates) as scene:
        async with scene.bytes_of() as stuck:
            await stuck.send_all(request().encode())
            await wait_until(lambda: scene.publisher.clients_count == 1)
            await wait_until(lambda: scene.publisher.clients_count == 0)
        assert scene.metric('evd_feed_clients_cut_total{reason="silent"}') == 1
        async with scene.bytes_of() as slow:
            await slow.send_all(request().encode())
            assert await take_slowly(slow, LONG_S) < 8_000_000
            assert scene.publisher.clients_count == 1


async def test_a_silent_client_is_cut_while_nothing_changes(certificates: Certificates) -> None:
    """Proves: a client whose process hangs is gone also while there is nothing to tell."""
    async with feed(patience=STEADY, certificates=certificates) as scene, scene.client() as client:
        await read(client)
        async with scene.bytes_of() as silent:
            await silent.send_all(request().encode())
            await wait_until(lambda: scene.publisher.clients_count == 2)
            await wait_until(lambda: scene.publisher.clients_count == 1)


async def test_a_stop_tells_its_clients(certificates: Certificates) -> None:
    """Proves: at a stop a client by TLS is told so, and the port is done."""
    async with feed(certificates=certificates) as scene, scene.client() as client:
        await read(client)
        scene.stopping.set()
        await wait_until(lambda: client.closed is not None)
        assert client.closed is not None
        assert client.closed.code == 1001
