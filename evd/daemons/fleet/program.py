"""The course of a played fleet: it registers, charges, is measured, and leaves nothing behind."""

import logging
import math
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from functools import partial
from typing import Final
from uuid import uuid4

import attrs
import trio

from evd.adapters.framed_crowd import FramedCrowd
from evd.adapters.http.central_client import Central
from evd.adapters.kafka import Batch, open_consumer, open_producer
from evd.adapters.kafka.messenger import Messenger
from evd.core.fleet.events import Progress
from evd.core.fleet.fleet import Fleet
from evd.core.fleet.plan import Plan
from evd.core.fleet.point import REPORT_S
from evd.core.fleet.report import Report, report_of
from evd.core.wire import codec
from evd.core.wire.messages import BEACONS, COMMANDS, UPDATES, Message
from evd.daemons.clock import now
from evd.daemons.fleet.look import Look
from evd.daemons.fleet.loop import Loop
from evd.daemons.fleet.removal import Left, remove

BROKER_S_MAX: Final = 10.0
FIRST_S_MAX: Final = 10.0
BEACON_S_MAX: Final = 10.0
# The registration of all goes on for as long as one more registers within this time.
PROGRESS_S_MAX: Final = 15.0
WARM_S_MAX: Final = 60.0
SETTLE_S: Final = 3.0
QUIET_S_MAX: Final = 30.0
BYE_S_MAX: Final = 10.0
TOLD_EACH_S: Final = 5.0
WATCH_S: Final = 0.05
# Its messages wait so long for others, and so do those to it, so that one host can play thousands;
# every answer is timed with it.
LINGER_S: Final = 0.002

logger = logging.getLogger(__name__)


class FleetRefused(Exception):
    """The fleet can't be played against this Central; the text is a sentence for a person."""


@attrs.frozen(kw_only=True)
class Place:
    """Where a fleet is played: Central's port for monitors, its HTTP, its broker.

    `central_id` is None where Central does not tell it.
    """

    host: str
    port: int
    bootstrap: str
    central: Central
    central_id: str | None


@attrs.frozen
class Played:
    """The end of a run: its figures, None where it did not get so far; who could not be removed."""

    report: Report | None
    left: Left


async def play(
    plan: Plan,
    place: Place,
    seconds: float,
    stopping: trio.Event,
    tell: Callable[[str], None],
    tokens: Mapping[str, str] | None = None,
) -> Played:
    """Play for `seconds` once the fleet stands; `stopping` ends that early, and orderly.

    Raises FleetRefused; then nothing is left behind either.
    """
    host = await _resolved(place)
    run_id = uuid4().hex[:12]
    core = Fleet(plan, run_id, tokens or {}, now())
    outcome: Report | FleetRefused | None
    async with _open_loop(core, place, host, run_id) as (loop, placed):
        # Not raised in here: the nurseries around it would make a group of it.
        try:
            outcome = await _Course(core, loop, place, seconds, stopping, tell).run(placed)
        except FleetRefused as error:
            outcome = error
        await _end(core, loop, tell)
    tell(f"removing {len(core.known):,} charging points from Central's list")
    left = await remove(place.central, core.known)
    if isinstance(outcome, FleetRefused):
        raise outcome
    return Played(outcome, left)


async def _resolved(place: Place) -> str:
    """Return the address that answers, so that not each dial asks a resolver."""
    try:
        with trio.fail_after(FIRST_S_MAX):
            stream = await trio.open_tcp_stream(place.host, place.port)
    except (OSError, trio.TooSlowError) as error:
        why = str(error) or f"no answer within {FIRST_S_MAX:g} s"
        raise FleetRefused(
            f"Central's port for monitors can't be reached at {place.host}:{place.port}: {why}."
        ) from None
    async with stream:
        return str(stream.socket.getpeername()[0])


