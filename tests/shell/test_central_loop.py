"""Central's loop around the core: the clock that it tells, and when it does not."""

from typing import Any, cast

import trio
from trio.testing import MockClock

from evd.adapters.http.metrics import Metrics
from evd.core.central.events import CentralSettings, Ticked
from evd.daemons.central.inbox import Inbox
from evd.daemons.central.loop import TICK_S, Loop
from evd.daemons.central.metrics import CentralMetrics
from evd.daemons.central.service import Service
from tests.shell.alone import StandingBy


async def test_a_standby_piles_up_no_ticks(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    """Proves: the first ticks of a core are of its own time, and say how Kafka is now, however long
    this Central stood by."""
    inbox, metrics, is_up = Inbox(), CentralMetrics(Metrics()), False
    unused: Any = None
    service = Service(inbox, lambda: is_up, metrics.render, 8765, StandingBy())
    loop = Loop(*(CentralSettings(), StandingBy(), unused, unused, inbox, service, metrics, unused))
    nursery.start_soon(loop.tick)
    await trio.sleep(100 * TICK_S)
    is_up = True
    service.start_serving(cast(Any, unused_core()), unused)
    delivery = await inbox.take()
    assert delivery.events == [Ticked(True)]
    before_s = trio.current_time()
    assert (await inbox.take()).events == [Ticked(True)]
    assert trio.current_time() - before_s <= TICK_S
    nursery.cancel_scope.cancel()


def unused_core() -> Any:
    """A core that is only said to be there."""

    class Core:
        central_id = "central-1"

    return Core()
