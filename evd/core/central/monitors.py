"""Monitors: who is registered for which charging point, and what they say of its engine.

A closed connection is KO at once; one that says nothing for the time-out is hung up on.  Each
change of a charging point's health is written down once, also over Central's own restarts.
"""

from collections.abc import Callable

import attrs

from evd.core.central.breaker import Breaker
from evd.core.central.events import Answer, FrameRefused, HangUp, MonitorSaid
from evd.core.central.point import Point, Stranger
from evd.core.central.rows import ChargingPoint, EventType, HealthSnapshot
from evd.core.central.sessions import Sessions
from evd.core.central.state import Save, State
from evd.core.effects import Level
from evd.core.wire.control import (
    Ack,
    Bye,
    EngineStatus,
    Heartbeat,
    KoCause,
    MonitorMessage,
    Nack,
    Register,
)
from evd.core.wire.fields import clip
from evd.core.wire.messages import CpStatus

# A monitor sends a frame at least three times within the time-out.
HEARTBEATS_PER_TIMEOUT = 3
# A restarted engine's reports may cross its monitor's word by this much; a twin's go on.
STRANGER_S = 5.0
STRANGER_SILENT_S = 10.0
SNAPSHOT_S = 60.0


class Monitors:
    """The monitors' part of Central's core."""

    def __init__(
        self, state: State, sessions: Sessions, recovered: Callable[[Point], None]
    ) -> None:
        self.state = state
        self.sessions = sessions
        # Called when a charging point may have become clean after a restore.
        self._recovered = recovered
        self._cp_ids: dict[int, str] = {}

    def said(self, event: MonitorSaid) -> None:
        """A good frame of a monitor."""
        message, connection = event.message, event.connection
        if isinstance(message, Register):
            self._register(connection, message)
            return
        cp_id = self._cp_ids.get(connection)
        if cp_id is None:
            self._refuse(connection, message, "REGISTER comes first")
            return
        if cp_id != message.cp_id:
            self._refuse(connection, message, f"cp_id: this connection registered {cp_id}")
            return
        point = self.state.points[cp_id]
        self._alive(point)
        if isinstance(message, Bye):
            self._answer(connection, Ack(message.seq, self.state.meta.central_id))
            self.state.effects.append(HangUp(connection))
            self._lost(point, message.reason or "its monitor said goodbye")
        elif isinstance(message, Heartbeat):
            self._listen(point, message)
            self._answer(connection, Ack(message.seq, self.state.meta.central_id))

    def refused(self, event: FrameRefused) -> None:
        """A bad frame, or a good one with a bad object in it."""
        # A bad object still came in a good frame: its sender lives.
        cp_id = self._cp_ids.get(event.connection)
        if cp_id is not None and event.seq is not None:
            self._alive(self.state.points[cp_id])
        self._answer(event.connection, Nack(event.seq, clip(event.reason)))
        if event.last:
            self.state.effects.append(HangUp(event.connection))

    def left(self, connection: int) -> None:
        """A connection is closed."""
        cp_id = self._cp_ids.pop(connection, None)
        point = self.state.points.get(cp_id) if cp_id is not None else None
        if point is not None and point.connection == connection:
            self._lost(point, "its monitor's connection closed")

    def _register(self, connection: int, message: Register) -> None:
        state, now_s = self.state, self.state.now.mono_s
        bound = self._cp_ids.get(connection)
        if bound is not None and bound != message.cp_id:
            self._refuse(connection, message, f"cp_id: this connection registered {bound}")
            return
        point = state.points.get(message.cp_id)
        if point is not None and point.connection not in (None, connection):
            if point.instance_id != message.instance_id and not self._silent(point):
                state.note(
                    Level.WARNING,
                    f"CP {point.cp_id}: a second monitor ({message.instance_id}) is turned away",
                )
                self._refuse(connection, message, "duplicate")
                return
            self._take_over(point)
        if point is None:
            point = state.add_point(ChargingPoint(message.cp_id))
            state.effects.append(Save(point.row))
            if state.meta.recovering:
                # It may keep records of what this database has lost.
                recovering = state.meta.recovering | {message.cp_id}
                state.save_meta(attrs.evolve(state.meta, recovering=recovering))
            state.note(Level.INFO, f"CP {point.cp_id} registered: new here")
        elif bound is None:
            state.note(Level.INFO, f"CP {point.cp_id} registered")
        first, state.speaks = not state.speaks, True
        self._cp_ids[connection] = point.cp_id
        point.connection, point.instance_id, point.frame_s = connection, message.instance_id, now_s
        self._note_rates(point, message)
        if not point.row.connected:
            self._connected(point)
        self._alive(point)
        self._listen(point, message)
        heartbeat_s = round(state.settings.heartbeat_timeout_s / HEARTBEATS_PER_TIMEOUT, 3)
        self._answer(connection, Ack(message.seq, state.meta.central_id, heartbeat_s=heartbeat_s))
        if first:
            state.beacon()

    def _take_over(self, point: Point) -> None:
        if point.connection is not None:
            self._cp_ids.pop(point.connection, None)
            self.state.effects.append(HangUp(point.connection))
            point.connection = None

    def _note_rates(self, point: Point, message: Register) -> None:
        row = point.row
        self.state.save_point(
            point,
            attrs.evolve(
                row,
                kw_rate=row.kw_rate if message.kw_rate is None else message.kw_rate,
                euro_rate=row.euro_rate if message.euro_rate is None else message.euro_rate,
                location=row.location if message.location is None else message.location,
            ),
        )

    def _connected(self, point: Point) -> None:
        known = point.row.engine_status is not None
        self.state.save_point(point, attrs.evolve(point.row, connected=True))
        if known:
            self._event(point, EventType.RECONNECTED, "its monitor is back", Level.INFO)

    def _alive(self, point: Point) -> None:
        point.frame_s, point.last_seen = self.state.now.mono_s, self.state.now.wall

    def _silent(self, point: Point) -> bool:
        return self.state.now.mono_s - point.frame_s >= self.state.settings.heartbeat_timeout_s

    def _listen(self, point: Point, message: Heartbeat) -> None:
        before, now_s = point.row, self.state.now.mono_s
        point.heartbeat(message, now_s)
        row = attrs.evolve(before, engine_status=message.engine_status)
        ok = message.engine_status is EngineStatus.OK
        if ok and message.boot_id is not None and not (point.report and point.report.leaves):
            row = attrs.evolve(row, boot_id=message.boot_id)
        self.state.save_point(point, row)
        if not ok and before.engine_status is not EngineStatus.KO:
            self._broke(point, message)
        elif ok and before.engine_status is EngineStatus.KO:
            self._mended(point, "its engine answers again")
        elif ok and before.boot_id is not None and row.boot_id != before.boot_id:
            # Its supervisor was quicker than the verdict: a fault and a recovery all the same.
            self._event(point, EventType.FAULT, "its engine restarted", Level.WARNING)
            self._tell_failed(point, before.boot_id)
            self._mended(point, "its engine is back with a new boot")
        if ok:
            self.sessions.reported(point)

    def _broke(self, point: Point, message: Heartbeat) -> None:
        gone = message.ko_cause is KoCause.REFUSED
        why = message.reason or ("its engine is gone" if gone else "its engine does not answer")
        self._event(point, EventType.FAULT, why, Level.WARNING)
        if gone:
            self._tell_failed(point, message.boot_id)
        else:
            self.sessions.trouble(
                point, f"charging point {point.cp_id} does not answer; charging may go on"
            )

    def _tell_failed(self, point: Point, boot_id: str | None) -> None:
        session = self.state.ledger.active_at(point.cp_id)
        if session is not None and session.boot_id == boot_id:
            self.sessions.trouble(
                point, f"charging point {point.cp_id} failed; the bill for its reading follows"
            )

    def _mended(self, point: Point, why: str) -> None:
        self._event(point, EventType.RECOVERY, why, Level.INFO)
        breaker: Breaker = point.breaker.at(self.state.now.mono_s)
        self.state.save_breaker(point, breaker.recovered())

    def _lost(self, point: Point, why: str) -> None:
        if point.connection is not None:
            self._cp_ids.pop(point.connection, None)
        point.connection = None
        point.refused_since_s = None
        if point.row.connected:
            self.state.save_point(point, attrs.evolve(point.row, connected=False))
            self._event(point, EventType.DISCONNECTED, why, Level.WARNING)
            self.sessions.trouble(
                point, f"charging point {point.cp_id} is out of sight; charging goes on"
            )

    def _event(self, point: Point, event_type: EventType, reason: str, level: Level) -> None:
        self.state.save_event(point.cp_id, event_type, reason)
        shown = {
            EventType.FAULT: "marked as FAULTY",
            EventType.RECOVERY: "recovered",
            EventType.DISCONNECTED: "is DISCONNECTED",
            EventType.RECONNECTED: "is connected again",
        }[event_type]
        if event_type in (EventType.FAULT, EventType.RECOVERY):
            reason += f"; it is {point.shown}"
        self.state.note(level, f"CP {point.cp_id} {shown}: {reason}")

    def reported(self, status: CpStatus) -> None:
        """An engine's own report came in by Kafka."""
        point = self.state.points.get(status.cp_id)
        if point is None or point.report is None:
            # Which boot is this charging point's engine, its monitor has yet to say.
            return
        now_s = self.state.now.mono_s
        if point.report.boot_id != status.boot_id:
            self._stranger(point, status, now_s)
        elif point.take_report(status, now_s):
            if point.report.leaves:
                # Told to end: that another boot follows it is no fault, also over our own restart.
                self.state.save_point(point, attrs.evolve(point.row, boot_id=None))
            self.sessions.reported(point)
            self._recovered(point)

    def _stranger(self, point: Point, status: CpStatus, now_s: float) -> None:
        stranger = point.stranger
        if stranger is None or stranger.boot_id != status.boot_id:
            point.stranger = Stranger(status.boot_id, now_s, now_s)
            return
        stranger = point.stranger = attrs.evolve(stranger, last_s=now_s)
        if (
            not stranger.told
            and now_s - stranger.first_s >= STRANGER_S
            and point.monitor_ok
            and point.report is not None
            and now_s - point.report.heard_s < STRANGER_S
        ):
            point.stranger = attrs.evolve(stranger, told=True)
            why = f"duplicate engine: boot {status.boot_id} reports beside its own"
            self._event(point, EventType.FAULT, why, Level.ERROR)

    def _stranger_gone(self, point: Point) -> None:
        stranger, now_s = point.stranger, self.state.now.mono_s
        if stranger is None or now_s - stranger.last_s < STRANGER_SILENT_S:
            return
        point.stranger = None
        if stranger.told:
            why = f"the duplicate engine, boot {stranger.boot_id}, is silent"
            self._event(point, EventType.RECOVERY, why, Level.INFO)

    def took_up(self) -> None:
        """Central stood still: nobody was silent but itself."""
        for point in self.state.points.values():
            point.frame_s = self.state.now.mono_s
            point.refused_since_s = None

    def tick(self) -> None:
        """Hang up on the silent, and write down how each charging point stands."""
        state = self.state
        for point in state.points.values():
            if point.connection is not None and self._silent(point):
                state.effects.append(HangUp(point.connection))
                span = state.settings.heartbeat_timeout_s
                self._lost(point, f"no heartbeat for {span:g} s")
            elif point.connection is None and point.row.connected and self._overdue():
                self._lost(point, "its monitor did not come back after Central's start")
            self._stranger_gone(point)
            self._snapshot(point)

    def _overdue(self) -> bool:
        settings = self.state.settings
        return self.state.up_s >= max(settings.restart_grace_s, settings.heartbeat_timeout_s)

    def _snapshot(self, point: Point) -> None:
        state, now_s = self.state, self.state.now.mono_s
        if self.state.in_grace and not point.monitor_ok:
            return
        faulty = point.engine_status is EngineStatus.KO
        engine_state = point.report.state if point.report is not None else None
        breaker = point.breaker.at(now_s).state
        snapshot = (point.shown, engine_state, faulty, breaker)
        if snapshot == point.snapshot and now_s - point.snapshot_s < SNAPSHOT_S:
            return
        point.snapshot, point.snapshot_s = snapshot, now_s
        row = HealthSnapshot(
            cp_id=point.cp_id,
            state=point.shown,
            engine_state=engine_state,
            is_faulty=faulty,
            fault_reason=point.ko_reason if faulty else "",
            circuit_breaker_state=breaker,
            timestamp=state.now.wall,
        )
        state.effects.append(Save(row))

    def forget(self, point: Point) -> None:
        """A charging point was taken off the list."""
        del self.state.points[point.cp_id]

    def _refuse(self, connection: int, message: MonitorMessage, reason: str) -> None:
        self._answer(connection, Nack(message.seq, reason))

    def _answer(self, connection: int, message: Ack | Nack) -> None:
        self.state.effects.append(Answer(connection, message))
