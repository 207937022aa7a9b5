"""The monitor's daemon over memory streams and a virtual clock."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial

import attrs
import pytest
import trio
import trio.testing

from evd.adapters.http.metrics import Metrics
from evd.adapters.tcp import CONNECTION_OVER, DialRefused, FramedStream
from evd.core.monitor.core import Monitor, MonitorSettings
from evd.core.monitor.events import Close, Dial, EngineAnswered, EngineGarbled, Peer
from evd.core.wire import codec
from evd.core.wire.control import Bye, Fault, Nack, NackCode, Ping, Register
from evd.daemons.lifecycle import Lifecycle
from evd.daemons.monitor.metrics import MonitorMetrics
from evd.daemons.monitor.program import watch
from evd.daemons.monitor.steps import in_order, received
from tests.network.peers import Central, answer_pings, pong

pytestmark = pytest.mark.deterministic_trio
SETTINGS = MonitorSettings("CP-001", 1.0, 3, 2.0)

Talk = Callable[[FramedStream], Awaitable[None]]


@attrs.define
class Place:
    """A port that can be dialed while `open`: `talk` serves each connection."""

    nursery: trio.Nursery
    talk: Talk
    open: bool = True
    streams: list[FramedStream] = attrs.field(factory=list)

    async def dial(self, _: str) -> FramedStream:
        await trio.lowlevel.checkpoint()
        if not self.open:
            raise DialRefused("nothing listens there")
        ours, theirs = trio.testing.memory_stream_pair()
        self.streams.append(FramedStream(theirs))
        self.nursery.start_soon(self._serve, self.streams[-1])
        return FramedStream(ours)

    async def _serve(self, stream: FramedStream) -> None:
        with suppress(*CONNECTION_OVER):
            await self.talk(stream)

    async def shut(self) -> None:
        """As if the process died."""
        self.open = False
        for stream in self.streams:
            await stream.aclose_forcefully()


@attrs.define
class World:
    """A running monitor, and the two that it talks to."""

    engine: Place
    central: Place
    ears: Central
    lifecycle: Lifecycle
    ended: trio.Event


@asynccontextmanager
async def watching(engine_talk: Talk | None = None) -> AsyncIterator[World]:
    """A monitor that runs for as long as the block."""
    async with trio.open_nursery() as nursery:
        ears = Central()
        world = World(
            Place(nursery, engine_talk or answer_pings),
            Place(nursery, ears.talk),
            ears,
            Lifecycle(),
            trio.Event(),
        )
        nursery.start_soon(partial(_watch, world))
        yield world
        nursery.cancel_scope.cancel()


async def _watch(world: World) -> None:
    dialers = {Peer.ENGINE: world.engine.dial, Peer.CENTRAL: world.central.dial}
    core = Monitor(SETTINGS, "instance-1")
    metrics = MonitorMetrics(Metrics(), core)
    await watch(core, dialers, world.lifecycle, metrics)
    world.ended.set()


async def test_it_registers_and_says_bye(autojump_clock: trio.testing.MockClock) -> None:
    """Proves: a monitor presents its charging point, and a stop ends it after its BYE."""
    async with watching() as world:
        register = await world.ears.hear(Register)
        assert isinstance(register, Register)
        assert register.boot_id == "boot-1"
        world.lifecycle.stop("the test")
        with trio.fail_after(1):
            await world.ended.wait()
        assert type(world.ears.heard[-1]) is Bye


async def test_a_dead_engine_is_told(autojump_clock: trio.testing.MockClock) -> None:
    """Proves: an engine that dies is a FAULT within three intervals on the open connection."""
    async with watching() as world:
        await world.ears.hear(Register)
        at_s = trio.current_time()
        await world.engine.shut()
        await world.ears.hear(Fault)
        assert trio.current_time() - at_s <= 3.0
        assert len(world.central.streams) == 1


async def test_a_takeover_and_the_way_back(autojump_clock: trio.testing.MockClock) -> None:
    """Proves: the daemon dials the address that the core names; when Central goes over to another
    one and back again, the monitor is registered there within the longest delay each time, and each
    address that served is kept."""

    async def refuse(stream: FramedStream) -> None:
        for frame in await stream.receive():
            assert isinstance(frame, bytes)
            seq = codec.structure_monitor(codec.load_object(frame)).seq
            nack = Nack(seq, "standing by for a:1", code=NackCode.STANDING_BY)
            await stream.send(codec.encode_control(nack))

    settings = attrs.evolve(SETTINGS, centrals=("a:1", "b:2"))
    kept: list[str] = []
    async with trio.open_nursery() as nursery:
        ears = {name: Central() for name in settings.centrals}
        places = {name: Place(nursery, each.talk) for name, each in ears.items()}
        engine = Place(nursery, answer_pings)
        places["b:2"].talk = refuse
        core = Monitor(settings, "instance-1")
        dialers = {Peer.ENGINE: engine.dial, Peer.CENTRAL: lambda name: places[name].dial(name)}
        metrics = MonitorMetrics(Metrics(), core)
        nursery.start_soon(partial(watch, core, dialers, Lifecycle(), metrics, keep=kept.append))
        await ears["a:1"].hear(Register)
        for serving, other in (("b:2", "a:1"), ("a:1", "b:2")):
            places[other].talk = refuse
            await places[other].shut()
            await trio.sleep(4)
            assert not metrics.doing().endswith(", registered with Central")
            places[other].open = True
            places[serving].talk = ears[serving].talk
            heard = len(ears[serving].heard)
            await trio.sleep(2.3)
            assert metrics.doing().endswith(", registered with Central")
            assert isinstance(ears[serving].heard[heard], Register)
        nursery.cancel_scope.cancel()
    assert kept == ["a:1", "b:2", "a:1"]


async def test_an_engine_that_answers_nonsense(autojump_clock: trio.testing.MockClock) -> None:
    """Proves: an answer that is no PONG is a missing answer, and ends nothing."""

    async def nonsense(stream: FramedStream) -> None:
        while True:
            for _ in await stream.receive():
                await stream.send(b'{"type":"PONG","seq":"x"}')

    async with watching(nonsense) as world:
        register = await world.ears.hear(Register)
        assert isinstance(register, Register)
        assert register.ko_cause == "timeout"


async def test_an_engine_that_reads_nothing(autojump_clock: trio.testing.MockClock) -> None:
    """Proves: an engine that takes no byte holds up neither the monitor nor its end."""

    async def deaf(stream: FramedStream) -> None:
        await trio.sleep_forever()

    async with watching(deaf) as world:
        await world.ears.hear(Register)
        await trio.sleep(600)
        world.lifecycle.stop("the test")
        with trio.fail_after(1):
            await world.ended.wait()


def test_a_dial_closes_the_connection_before() -> None:
    """Proves: a monitor has one connection to each peer, in the daemon and in the simulation."""
    for peer in Peer:
        assert [*in_order([Dial(peer, 2)])] == [Close(peer), Dial(peer, 2)]


def test_a_peer_says_only_what_is_its_own() -> None:
    """Proves: a PING from the engine, or a PONG with a rate that no flag takes, is an answer that
    can't be used, and a PONG from Central is no event."""
    ping, answer = codec.encode_control(Ping(1, None)), codec.encode_control(pong(1))
    assert received(Peer.ENGINE, 4, answer) == EngineAnswered(4, pong(1))
    assert received(Peer.ENGINE, 4, ping) == EngineGarbled(4, "type must be PONG")
    dear = received(Peer.ENGINE, 4, answer.replace(b'"euro_rate":0.3', b'"euro_rate":1e308'))
    assert dear == EngineGarbled(4, "euro_rate must be from 0 to 1000 euro/kWh")
    with pytest.raises(codec.BadMessage):
        received(Peer.CENTRAL, 4, answer)
