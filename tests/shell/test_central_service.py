"""Central's answers to HTTP: until when a call counts, and its metrics."""

from collections.abc import Sequence

import attrs
import pytest
import trio
import trio.testing

from evd.adapters.http.metrics import Metrics
from evd.adapters.store import StoreFailed
from evd.core.central.core import Central
from evd.core.central.events import CentralSettings, CpStopAsked, Refusal, Refused, Reply
from evd.core.central.point import Point
from evd.core.central.rows import ChargingPoint, EventType, FaultEvent, Image, Meta
from evd.core.central.views import CpView
from evd.core.wire.control import Ack, Nack, NackCode
from evd.daemons.central.inbox import Inbox
from evd.daemons.central.metrics import CentralMetrics
from evd.daemons.central.service import Service
from evd.daemons.central.steps import batch_steps
from evd.daemons.clock import now


async def unrendered(_: Sequence[CpView], __: int, ___: bool) -> bytes:
    """No metrics."""
    return b""


@pytest.fixture
def inbox() -> Inbox:
    """The inbox into which the service puts calls."""
    return Inbox()


@pytest.fixture
async def core() -> Central:
    """A Central that knows nothing."""
    return Central(CentralSettings(), Image(Meta("central-1", 1)), now())


@pytest.fixture
async def service(core: Central, inbox: Inbox) -> Service:
    """A service that answers for `core`; its database is read by no test here."""
    service = Service(inbox, lambda: True, unrendered)
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
    assert not list(batch_steps(core, [event], {}, is_waiting=service.is_waiting, now=now))


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


async def test_what_monitors_are_refused_is_counted() -> None:
    """Proves: each NACK counts under its code, every code from 0."""
    metrics = CentralMetrics(Metrics())
    for answer in (Ack(1, "central-1"), Nack(2, "no room", code=NackCode.FULL)):
        metrics.count_answer(answer)
    shown = (await metrics.render([], 0, True)).decode()
    assert 'evd_nacks_total{code="full"} 1.0' in shown
    assert 'evd_nacks_total{code="bad_frame"} 0.0' in shown


async def test_a_removed_charging_point_leaves_no_series() -> None:
    """Proves: a charging point's series are there from the first look at it, count, and end when it
    is removed."""
    metrics = CentralMetrics(Metrics())
    await metrics.render([view("CP-001"), view("CP-002")], 0, True)
    fault = FaultEvent("CP-001", EventType.FAULT, "x", now().wall)
    metrics.count_rows([fault, attrs.evolve(fault, cp_id="CP-002")])
    shown = (await metrics.render([view("CP-002")], 0, True)).decode()
    assert "CP-001" not in shown
    assert 'evd_faults_total{cp_id="CP-002"} 1.0' in shown
    assert 'evd_recoveries_total{cp_id="CP-002"} 0.0' in shown
