"""Central's answers to HTTP: until when a call counts, and its metrics."""

from collections.abc import Sequence

import attrs
import pytest
import trio
import trio.testing

from evd.adapters.http.metrics import SERIES_AT_ONCE, Metrics
from evd.adapters.pieces import POINTS_AT_ONCE
from evd.adapters.store import StoreFailed
from evd.core.central.core import Central
from evd.core.central.events import CentralSettings, CpStopAsked, Refusal, Refused, Reply
from evd.core.central.point import Point
from evd.core.central.rows import ChargingPoint, EventType, FaultEvent, Image, Meta, Request
from evd.core.central.views import CpView
from evd.core.wire.control import Ack, Nack, NackCode
from evd.core.wire.messages import DriverRequest, RequestStatus, Seen
from evd.daemons.central.inbox import Inbox
from evd.daemons.central.metrics import CentralMetrics, Gauged
from evd.daemons.central.service import Service
from evd.daemons.central.steps import batch_steps
from evd.daemons.clock import now
from tests.shell.alone import ALONE


class Page:
    """The metrics that a service shows."""

    def __init__(self) -> None:
        self.metrics = CentralMetrics(Metrics())

    async def lines(self, gauged: Gauged) -> list[str]:
        """Return the lines of /metrics."""
        return (await self.metrics.render(gauged)).decode().splitlines()


@pytest.fixture
def page() -> Page:
    """The metrics of a Central that has counted nothing yet."""
    return Page()


@pytest.fixture
def inbox() -> Inbox:
    """The inbox into which the service puts calls."""
    return Inbox()


@pytest.fixture
async def core() -> Central:
    """A Central that knows nothing."""
    return Central(CentralSettings(), Image(Meta("central-1", 1)), now())


@pytest.fixture
async def service(core: Central, inbox: Inbox, page: Page) -> Service:
    """A service that answers for `core`; its database is read by no test here."""
    service = Service(inbox, lambda: True, page.metrics.render, 8765, ALONE)
    service.start_serving(core, None)  # type: ignore[arg-type]
    return service


async def ask(service: Service, replies: list[Reply]) -> None:
    """Make a call, and note the answer."""
    replies.append(await service.ask(lambda call: CpStopAsked(call, "CP-001")))


def refusals(replies: Sequence[Reply]) -> list[Refusal]:
    """Return why each of the calls was refused."""
    return [reply.answer.refusal for reply in replies if isinstance(reply.answer, Refused)]


async def test_a_call_that_was_answered_with_503_is_not_decided_later(
    core: Central, service: Service, inbox: Inbox, autojump_clock: trio.testing.MockClock
) -> None:
    """Proves: a call that was told that Central did not decide in time is never begun."""
    replies: list[Reply] = []
    await ask(service, replies)
    assert refusals(replies) == [Refusal.UNAVAILABLE]
    (event,) = (await inbox.take()).events
    assert isinstance(event, CpStopAsked)
    is_waiting = service.is_waiting
    steps = batch_steps(
        *(core, [event], {}), is_waiting=is_waiting, is_open=lambda _: True, now=now
    )
    assert not list(steps)


async def test_without_a_database_there_is_no_answer_but_503(
    service: Service, inbox: Inbox, autojump_clock: trio.testing.MockClock
) -> None:
    """Proves: a call that waits, a new one and a look at the history all end at once when the
    database fails."""
    replies: list[Reply] = []
    async with trio.open_nursery() as nursery:
        nursery.start_soon(ask, service, replies)
        await inbox.take()
        service.stop_serving("the disk is full")
    await ask(service, replies)
    assert refusals(replies) == [Refusal.UNAVAILABLE] * 2
    assert autojump_clock.current_time() == 0.0
    assert service.unhealthy() == "the disk is full"
    with pytest.raises(StoreFailed, match="the disk is full"):
        _ = service.store


def view(cp_id: str) -> CpView:
    """A charging point of which nothing is known yet."""
    return Point(ChargingPoint(cp_id), 0.0).view(None, 0.0)


async def test_what_monitors_are_refused_is_counted(page: Page) -> None:
    """Proves: each NACK counts under its code, every code from 0."""
    for answer in (Ack(1, "central-1"), Nack(2, "no room", code=NackCode.FULL)):
        page.metrics.count_answer(answer)
    shown = await page.lines(Gauged([]))
    assert 'evd_nacks_total{code="full"} 1.0' in shown
    assert 'evd_nacks_total{code="bad_frame"} 0.0' in shown


