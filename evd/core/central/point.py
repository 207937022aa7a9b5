"""What Central knows of each charging point: its monitor, its engine's newest report, its state.

The state that is shown is worked out here, never stored:

    monitor  engine  state
    OK       OK      ON
    OK       KO      BROKEN
    KO       any     DISCONNECTED

The engine that the registered monitor sees is the charging point's engine.  Its boot counts, and
within a boot `seq` orders the reports, whichever way they come.
"""

from datetime import datetime

import attrs

from evd.core.central.breaker import Breaker
from evd.core.central.rows import ChargingPoint, ShownState
from evd.core.central.views import CpView, LiveMeter
from evd.core.engine.transitions import STOPPING
from evd.core.wire.control import EngineStatus, Heartbeat, KoCause
from evd.core.wire.messages import CpState, CpStatus, Telemetry

# An engine says how it is every 2 s: of one that was silent for longer nothing came through.
HEARD_LATELY_S = 3.0


@attrs.frozen(slots=True)
class Report:
    """An engine's state, from its own report or from what its monitor last heard.

    `whole` is false for the latter, which knows neither request and driver of the session nor
    `unconfirmed`.  `heard_s` is Central's monotonic time.
    """

    boot_id: str
    seq: int
    up_s: float
    state: CpState
    heard_s: float
    session_id: str | None = None
    request_id: str | None = None
    driver_id: str | None = None
    unconfirmed: int | None = None
    central_id: str | None = None
    reason: str = ""
    whole: bool = False

    @property
    def leaves(self) -> bool:
        """Whether this boot was told to end, and says so."""
        return self.state is CpState.STOPPED and self.reason == STOPPING


@attrs.frozen(slots=True)
class Stranger:
    """A boot that reports as this charging point, but is not the one that its monitor sees."""

    boot_id: str
    first_s: float
    last_s: float
    told: bool = False


