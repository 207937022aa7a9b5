"""One charging point in Central: its row, its monitor, its engine's newest report.

The state that is shown is worked out here, never stored:

    monitor  engine  state
    OK       OK      ON
    OK       KO      BROKEN
    KO       any     DISCONNECTED

The engine that the registered monitor sees is the charging point's engine.

Others read a Point and tell it what happened; only its own verbs change it.  A verb returns the
effects of the change: the row, the history of faults, the lines of the log.
"""

import math
from collections.abc import Callable
from datetime import datetime, timedelta

import attrs

from evd.core.central.breaker import Breaker
from evd.core.central.engine_heard import HEARD_LATELY_S, EngineHeard
from evd.core.central.events import Effect, Save
from evd.core.central.flapping import QUIET_S, Flapping
from evd.core.central.history import Snapshots, told
from evd.core.central.report import DUPLICATE_S, Duplicate, Report, said
from evd.core.central.rows import (
    ChargingPoint,
    EventType,
    FaultEvent,
    HealthSnapshot,
    ShownState,
)
from evd.core.central.standing import Standing, shown_state
from evd.core.central.views import CpView, LiveMeter
from evd.core.effects import Level, Note, Now
from evd.core.wire.control import EngineStatus, Heartbeat, KoCause, Register
from evd.core.wire.messages import CpState, CpStatus, Telemetry


