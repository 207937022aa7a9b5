"""The engine of one charging point, as Central hears it.

Its reports and its meter come through Kafka, its PONGs through the monitor that sees it.  Its boot
is that which the monitor sees; within a boot `seq` orders the reports, whichever way they come.  A
report that the PONGs contradict for long enough is refuted: a number that is too high silences
nobody.
"""

import math

import attrs

from evd.core.central.report import Doubt, Report, Uptime
from evd.core.effects import Now
from evd.core.wire.control import Heartbeat, KoCause
from evd.core.wire.messages import CpStatus, Telemetry

# An engine says how it is every 2 s: of one that was silent for longer nothing came through.
HEARD_LATELY_S = 3.0


class EngineHeard:
    """All that is known of an engine.  Times are Central's monotonic seconds."""

    def __init__(self, pong_age_s: float) -> None:
        """Know nothing; `pong_age_s`: how old in seconds a PONG may be when it is heard."""
        self._pong_age_s = pong_age_s
        self._report: Report | None = None
        self._meter: Telemetry | None = None
        self._heard_s = -math.inf
        self._kafka_heard_s = -math.inf
        self._uptime = Uptime(pong_age_s)
        self._doubt = Doubt()
        self._refused_since_s: float | None = None
        self._refused_boot_id: str | None = None

    @property
    def report(self) -> Report | None:
        """Its newest report."""
        return self._report

    @property
    def meter(self) -> Telemetry | None:
        """The newest telemetry of any session."""
        return self._meter

    @property
    def heard_s(self) -> float:
        """The last time that it was heard, by Kafka or by its monitor."""
        return self._heard_s

    @property
    def up_s(self) -> float:
        """Its uptime at that time."""
        return self._uptime.up_s

    @property
    def kafka_heard_s(self) -> float:
        """The last time that this boot's own messages came through Kafka."""
        return self._kafka_heard_s

    @property
    def supplies(self) -> str | None:
        """The session that it last reported to run."""
        return self._report.session_id if self._report is not None else None

    def supplied_kw(self, now_s: float) -> float | None:
        """Return the power that it supplies; 0 for none, None where it is not known how much."""
        session_id, meter = self.supplies, self._meter
        if session_id is None:
            return None if self._report is None else 0.0
        if meter is None or meter.session_id != session_id or not self.heard_lately(now_s):
            return None
        return meter.kw

    def heard_lately(self, now_s: float) -> bool:
        """Return whether it can be expected to read what it is told."""
        return now_s - self._heard_s <= HEARD_LATELY_S

    def refuses_since_s(self, boot_id: str | None) -> float | None:
        """Return since when the port of this boot refuses, None if it does not."""
        return self._refused_since_s if self._refused_boot_id == boot_id else None

    def is_as(self, message: Heartbeat) -> bool:
        """Return whether its monitor's PONG is of the boot, state and session that are known."""
        report = self._report
        return (
            report is not None
            and message.boot_id == report.boot_id
            and message.engine_state is report.state
            and message.session_id == report.session_id
        )

    def on_pong(self, message: Heartbeat, now_s: float) -> None:
        """Its monitor finds it well, and tells its PONG where that has one."""
        self._refused_since_s = None
        boot_id, seq, state, up_s = (
            message.boot_id,
            message.report,
            message.engine_state,
            message.up_s,
        )
        if boot_id is None or seq is None or state is None or up_s is None:
            return
        before = self._report
        if before is None or before.boot_id != boot_id:
            # A new boot counts only by its monitor's word.
            self._kafka_heard_s = -math.inf
            self._report = Report.of_pong(boot_id, seq, state, message)
            self._doubt, self._uptime = Doubt(), Uptime(self._pong_age_s)
        elif self._doubt.refutes(before, seq, state, up_s, now_s):
            self._report = Report.of_pong(boot_id, seq, state, message)
        elif seq > before.seq:
            leaving = before.leaving
            self._report = Report.of_pong(boot_id, seq, state, message, leaving=leaving)
        # Without news it is alive all the same: a PONG proves that, a PONG of an old state too.
        self._uptime.on_pong(up_s, now_s)
        self._heard_s = now_s

    def on_ko(self, message: Heartbeat, now_s: float) -> None:
        """Its monitor finds it broken."""
        if message.ko_cause is not KoCause.REFUSED or message.boot_id is None:
            # Only of a boot that this monitor has met can it say that its port is gone.
            self.forget_refusal()
        elif self._refused_since_s is None or self._refused_boot_id != message.boot_id:
            self._refused_since_s, self._refused_boot_id = now_s, message.boot_id

    def forget_refusal(self) -> None:
        """Nobody sees any more that its port refuses."""
        self._refused_since_s = None

    def on_report(self, status: CpStatus, now_s: float) -> Report | None:
        """A report of its boot came in; returns it where it is the newest."""
        before = self._report
        if before is None or status.seq >= self._doubt.refuted_seq:
            return None
        self._kafka_heard_s = now_s
        newer = before.then(status)
        if newer is before:
            return None
        self._report, self._heard_s = newer, now_s
        self._uptime.on_report(status.up_s, now_s)
        return newer

    def on_telemetry(self, message: Telemetry, now: Now) -> None:
        """The meter of its running session came in."""
        self._kafka_heard_s = now.mono_s
        self._meter = message if message.ts is not None else attrs.evolve(message, ts=now.wall)

    def forget_session(self, session_id: str) -> None:
        """Central closed this session: believe no more what it said of it."""
        if self._report is not None:
            self._report = self._report.forget_session(session_id)
