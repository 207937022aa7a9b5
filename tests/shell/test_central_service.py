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
from evd.daemons.central.inbox import Inbox
from evd.daemons.central.metrics import CentralMetrics
from evd.daemons.central.service import ANSWER_S_MAX, Service
from evd.daemons.central.steps import batch_steps
from evd.daemons.clock import now


async def unrendered(_: Sequence[CpView], __: int, ___: bool) -> bytes:
    """No metrics."""
    return b""


async def test_a_call_that_was_answered_with_503_is_not_decided_later(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """Proves: a call that was told that Central did not decide in time is never begun."""
    inbox = Inbox()
    service = Service(inbox, lambda: True, unrendered)
    core = Central(CentralSettings(), Image(Meta("central-1", 1)), now())
    # The call reads no database.
    service.start_serving(core, None)  # type: ignore[arg-type]
    replies: list[Reply] = []

    async def ask() -> None:
        replies.append(await service.ask(lambda call: CpStopAsked(call, "CP-001")))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(ask)
        delivery = await inbox.take()
        (event,) = delivery.events
        assert isinstance(event, CpStopAsked)
        assert service.is_waiting(event.call)
        await trio.sleep(ANSWER_S_MAX + 1)
    (reply,) = replies
    assert isinstance(reply.answer, Refused)
    assert reply.answer.refusal is Refusal.UNAVAILABLE
    assert not list(batch_steps(core, [event], {}, is_waiting=service.is_waiting, now=now))


async def test_without_a_database_there_is_no_answer_but_503() -> None:
    """Proves: a call that waits, a new one and a look at the history all end at once, with the
    reason, when the database fails."""
    inbox = Inbox()
    service = Service(inbox, lambda: True, unrendered)
    core = Central(CentralSettings(), Image(Meta("central-1", 1)), now())
    service.start_serving(core, None)  # type: ignore[arg-type]
    replies: list[Reply] = []

    async def ask() -> None:
        replies.append(await service.ask(lambda call: CpStopAsked(call, "CP-001")))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(ask)
        await inbox.take()
        service.stop_serving("the disk is full")
    await ask()
    refusals = [each.answer.refusal for each in replies if isinstance(each.answer, Refused)]
    assert refusals == [Refusal.UNAVAILABLE] * 2
    assert service.unhealthy() == "the disk is full"
    with pytest.raises(StoreFailed, match="the disk is full"):
        _ = service.store


def view(cp_id: str) -> CpView:
    """A charging point of which nothing is known yet."""
    return Point(ChargingPoint(cp_id), 0.0).view(None, 0.0)


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
