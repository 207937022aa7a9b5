"""Central's desk for HTTP: what waits, what was answered, what is rendered."""

from collections.abc import Sequence

import attrs
import trio
import trio.testing

from evd.adapters.http.metrics import Metrics
from evd.core.central.core import Central
from evd.core.central.events import CentralSettings, CpStopAsked, Refusal, Refused, Reply
from evd.core.central.point import Point
from evd.core.central.rows import ChargingPoint, EventType, FaultEvent, Image, Meta
from evd.core.central.views import CpView
from evd.daemons.central.inbox import Inbox
from evd.daemons.central.metrics import CentralMetrics
from evd.daemons.central.service import ANSWER_S_MAX, Service
from evd.daemons.clock import now


async def unrendered(_: Sequence[CpView], __: int, ___: bool) -> bytes:
    """No metrics."""
    return b""


async def test_what_was_answered_with_503_is_not_done_later(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """Proves: a call that was told that Central did not decide in time is never begun."""
    inbox = Inbox()
    desk = Service(inbox, lambda: True, unrendered)
    desk.core = Central(CentralSettings(), Image(Meta("central-1", 1)), now())
    replies: list[Reply] = []

    async def ask() -> None:
        replies.append(await desk.ask(lambda call: CpStopAsked(call, "CP-001")))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(ask)
        (event,) = (await inbox.take()).events
        assert not desk.is_abandoned(event)
        await trio.sleep(ANSWER_S_MAX + 1)
    (reply,) = replies
    assert isinstance(reply.answer, Refused)
    assert reply.answer.refusal is Refusal.UNAVAILABLE
    assert desk.is_abandoned(event)


def view(cp_id: str) -> CpView:
    """A charging point of which nothing is known yet."""
    return Point(ChargingPoint(cp_id), 0.0).view(None, 0.0)


async def test_a_removed_charging_point_leaves_no_series() -> None:
    """Proves: what is shown of a charging point is there from the first look at it, counts, and
    ends when it is removed."""
    metrics = CentralMetrics(Metrics())
    await metrics.render([view("CP-001"), view("CP-002")], 0, True)
    fault = FaultEvent("CP-001", EventType.FAULT, "x", now().wall)
    metrics.saved([fault, attrs.evolve(fault, cp_id="CP-002")])
    shown = (await metrics.render([view("CP-002")], 0, True)).decode()
    assert "CP-001" not in shown
    assert 'evd_faults_total{cp_id="CP-002"} 1.0' in shown
    assert 'evd_recoveries_total{cp_id="CP-002"} 0.0' in shown