class Point:
    """One charging point, in memory.  Times are Central's monotonic seconds."""

    def __init__(
        self,
        row: ChargingPoint,
        now_s: float,
        pong_age_s: float = 3.0,
        on_change: Callable[[str], None] = lambda _: None,
    ) -> None:
        """Take a row; `pong_age_s` is the age in seconds that a PONG may have when it is heard.

        `on_change` is called with its id where it may stand otherwise than before.
        """
        self._note_change = on_change
        self._row = row
        self._breaker = Breaker(row.breaker, row.breaker_failures, row.breaker_successes, now_s)
        self._idle_since_s = now_s
        self._connection: int | None = None
        self._instance_id: str | None = None
        self._frame_s = -math.inf
        self._last_seen: datetime | None = None
        self._engine_status = row.engine_status
        self._ko_reason = ""
        self._engine = EngineHeard(pong_age_s)
        self._duplicate: Duplicate | None = None
        self._snapshots = Snapshots(row.cp_id)
        self._standing = Standing.of_row(row)
        self._flapping = Flapping()
        self._lost_why = ""

    @property
    def row(self) -> ChargingPoint:
        """Its row, as the database will have it."""
        return self._row

    @property
    def cp_id(self) -> str:
        """The id that its monitor and its engine name."""
        return self._row.cp_id

    @property
    def idle_since_s(self) -> float:
        """Since when it has had no session."""
        return self._idle_since_s

    @property
    def connection(self) -> int | None:
        """The connection of its registered monitor."""
        return self._connection

    @property
    def instance_id(self) -> str | None:
        """The monitor that registered last."""
        return self._instance_id

    @property
    def monitor_ok(self) -> bool:
        """Whether its monitor is registered; one that is silent for too long is hung up on."""
        return self._connection is not None

    @property
    def is_flapping(self) -> bool:
        """Whether its changes are counted now, and not written down."""
        return self._flapping.is_on

    @property
    def ko_reason(self) -> str:
        """Why its monitor finds its engine broken; empty while it does not."""
        return self._ko_reason

    @property
    def report(self) -> Report | None:
        """Its engine's newest report."""
        return self._engine.report

    @property
    def heard_s(self) -> float:
        """The last time that its engine was heard, by Kafka or by its monitor."""
        return self._engine.heard_s

    @property
    def engine_up_s(self) -> float:
        """Its engine's uptime at that time."""
        return self._engine.up_s

    @property
    def kafka_heard_s(self) -> float:
        """The last time that this boot's own messages came through Kafka."""
        return self._engine.kafka_heard_s

    @property
    def meter(self) -> Telemetry | None:
        """The newest telemetry of any session."""
        return self._engine.meter

    @property
    def supplies(self) -> str | None:
        """The session that its engine last reported to run."""
        return self._engine.supplies

    def supplied_kw(self, now_s: float) -> float | None:
        """Return the power that it supplies; 0 for none, None where it is not known how much."""
        return self._engine.supplied_kw(now_s)

    @property
    def shown(self) -> ShownState:
        """The state of the table above."""
        return shown_state(self._connection is not None, self._engine_status)

    def heard_lately(self, now_s: float) -> bool:
        """Return whether its engine can be expected to read what it is told."""
        return self._engine.heard_lately(now_s)

    def is_silent(self, now_s: float, timeout_s: float) -> bool:
        """Return whether its monitor has sent no frame for `timeout_s`."""
        return now_s - self._frame_s >= timeout_s

    def refuses_since_s(self, boot_id: str | None) -> float | None:
        """Return since when the port of this boot refuses; None if it does not, or nobody looks."""
        return None if self._connection is None else self._engine.refuses_since_s(boot_id)

    def unavailable(self, assigned: str | None, now_s: float) -> str:
        """Return why it can't take a driver, as a sentence part; empty when it can.

        `assigned`: the session that Central has open for it.
        """
        why = self.hindered(assigned)
        if not why and not self._breaker.at(now_s).lets_through:
            return "its circuit breaker is open after repeated failures"
        return why

    def hindered(self, assigned: str | None) -> str:
        """Return why it can't take a driver, its breaker apart: no time changes that."""
        report, shown = self.report, self.shown
        if shown is ShownState.DISCONNECTED:
            return "its monitor is not connected"
        if shown is ShownState.BROKEN:
            return f"its engine is broken: {self._ko_reason or 'it does not answer'}"
        if self._row.stopped:
            return "it is stopped by the operator"
        if assigned is not None:
            return f"it is occupied by {assigned}"
        if report is None:
            return "its engine has not reported yet"
        if report.state is not CpState.ACTIVATED:
            why = f": {report.reason}" if report.reason else ""
            return f"its engine is {report.state.value}{why}"
        if self._row.kw_rate is None or self._row.euro_rate is None:
            return "its rates are not known yet"
        return ""

    def _tell(self) -> None:
        self._note_change(self.cp_id)

    def _tell_heard(self, before: Report | None, *, was_lately: bool) -> None:
        """Tell where its engine, just heard, is otherwise than before, or was not heard of late."""
        report = self._engine.report
        if not was_lately or (report is not before and said(before) != said(report)):
            self._tell()

    def registered(self, connection: int, message: Register, now: Now) -> list[Effect]:
        """Its monitor registered, on this connection."""
        self._tell()
        effects: list[Effect] = []
        if connection != self._connection:
            effects += self._on_change(now, is_bad=False)
        self._connection, self._instance_id = connection, message.instance_id
        self._standing.turn(self.shown, now)
        before = self._row
        effects += self._save(
            attrs.evolve(
                before,
                kw_rate=before.kw_rate if message.kw_rate is None else message.kw_rate,
                euro_rate=before.euro_rate if message.euro_rate is None else message.euro_rate,
                location=before.location if message.location is None else message.location,
                connected=before.connected or before.engine_status is None,
            ),
            now,
        )
        return [*effects, *self._reconnected(now)]

    def _reconnected(self, now: Now) -> list[Effect]:
        """Write down that its monitor is back, where that is news."""
        if self._connection is None or self._row.connected or self.is_flapping:
            return []
        return [
            *self._save(attrs.evolve(self._row, connected=True), now),
            *self._event(EventType.RECONNECTED, "its monitor is back", Level.INFO, now),
        ]

    def _on_change(self, now: Now, *, is_bad: bool) -> list[Effect]:
        """Count a change of what is shown; say so where they become too many."""
        if not self._flapping.on_change(now.mono_s, is_bad=is_bad):
            return []
        text = f"counted, not written down, until it is quiet for {QUIET_S:g} s"
        return [Note(Level.WARNING, f"CP {self.cp_id} changes too often: its changes are {text}")]

    def heard(self, now: Now, at_s: float | None = None) -> None:
        """A good frame of its monitor came in at `at_s`, or just now; then it may have waited."""
        heard_s, self._last_seen = now.mono_s, now.wall
        if at_s is not None and at_s < heard_s:
            self._last_seen -= timedelta(seconds=heard_s - at_s)
            heard_s = at_s
        self._frame_s = max(self._frame_s, heard_s)

    def lost(self, why: str, now: Now) -> list[Effect]:
        """Its monitor is not registered any more; no effects where that is known already."""
        if self._connection is not None:
            self._tell()
            self._on_change(now, is_bad=True)
            self._lost_why = why
        self._connection = None
        self._engine.forget_refusal()
        self._standing.turn(self.shown, now)
        if not self._row.connected or self.is_flapping:
            return []
        why = self._lost_why or why
        return [
            *self._save(attrs.evolve(self._row, connected=False), now),
            *self._event(EventType.DISCONNECTED, why, Level.WARNING, now),
        ]

    def restart_timeouts(self, now_s: float) -> None:
        """Central stood still: nobody was silent but itself."""
        self._frame_s = now_s
        self._engine.forget_refusal()

    def is_news(self, message: Heartbeat) -> bool:
        """Return whether its monitor says more than that its engine is well and as it was."""
        row = self._row
        if self._ko_reason or message.reason or message.boot_id != row.boot_id or self.is_flapping:
            return True
        if not message.engine_status is self._engine_status is row.engine_status is EngineStatus.OK:
            return True
        return not self._engine.is_as(message)

    def unchanged(self, message: Heartbeat, now: Now) -> None:
        """Its monitor said what is no news: its engine is alive, and nothing follows from it."""
        before, was_lately = self.report, self.heard_lately(now.mono_s)
        self._engine.on_pong(message, now.mono_s)
        self._tell_heard(before, was_lately=was_lately)

    def judged(self, message: Heartbeat, now: Now) -> list[Effect]:
        """Its monitor gave its verdict on the engine, and the PONG behind it."""
        self._tell()
        status, row, before = message.engine_status, self._row, self.report
        ok = status is EngineStatus.OK
        known = before.boot_id if before is not None else None
        is_boot_new = ok and message.boot_id not in (None, known) and known is not None
        effects: list[Effect] = []
        if status is not self._engine_status or is_boot_new:
            effects += self._on_change(now, is_bad=not ok)
        self._engine_status = status
        self._standing.turn(self.shown, now)
        self._ko_reason = message.reason or (message.ko_cause.value if message.ko_cause else "")
        boot_id = row.boot_id
        if ok:
            self._engine.on_pong(message, now.mono_s)
            if message.boot_id is not None and not (self.report and self.report.leaving):
                boot_id = message.boot_id
        else:
            self._engine.on_ko(message, now.mono_s)
        if self.is_flapping or (status is row.engine_status and boot_id == row.boot_id):
            return effects
        effects += self._save(attrs.evolve(row, engine_status=status, boot_id=boot_id), now)
        if not ok:
            if row.engine_status is not EngineStatus.KO:
                gone = message.ko_cause is KoCause.REFUSED
                why = "its engine is gone" if gone else "its engine does not answer"
                why = message.reason or why
                effects += self._event(EventType.FAULT, why, Level.WARNING, now)
        elif row.engine_status is EngineStatus.KO:
            effects += self._mended("its engine answers again", now)
        elif row.boot_id is not None and row.boot_id != boot_id:
            # Its supervisor was quicker than the verdict: a fault and a recovery all the same.
            effects += self._event(EventType.FAULT, "its engine restarted", Level.WARNING, now)
            effects += self._mended("its engine is back with a new boot", now)
        return effects

    def _mended(self, why: str, now: Now) -> list[Effect]:
        effects = self._event(EventType.RECOVERY, why, Level.INFO, now)
        return [*effects, *self._set_breaker(self._breaker.at(now.mono_s).recovered(), now)]

    def reported(self, status: CpStatus, now: Now) -> list[Effect]:
        """A report came through Kafka; `report` stays the same object where it changes nothing."""
        report = self.report
        if report is None:
            # Which boot is this charging point's engine, its monitor has yet to say.
            return []
        if report.boot_id != status.boot_id:
            return self._duplicate_reported(status.boot_id, now)
        was_lately = self.heard_lately(now.mono_s)
        newer = self._engine.on_report(status, now.mono_s)
        self._tell_heard(report, was_lately=was_lately)
        if newer is None or not newer.leaving:
            return []
        # Told to end: that another boot follows it is no fault, also over our own restart.
        return self._save(attrs.evolve(self._row, boot_id=None), now)

    def _duplicate_reported(self, boot_id: str, now: Now) -> list[Effect]:
        other, now_s = self._duplicate, now.mono_s
        if other is None or other.boot_id != boot_id:
            self._duplicate = Duplicate(boot_id, now_s, now_s)
            self._tell()
            return []
        other.last_s = now_s
        if other.told or not other.is_one(now_s) or not self._is_seen(now_s):
            return []
        other.told = True
        why = f"duplicate engine: boot {boot_id} reports beside its own"
        return self._event(EventType.FAULT, why, Level.ERROR, now)

    def _is_seen(self, now_s: float) -> bool:
        return self._connection is not None and now_s - self.heard_s < DUPLICATE_S

    def metered(self, message: Telemetry, now: Now) -> None:
        """The meter of its running session came in."""
        before = self.meter
        self._engine.on_telemetry(message, now)
        flows = message.session_id, message.kw > 0
        if before is None or (before.session_id, before.kw > 0) != flows:
            self._tell()

    def freed(self, session_id: str, now_s: float) -> None:
        """Central closed this session: believe no more what its engine said of it."""
        self._idle_since_s = now_s
        self._engine.forget_session(session_id)
        self._tell()

    def stopped(self, reason: str, now: Now) -> list[Effect]:
        """The operator took it out of service."""
        return self._save(attrs.evolve(self._row, stopped=True, stop_reason=reason), now)

    def resumed(self, now: Now) -> list[Effect]:
        """The operator put it back into service."""
        return self._save(attrs.evolve(self._row, stopped=False, stop_reason=""), now)

    def failed(self, now: Now) -> list[Effect]:
        """A session failed by its fault: its breaker counts it."""
        return self._set_breaker(self._breaker.at(now.mono_s).failed(now.mono_s), now)

    def succeeded(self, now: Now) -> list[Effect]:
        """A session ended without a fault of its own."""
        return self._set_breaker(self._breaker.at(now.mono_s).succeeded(), now)

    def ticked(self, now: Now, *, settled: bool) -> list[Effect]:
        """Time went by.  Not `settled`: its monitor may still be on its way back to Central."""
        effects: list[Effect] = []
        other = self._duplicate
        if other is not None and now.mono_s >= other.gone_s:
            self._duplicate = None
            if other.told:
                why = f"the duplicate engine, boot {other.boot_id}, is silent"
                effects += self._event(EventType.RECOVERY, why, Level.INFO, now)
        if (left_out := self._flapping.end(now.mono_s)) is not None:
            count, span_s = left_out
            text = f"{count} changes in {span_s:.0f} s were not written down; it is {self.shown}"
            effects.append(Note(Level.INFO, f"CP {self.cp_id} is quiet again: {text}"))
            effects += self._reconnected(now)
        if settled or self._connection is not None:
            effects += self._look(now)
        return effects

    def next_look_s(self, now_s: float) -> float:
        """Return by when time alone may change how it stands, the silence of its monitor apart."""
        by_s = min(self._snapshots.next_s, self._flapping.end_s, self._breaker.half_open_s)
        if self._duplicate is not None:
            by_s = min(by_s, self._duplicate.gone_s)
        if self.supplies is not None and self.heard_lately(now_s):
            by_s = min(by_s, self.heard_s + HEARD_LATELY_S)
        return by_s

    def _look(self, now: Now) -> list[Effect]:
        """Write down how it stands, at each change and every minute."""
        faulty = self._engine_status is EngineStatus.KO
        state = self.report.state if self.report is not None else None
        shown, breaker = self.shown, self._breaker.at(now.mono_s).state
        kw = self.supplied_kw(now.mono_s)
        # The power alone is no news but where it begins or ends.
        standing = shown, state, faulty, breaker, bool(kw)
        if not self._snapshots.wants(standing, now.mono_s, is_flapping=self.is_flapping):
            return []
        why = self._ko_reason if faulty else ""
        return [Save(HealthSnapshot(self.cp_id, shown, state, faulty, why, breaker, now.wall, kw))]

    def _save(self, row: ChargingPoint, now: Now) -> list[Effect]:
        if row == self._row:
            return []
        self._tell()
        self._row = attrs.evolve(row, last_update=now.wall, state_since=self._standing.since)
        return [Save(self._row)]

    def _set_breaker(self, breaker: Breaker, now: Now) -> list[Effect]:
        before, self._breaker = self._breaker, breaker
        self._tell()
        effects = self._save(
            attrs.evolve(
                self._row,
                breaker=breaker.state,
                breaker_failures=breaker.failures,
                breaker_successes=breaker.successes,
            ),
            now,
        )
        if before.state is not breaker.state:
            text = f"CP {self.cp_id}: circuit breaker {before.state} -> {breaker.state}"
            effects.append(Note(Level.WARNING, text, about=f"CP {self.cp_id}"))
        return effects

    def _event(self, event_type: EventType, why: str, level: Level, now: Now) -> list[Effect]:
        return told(FaultEvent(self.cp_id, event_type, why, now.wall), level, self.shown)

    def view(self, assigned: tuple[str, str] | None, now_s: float) -> CpView:
        """Return how it is shown; `assigned`: the (session_id, driver_id) that Central has open."""
        session_id, driver_id = assigned or (None, None)
        why = self.unavailable(session_id, now_s)
        row, report = self._row, self.report
        return CpView(
            cp_id=row.cp_id,
            state=self.shown,
            state_since=self._standing.since_of(self.shown),
            available=not why,
            unavailable_reason=why,
            stopped=row.stopped,
            engine_state=report.state if report is not None else None,
            engine_status=self._engine_status,
            monitor_status=EngineStatus.OK if self.monitor_ok else EngineStatus.KO,
            breaker=self._breaker.at(now_s).state,
            unconfirmed=report.unconfirmed if report is not None else None,
            current_driver=driver_id,
            current_session=session_id,
            kw_rate=row.kw_rate,
            euro_rate=row.euro_rate,
            location=row.location,
            last_update=row.last_update,
            monitor_last_seen=self._last_seen,
            telemetry=self._live(session_id),
        )

    def outline(self, now_s: float) -> tuple[object, ...]:
        """Return what a view is made of, but for the session: while it is equal so is the view,
        apart from when the monitor was last heard."""
        breaker, connected = self._breaker.at(now_s).state, self._connection is not None
        status, why = self._engine_status, self._ko_reason
        return self._row, self.report, self.meter, connected, status, why, breaker

    def _live(self, session_id: str | None) -> LiveMeter | None:
        meter = self.meter
        if meter is None or meter.ts is None or session_id is None:
            return None
        if meter.session_id != session_id:
            return None
        return LiveMeter(
            meter.kw, meter.kwh, meter.euros, meter.session_id, meter.driver_id, meter.ts
        )
