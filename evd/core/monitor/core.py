"""A charging point's monitor: asks its engine, tells Central, and serves nobody.

It is the only source of the engine's health.  Only its `instance_id` must survive its crash; the
next process asks anew for the rest.  The address at which Central served last may survive it.
"""

import math

import attrs

from evd.core.effects import Now
from evd.core.monitor.checks import EngineChecks
from evd.core.monitor.events import (
    CentralAnswered,
    Connected,
    Effect,
    EngineAnswered,
    EngineGarbled,
    Event,
    Lost,
    Peer,
    StopAsked,
    Ticked,
)
from evd.core.monitor.report import DIAL_S, TLS_DIAL_S, CentralReport
from evd.core.monitor.rounds import ANSWER_S, Rounds
from evd.core.stall import StallWatch

# The core notices a stop of its process only if it is told the time often enough.
TICK_S = 0.25


@attrs.frozen(slots=True)
class MonitorSettings:
    """The operator's settings; durations in seconds."""

    cp_id: str
    health_interval_s: float
    failure_threshold: int
    reconnect_delay_max_s: float
    # Whether Central is dialed by TLS, whose handshake takes longer.
    is_central_tls: bool = False
    # The addresses of all Centrals, of which one serves, as the log names them.
    centrals: tuple[str, ...] = ("127.0.0.1:9999",)

    @property
    def dial_s(self) -> float:
        """For one dial of Central, the handshake in it."""
        if self.is_central_tls:
            return TLS_DIAL_S
        return ANSWER_S if len(self.centrals) > 1 else DIAL_S


class Monitor:
    """Events in, effects out, in the order in which they must happen.

    `last_served` is the address of the Central that served last, None where nobody knows.
    """

    def __init__(
        self, settings: MonitorSettings, instance_id: str, last_served: str | None = None
    ) -> None:
        self.cp_id = settings.cp_id
        self._stall = StallWatch()
        self.checks = EngineChecks(
            settings.cp_id, settings.health_interval_s, settings.failure_threshold
        )
        self.report = CentralReport(
            settings.cp_id,
            instance_id,
            settings.reconnect_delay_max_s,
            self.checks,
            Rounds(settings.centrals, settings.reconnect_delay_max_s, last_served),
            settings.dial_s,
        )
        self._wake_at_s = -math.inf

    @property
    def wake_at_s(self) -> float:
        """The monotonic time at which it wants a `Ticked`, if nothing happens before."""
        return self._wake_at_s

    def start(self, now: Now) -> list[Effect]:
        """Begin the first health check."""
        return self.handle(Ticked(), now)

    def handle(self, event: Event, now: Now) -> list[Effect]:
        """Return what must be done about `event`, in this order."""
        now_s = now.mono_s
        if self._stall.observe(now_s):
            self.checks.on_stall(now_s)
            self.report.on_stall(now_s)
        effects = [*self._decide(event, now_s)]
        if not self.report.leaving:
            effects += self.checks.on_tick(now_s, self.report.central_id)
        effects += self.report.on_tick(now_s)
        wake_at_s = min(self.checks.wake_at_s, self.report.wake_at_s)
        self._wake_at_s = min(max(wake_at_s, now_s), now_s + TICK_S)
        return effects

    def _decide(self, event: Event, now_s: float) -> list[Effect]:
        match event:
            case Ticked():
                return []
            case StopAsked(reason):
                return [*self.report.on_stop_asked(reason, now_s)]
            case CentralAnswered():
                return [*self.report.on_answer(event, now_s)]
            case Connected(Peer.CENTRAL):
                return [*self.report.on_connected(event, now_s)]
            case Lost(Peer.CENTRAL):
                return [*self.report.on_lost(event, now_s)]
            case Connected() | Lost() | EngineAnswered() | EngineGarbled() if self.report.leaving:
                # The engine is probably stopping too: that is no fault.
                return []
            case Connected():
                return [*self.checks.on_connected(event, self.report.central_id)]
            case Lost():
                return [*self.checks.on_lost(event, now_s)]
            case EngineAnswered():
                return [*self.checks.on_answer(event, now_s)]
            case EngineGarbled():
                return [*self.checks.on_garbled(event, now_s)]