@asynccontextmanager
async def _open_loop(
    core: Fleet, place: Place, host: str, run_id: str
) -> AsyncIterator[tuple[Loop, trio.Event]]:
    """The loop, playing; the event is set once nothing that is sent to it on Kafka is missed."""
    name = f"evd-fleet-{run_id}"
    topics = dict.fromkeys((BEACONS, COMMANDS, UPDATES), "all")
    async with (
        open_producer(place.bootstrap, name, linger_s=LINGER_S) as producer,
        open_consumer(place.bootstrap, name, topics, start="end", gather_s=LINGER_S) as consumer,
    ):
        messenger = Messenger(producer, lambda topic: logger.debug("Bad message on %s", topic))
        with FramedCrowd(host, place.port) as crowd:
            loop = Loop(core, crowd, messenger.send, messenger.send_opened)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(loop.run, consumer.batches, partial(_news, messenger))
                yield loop, consumer.placed
                nursery.cancel_scope.cancel()


def _news(messenger: Messenger, batch: Batch) -> Iterator[Message | Progress]:
    """The messages of a batch, nearly all of which say how far a session is."""
    for raw in batch:
        progress = codec.peek_progress(raw.value) if raw.topic == UPDATES else None
        if progress is not None:
            yield Progress(*progress)
        else:
            yield from messenger.read([raw])


async def _end(core: Fleet, loop: Loop, tell: Callable[[str], None]) -> None:
    """End all sessions, wait for their records to be confirmed, say BYE."""
    if core.monitors.registered_count:
        tell("ending the sessions that still run")
        loop.carry_out(core.wind_down(now()))
        if not await _until(lambda: core.is_quiet, QUIET_S_MAX):
            tell(f"not all sessions have ended within {QUIET_S_MAX:g} s")
        # The last report says that nothing is unconfirmed.
        await trio.sleep(REPORT_S)
    loop.carry_out(core.leave())
    await _until(lambda: core.monitors.left_count == core.plan.cps, BYE_S_MAX)


async def _until(
    condition: Callable[[], bool], within_s: float, stopping: trio.Event | None = None
) -> bool:
    """Wait until it holds, or `stopping`; whether it does."""
    end_s = trio.current_time() + within_s
    while not condition() and trio.current_time() < end_s:
        if stopping is not None and stopping.is_set():
            break
        await trio.sleep(WATCH_S)
    return condition()


