"""A charging point's monitor: asks its engine, tells Central, and serves nobody.

It is the only source of the engine's health.  Nothing of it needs to survive its crash but its
`instance_id`: the next one asks anew.
"""

import attrs

from evd.core.effects import Now
from evd.core.monitor.checks import EngineChecks
from evd.core.monitor.events import (
    CentralAnswered,
    CentralConnected,
    CentralLost,
    Effect,
    EngineAnswered,
    EngineConnected,
    EngineLost,
    Event,
    StopAsked,
    Ticked,
)
from evd.core.monitor.report import CentralReport
from evd.core.stall import StallWatch

# A stop of this process is noticed only by who is told the time often enough.
TICK_S = 0.25


@attrs.frozen(slots=True)
class MonitorSettings:
    """What the operator decides; durations in seconds."""

    cp_id: str
    health_interval_s: float
    failure_threshold: int
    reconnect_delay_max_s: float


class Monitor:
    """Events in, effects out, in the order in which they must happen."""

    def __init__(self, settings: MonitorSettings, instance_id: str, now: Now) -> None:
        self._stall = StallWatch()
        self.checks = EngineChecks(
            settings.cp_id, settings.health_interval_s, settings.failure_threshold, now.mono_s
        )
        self.report = CentralReport(
            settings.cp_id,
            instance_id,
            settings.reconnect_delay_max_s,
            self.checks,
            now.mono_s,
        )
        self._wake_at_s = now.mono_s

    @property
    def wake_at_s(self) -> float:
        """The monotonic time at which it wants a `Ticked`, if nothing else happens before."""
        return self._wake_at_s

    def handle(self, event: Event, now: Now) -> list[Effect]:
        """What is to be done now that `event` has happened."""
        now_s = now.mono_s
        if self._stall.observe(now_s):
            self.checks.restart(now_s)
            self.report.restart(now_s)
        effects = [*self._take(event, now_s)]
        if not self.report.leaving:
            effects += self.checks.tick(now_s, self.report.central_id)
        effects += self.report.tick(now_s)
        wake_at_s = min(self.checks.wake_at_s, self.report.wake_at_s)
        self._wake_at_s = min(max(wake_at_s, now_s), now_s + TICK_S)
        return effects

    def _take(self, event: Event, now_s: float) -> list[Effect]:
        match event:
            case Ticked():
                return []
            case EngineConnected() | EngineLost() | EngineAnswered() if self.report.leaving:
                # Its engine may be stopping just as well, and that is nobody's fault.
                return []
            case EngineConnected():
                return [*self.checks.connected(event, self.report.central_id)]
            case EngineLost():
                return [*self.checks.lost(event, now_s)]
            case EngineAnswered():
                return [*self.checks.answered(event, now_s)]
            case CentralConnected():
                return [*self.report.connected(event, now_s)]
            case CentralLost():
                return [*self.report.lost(event, now_s)]
            case CentralAnswered():
                return [*self.report.answered(event, now_s)]
            case StopAsked(reason):
                return [*self.report.leave(reason, now_s)]