@attrs.define(slots=True)
class Point:
    """One charging point, in memory.  Times are Central's monotonic seconds."""

    row: ChargingPoint
    breaker: Breaker
    idle_since_s: float
    connection: int | None = None
    instance_id: str | None = None
    frame_s: float = 0.0
    last_seen: datetime | None = None
    engine_status: EngineStatus | None = None
    ko_reason: str = ""
    refused_since_s: float | None = None
    refused_boot_id: str | None = None
    report: Report | None = None
    # The last time that this boot's own messages came through Kafka.
    kafka_heard_s: float = -1e9
    stranger: Stranger | None = None
    meter: Telemetry | None = None
    commanded_s: float = -1e9
    shutdown: tuple[str, float] | None = None
    snapshot: tuple[object, ...] | None = None
    snapshot_s: float = -1e9

    @property
    def cp_id(self) -> str:
        """Its id."""
        return self.row.cp_id

    @property
    def monitor_ok(self) -> bool:
        """Whether its monitor is registered; who is silent for too long is hung up on."""
        return self.connection is not None

    @property
    def shown(self) -> ShownState:
        """The status matrix."""
        if not self.monitor_ok:
            return ShownState.DISCONNECTED
        return ShownState.ON if self.engine_status is EngineStatus.OK else ShownState.BROKEN

    @property
    def supplies(self) -> str | None:
        """The session that its engine last reported to run."""
        return self.report.session_id if self.report is not None else None

    def heard_lately(self, now_s: float) -> bool:
        """Whether its engine can be expected to read what it is told."""
        return self.report is not None and now_s - self.report.heard_s <= HEARD_LATELY_S

    def unavailable(self, assigned: str | None, now_s: float) -> str:
        """Why it can't take a driver, as a sentence part; empty when it can.

        `assigned`: the session that Central has open for it.
        """
        report = self.report
        if self.shown is ShownState.DISCONNECTED:
            return "its monitor is not connected"
        if self.shown is ShownState.BROKEN:
            return f"its engine is broken: {self.ko_reason or 'it does not answer'}"
        if self.row.stopped:
            return "it is stopped by the operator"
        if assigned is not None:
            return f"it is occupied by {assigned}"
        if report is None:
            return "its engine has not reported yet"
        if report.state is not CpState.ACTIVATED:
            why = f": {report.reason}" if report.reason else ""
            return f"its engine is {report.state.value}{why}"
        if self.row.kw_rate is None or self.row.euro_rate is None:
            return "its rates are not known yet"
        if not self.breaker.at(now_s).lets_through:
            return "its circuit breaker is open after repeated failures"
        return ""

    def heartbeat(self, message: Heartbeat, now_s: float) -> None:
        """Take in what a monitor says of the engine: its verdict, and the PONG behind it."""
        self.engine_status = message.engine_status
        self.ko_reason = message.reason or (message.ko_cause.value if message.ko_cause else "")
        if message.engine_status is EngineStatus.OK:
            self.refused_since_s = None
            self._pong(message, now_s)
        elif message.ko_cause is not KoCause.REFUSED or message.boot_id is None:
            # Only of a boot that this monitor has met can it say that its port is gone.
            self.refused_since_s = None
        elif self.refused_since_s is None or self.refused_boot_id != message.boot_id:
            self.refused_since_s, self.refused_boot_id = now_s, message.boot_id

    def _pong(self, message: Heartbeat, now_s: float) -> None:
        if (
            message.boot_id is None
            or message.report is None
            or message.up_s is None
            or message.engine_state is None
        ):
            return
        report = self.report
        if report is None or report.boot_id != message.boot_id:
            # A new boot counts only by its monitor's word.
            self.kafka_heard_s = -1e9
        elif message.report <= report.seq:
            # Nothing new, but it was alive: a PONG proves that, a PONG of an old state too.
            self.report = attrs.evolve(report, heard_s=now_s, up_s=max(report.up_s, message.up_s))
            return
        self.report = Report(
            boot_id=message.boot_id,
            seq=message.report,
            up_s=message.up_s,
            state=message.engine_state,
            heard_s=now_s,
            session_id=message.session_id,
        )

    def take_report(self, status: CpStatus, now_s: float) -> bool:
        """Take in a report of its engine; False where it is old, or of another boot."""
        report = self.report
        if report is None or report.boot_id != status.boot_id:
            return False
        self.kafka_heard_s = now_s
        if status.seq < report.seq or (status.seq == report.seq and report.whole):
            return False
        self.report = Report(
            boot_id=status.boot_id,
            seq=status.seq,
            up_s=max(status.up_s, report.up_s),
            state=status.state,
            heard_s=now_s,
            session_id=status.session_id,
            request_id=status.request_id,
            driver_id=status.driver_id,
            unconfirmed=status.unconfirmed,
            central_id=status.central_id,
            reason=status.reason,
            whole=True,
        )
        return True

    def forget_session(self, session_id: str) -> None:
        """Central closed this session without its engine: believe no more what it said of it."""
        report = self.report
        if report is not None and report.session_id == session_id:
            self.report = attrs.evolve(report, session_id=None, request_id=None, driver_id=None)

    def view(self, assigned: tuple[str, str] | None, now_s: float) -> CpView:
        """How it is shown; `assigned` is the (session_id, driver_id) that Central has open."""
        session_id, driver_id = assigned or (None, None)
        why = self.unavailable(session_id, now_s)
        row, report = self.row, self.report
        return CpView(
            cp_id=row.cp_id,
            state=self.shown,
            available=not why,
            unavailable_reason=why,
            engine_state=report.state if report is not None else None,
            engine_status=self.engine_status,
            monitor_status=EngineStatus.OK if self.monitor_ok else EngineStatus.KO,
            breaker=self.breaker.at(now_s).state,
            current_driver=driver_id,
            current_session=session_id,
            kw_rate=row.kw_rate,
            euro_rate=row.euro_rate,
            location=row.location,
            last_update=row.last_update,
            monitor_last_seen=self.last_seen,
            telemetry=self._live(session_id),
        )

    def _live(self, session_id: str | None) -> LiveMeter | None:
        meter = self.meter
        if meter is None or meter.ts is None or session_id is None:
            return None
        if meter.session_id != session_id:
            return None
        return LiveMeter(
            meter.kw, meter.kwh, meter.euros, meter.session_id, meter.driver_id, meter.ts
        )