class _Course:
    """A run, up to its report."""

    def __init__(
        self,
        core: Fleet,
        loop: Loop,
        place: Place,
        seconds: float,
        stopping: trio.Event,
        tell: Callable[[str], None],
    ) -> None:
        self._core = core
        self._loop = loop
        self._place = place
        self._seconds = seconds
        self._stopping = stopping
        self._tell = tell
        self._look = Look(place.central, core.plan.cp_ids, tell)

    async def run(self, placed: trio.Event) -> Report | None:
        """Return the figures; None where it was stopped before there were any."""
        await self._until(placed.is_set, BROKER_S_MAX, self._no_broker)
        await self._begin()
        began_s = await self._register()
        await self._warm_up()
        if self._stopping.is_set():
            return None
        return await self._measure(began_s)

    async def _begin(self) -> None:
        """Register the first alone: what is wrong for it is wrong for all."""
        core, monitors = self._core, self._core.monitors
        self._loop.carry_out(core.begin(1))
        await self._until(
            lambda: bool(monitors.registered_count or monitors.refused), FIRST_S_MAX, self._refused
        )
        if monitors.refused:
            raise FleetRefused(self._refused())
        await self._until(
            lambda: core.drivers.central_id is not None, BEACON_S_MAX, self._not_heard
        )
        heard, known = core.drivers.central_id, self._place.central_id
        if heard != known and None not in (heard, known):
            raise FleetRefused(
                f"The broker at {self._place.bootstrap} has the messages of another Central,"
                f" {heard}: name this Central's by --kafka-bootstrap."
            )

    async def _register(self) -> float:
        """Register all others, and return when that began; some may come later, or never."""
        core = self._core
        began_s = since_s = trio.current_time()
        before = core.monitors.registered_count
        self._loop.carry_out(core.begin())
        while (count := core.monitors.registered_count) < core.plan.cps:
            if count > before:
                before, since_s = count, trio.current_time()
            if self._stopping.is_set() or trio.current_time() - since_s > PROGRESS_S_MAX:
                break
            await trio.sleep(WATCH_S)
        took_s = trio.current_time() - began_s
        self._tell(f"{count:,} of {core.plan.cps:,} registered after {took_s:.1f} s")
        if count < core.plan.cps and self._loop.dial_failure:
            self._tell(f"the last connection that failed: {self._loop.dial_failure}")
        return began_s

    async def _until(
        self, condition: Callable[[], bool], within_s: float, why: Callable[[], str]
    ) -> None:
        if not await _until(condition, within_s, self._stopping) and not self._stopping.is_set():
            raise FleetRefused(why())

    def _refused(self) -> str:
        """Why not even the first monitor could register."""
        refused = self._core.monitors.refused
        where = f"{self._place.host}:{self._place.port}"
        if "unauthorized" in refused:
            return (
                "Central wants a token of each charging point (--auth required):"
                " name a folder with a file for each, called by its id, by --tokens-dir."
            )
        if refused:
            return f"Central takes no monitor of this fleet: {', '.join(refused)}."
        if self._loop.dial_failure:
            return f"Central's port for monitors: {self._loop.dial_failure}."
        return (
            f"What listens on {where} does not answer a monitor: is it Central's port for"
            " monitors, and without TLS? A fleet is played in clear."
        )

    def _no_broker(self) -> str:
        return f"No broker with evd's topics answers at {self._place.bootstrap}: --kafka-bootstrap."

    def _not_heard(self) -> str:
        return (
            f"Nothing of Central is heard at the broker {self._place.bootstrap}:"
            " name the one that it uses by --kafka-bootstrap."
        )

    async def _warm_up(self) -> None:
        core = self._core
        if not core.plan.target:
            return
        core.warm_up(trio.current_time())
        self._tell(f"{core.plan.target:,} drivers are asking for a charge")
        await _until(lambda: core.is_warm, WARM_S_MAX, self._stopping)
        await _until(lambda: False, SETTLE_S, self._stopping)

    async def _measure(self, dialed_s: float) -> Report:
        core = self._core
        mark = await self._look.mark()
        core.measure()
        self._tell(f"measuring for {self._seconds:g} s")
        began_s, own_s = time.monotonic(), time.process_time()
        charging = core.charging_count
        await self._watch()
        seconds = time.monotonic() - began_s
        own_cores = (time.process_time() - own_s) / seconds
        complete_s = core.monitors.complete_s
        # Counted before Central is asked: what comes in meanwhile is of a later time.
        report = report_of(
            core,
            registered_s=None if complete_s is None else complete_s - dialed_s,
            seconds=seconds,
            charging=max(charging, core.charging_count),
            own_cores=own_cores,
        )
        return attrs.evolve(report, central=await self._look.since(mark))

    async def _watch(self) -> None:
        core, end_s = self._core, trio.current_time() + self._seconds
        # Once in between: that holds up none of the others is part of what is measured.
        list_at_s = end_s - self._seconds / 2
        while (left_s := end_s - trio.current_time()) > 0 and not self._stopping.is_set():
            if trio.current_time() >= list_at_s:
                list_at_s = math.inf
                await self._look.list_all()
                continue
            rest_s = min(left_s, TOLD_EACH_S, max(WATCH_S, list_at_s - trio.current_time()))
            await _until(lambda: False, rest_s, self._stopping)
            self._tell(
                f"{core.monitors.registered_count:,} registered,"
                f" {core.charging_count:,} charge, {max(0.0, left_s - rest_s):.0f} s left"
            )
