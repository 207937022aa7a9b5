"""Many framed connections in one task, with real sockets."""

import pytest
import trio

from evd.adapters.framed_crowd import FramedCrowd
from evd.adapters.tcp import DialFailed
from tests.adapters.framed_echo import echo_in_one_task

HOST = "127.0.0.1"
CROWD = 300


async def heard(crowd: FramedCrowd, count: int) -> dict[str, object]:
    """The newest of each, until so many names were heard of."""
    found: dict[str, object] = {}
    with trio.fail_after(30):
        while len(found) < count:
            found.update(crowd.receive())
            await trio.sleep(0.001)
    return found


async def test_one_task_speaks_on_hundreds_of_connections(nursery: trio.Nursery) -> None:
    """Proves: each hears its own answers, an end is told by its name, and the name can dial
    again."""
    listeners = await trio.open_tcp_listeners(0, host=HOST)
    nursery.start_soon(echo_in_one_task, listeners)
    port = listeners[0].socket.getsockname()[1]
    names = [f"CP-{number}" for number in range(CROWD)]
    with FramedCrowd(HOST, port) as crowd:
        for name in names:
            await crowd.dial(name, 5.0)
            assert crowd.say(name, name.encode())
        assert crowd.count == CROWD
        assert await heard(crowd, CROWD) == {name: [name.encode()] for name in names}
        assert crowd.say("CP-7", b"end")
        assert await heard(crowd, 1) == {"CP-7": [b"end"]}
        assert await heard(crowd, 1) == {"CP-7": None}
        assert not crowd.say("CP-7", b"more")
        await crowd.dial("CP-7", 5.0)
        assert crowd.say("CP-7", b"again")
        assert await heard(crowd, 1) == {"CP-7": [b"again"]}
    nursery.cancel_scope.cancel()


async def test_a_dial_that_fails_says_so() -> None:
    """Proves: where nothing listens there is one error, and no connection."""
    (listener,) = await trio.open_tcp_listeners(0, host=HOST)
    port = listener.socket.getsockname()[1]
    await listener.aclose()
    with FramedCrowd(HOST, port) as crowd:
        with pytest.raises(DialFailed):
            await crowd.dial("CP-1", 1.0)
        assert crowd.count == 0