async def test_a_removed_charging_point_leaves_no_series(page: Page) -> None:
    """Proves: a charging point's series are there from the first look at it, count, and end when it
    is removed."""
    await page.lines(Gauged([view("CP-001"), view("CP-002")]))
    fault = FaultEvent("CP-001", EventType.FAULT, "x", now().wall)
    page.metrics.count_commit([fault, attrs.evolve(fault, cp_id="CP-002")], 0.003)
    shown = await page.lines(Gauged([view("CP-002")]))
    assert not [line for line in shown if "CP-001" in line]
    assert 'evd_faults_total{cp_id="CP-002"} 1' in shown
    assert 'evd_recoveries_total{cp_id="CP-002"} 0' in shown
    assert 'evd_charging_point_state{cp_id="CP-002",state="DISCONNECTED"} 1' in shown
    assert 'evd_charging_point_state{cp_id="CP-002",state="ON"} 0' in shown
    assert 'evd_commit_seconds_bucket{le="0.0025"} 0.0' in shown
    assert 'evd_commit_seconds_bucket{le="0.005"} 1.0' in shown


async def test_counts_outlive_a_database_that_fails(page: Page) -> None:
    """Proves: while there is no core, counters stay as they are and no charging point is shown in a
    state that nobody knows; it is told that the database is the reason."""
    fault = FaultEvent("CP-001", EventType.FAULT, "x", now().wall)
    await page.lines(Gauged([view("CP-001")]))
    page.metrics.count_commit([fault], 0.003)
    shown = await page.lines(Gauged(None, unhealthy="the disk is full"))
    assert 'evd_faults_total{cp_id="CP-001"} 1' in shown
    assert not [line for line in shown if line.startswith("evd_charging_point_state{")]
    assert {"evd_database_up 0.0", "evd_broker_up 1.0", "evd_healthy 0.0"} <= {*shown}


async def test_a_request_is_timed_from_its_first_word_to_its_yes(
    page: Page, autojump_clock: trio.testing.MockClock
) -> None:
    """Proves: the time to ACCEPTED is counted once for each request that was accepted, from when it
    was first read, however often it is repeated before and after."""
    asked = DriverRequest("req-1", "driver-1", None, seen=Seen("central-1", 1, 7.5))
    moment = now().wall
    accepted = RequestStatus.ACCEPTED
    row = Request("req-1", "driver-1", "CP-001", None, accepted, "", moment, moment)
    page.metrics.note_requests([asked])
    await trio.sleep(0.2)
    page.metrics.note_requests([asked])
    await trio.sleep(0.2)
    page.metrics.count_commit([row], 0.001)
    page.metrics.note_requests([asked])
    page.metrics.count_commit([attrs.evolve(row, status=RequestStatus.IN_PROGRESS)], 0.001)
    page.metrics.note_requests([attrs.evolve(asked, request_id="req-2")])
    denied = attrs.evolve(row, request_id="req-2", status=RequestStatus.DENIED)
    page.metrics.count_commit([denied], 0.001)
    shown = await page.lines(Gauged([]))
    assert "evd_request_accepted_seconds_count 1.0" in shown
    assert 'evd_request_accepted_seconds_bucket{le="0.25"} 0.0' in shown
    assert 'evd_request_accepted_seconds_bucket{le="0.5"} 1.0' in shown


async def test_ten_thousand_charging_points_hold_nothing_up(inbox: Inbox) -> None:
    """Proves: /metrics of a Central with 10,000 charging points lets the loop have its turns, and
    each of them has each of its series."""
    points = [ChargingPoint(f"CP-{number:05}") for number in range(10_000)]
    image = Image(Meta("central-1", 1), charging_points=points)
    metrics, turns, turns_before = CentralMetrics(Metrics()), 0, 0

    async def render(gauged: Gauged) -> bytes:
        nonlocal turns_before
        turns_before = turns
        return await metrics.render(gauged)

    service = Service(inbox, lambda: True, render, 8765, ALONE)
    service.start_serving(Central(CentralSettings(), image, now()), None)  # type: ignore[arg-type]
    done = trio.Event()

    async def turn() -> None:
        nonlocal turns
        while not done.is_set():
            await trio.lowlevel.checkpoint()
            turns += 1

    async with trio.open_nursery() as nursery:
        nursery.start_soon(turn)
        shown = await service.metrics()
        done.set()
    assert turns_before > 0.9 * 10_000 / POINTS_AT_ONCE
    assert turns - turns_before > 0.9 * 9 * 10_000 / SERIES_AT_ONCE
    # Four counters, a state of three, a breaker and a power.
    assert shown.count(b'cp_id="CP-') == 9 * 10_000
