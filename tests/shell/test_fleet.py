"""The loop of a played fleet: real sockets, and Kafka as a channel."""

from functools import partial

import pytest
import trio

from evd.adapters.framed_crowd import FramedCrowd
from evd.adapters.http.central_client import Central
from evd.adapters.tcp import FramedStream, decode_object, serve_framed
from evd.core.fleet.fleet import Fleet
from evd.core.fleet.plan import plan_of
from evd.core.wire import codec
from evd.core.wire.control import Ack, Nack, NackCode
from evd.core.wire.messages import REQUESTS, STATUS, Beacon, Message
from evd.daemons.clock import now
from evd.daemons.fleet.loop import Loop
from evd.daemons.fleet.program import FleetRefused, Place, play

HOST = "127.0.0.1"
CPS = 20
PATIENCE_S = 20.0


class Scene:
    """A port that acknowledges all, a fleet of twenty, and its messages on Kafka."""

    def __init__(self) -> None:
        self.core = Fleet(plan_of("FLEET-", CPS, 0.5, 3.0), "run", {}, now())
        self.sent: list[tuple[str, Message]] = []
        self.streams: list[FramedStream] = []
        self.refuses = 0
        self.to_fleet, self._batches = trio.open_memory_channel[list[Message]](10)

    def send(self, topic: str, key: str, message: Message) -> bool:
        """Take a message of the fleet's."""
        assert key.startswith("FLEET-")
        self.sent.append((topic, message))
        return True

    def send_opened(self, topic: str, key: str, opened: bytes) -> bool:
        """Take the JSON of one."""
        return self.send(topic, key, codec.decode(topic, opened + b"}"))

    async def serve(self, stream: FramedStream) -> None:
        """Acknowledge, and want a heartbeat each 0.2 s."""
        self.streams.append(stream)
        while True:
            for frame in await stream.receive():
                assert isinstance(frame, bytes)
                fields = decode_object(frame)
                assert isinstance(fields, dict)
                seq = fields["seq"]
                if self.refuses:
                    self.refuses -= 1
                    nack = Nack(seq, "no place", code=NackCode.FULL)
                    await stream.send(codec.encode_control(nack))
                    continue
                await stream.send(codec.encode_control(Ack(seq, "c-1", heartbeat_s=0.2)))

    async def play(self, nursery: trio.Nursery) -> Loop:
        """Begin, with the loop's tasks in `nursery`."""
        listeners = await trio.open_tcp_listeners(0, host=HOST)
        await nursery.start(partial(serve_framed, connections_max=CPS + 1), listeners, self.serve)
        crowd = FramedCrowd(HOST, listeners[0].socket.getsockname()[1])
        loop = Loop(self.core, crowd, self.send, self.send_opened)
        nursery.start_soon(partial(loop.run, self._batches, list))
        loop.carry_out(self.core.begin())
        return loop

    async def until(self, what: str) -> None:
        """Wait until a condition of the scene holds."""
        with trio.fail_after(PATIENCE_S):
            while not getattr(self, what)():
                await trio.sleep(0.01)

    def all_registered(self) -> bool:
        """Whether each has its place."""
        return self.core.monitors.registered_count == CPS

    def all_beat(self) -> bool:
        """Whether some heartbeats of each were answered."""
        acked = self.core.monitors.answered.spread
        return acked is not None and acked.count >= 3 * CPS

    def all_report(self) -> bool:
        """Whether each engine was heard."""
        return len({x.cp_id for topic, x in self.sent if topic == STATUS}) == CPS  # type: ignore[attr-defined]

    def drivers_ask(self) -> bool:
        """Whether as many have asked as are to charge."""
        return len([x for topic, x in self.sent if topic == REQUESTS]) >= CPS // 2

    def one_lost(self) -> bool:
        """Whether the end of a connection was seen."""
        return self.core.monitors.lost_count == 1

    def all_left(self) -> bool:
        """Whether nobody is connected any more."""
        return self.core.monitors.left_count == CPS


async def test_a_fleet_lives_on_its_sockets(nursery: trio.Nursery) -> None:
    """Proves: all monitors register and beat in time, all engines report, drivers ask once a beacon
    was heard, a lost connection comes back by itself, and all leave with BYE."""
    scene = Scene()
    loop = await scene.play(nursery)
    await scene.until("all_registered")
    await scene.until("all_beat")
    await scene.until("all_report")
    assert not scene.drivers_ask()
    scene.core.warm_up(now().mono_s)
    await scene.to_fleet.send([Beacon(central_id="c-1", epoch=1, up_s=1.0)])
    await scene.until("drivers_ask")
    await scene.streams[3].aclose_forcefully()
    await scene.until("one_lost")
    await scene.until("all_registered")
    assert scene.core.monitors.away_s > 0
    assert (loop.garbled_count, loop.dropped_count) == (0, 0)
    loop.carry_out(scene.core.leave())
    await scene.until("all_left")
    nursery.cancel_scope.cancel()


async def test_those_without_a_place_come_back(nursery: trio.Nursery) -> None:
    """Proves: a monitor that is told `full` hangs up, is counted by that code, and tries again
    until there is a place."""
    scene = Scene()
    scene.refuses = 5
    await scene.play(nursery)
    await scene.until("all_registered")
    assert sum(scene.core.monitors.refused.values()) == scene.core.monitors.refused["full"] >= 3
    nursery.cancel_scope.cancel()


async def test_a_port_where_nobody_listens_is_refused() -> None:
    """Proves: without Central's port for monitors there is one sentence that names it, and nothing
    else is tried."""
    (listener,) = await trio.open_tcp_listeners(0, host=HOST)
    port = listener.socket.getsockname()[1]
    await listener.aclose()
    place = Place(
        host=HOST,
        port=port,
        bootstrap="127.0.0.1:1",
        central=Central("http://127.0.0.1:1"),
        central_id="c-1",
    )
    plan = plan_of("FLEET-", CPS, 0.5, None)
    with pytest.raises(FleetRefused, match=f"can't be reached at {HOST}:{port}"):
        await play(plan, place, 1.0, trio.Event(), lambda _: None)
