"""Monitors: who is registered for which charging point, and what they say of its engine.

A closed connection is KO at once; one that says nothing for the time-out is hung up on.  Each
change of a charging point's health is written down once, also over Central's own restarts.
"""

from evd.core.central.events import (
    Answer,
    Effect,
    FrameRefused,
    HangUp,
    MonitorSaid,
    PutAside,
    Save,
)
from evd.core.central.point import Point
from evd.core.central.recovery import Recovery
from evd.core.central.rows import ChargingPoint
from evd.core.central.sessions import Sessions
from evd.core.central.state import State
from evd.core.effects import Level, Note
from evd.core.wire.control import (
    Ack,
    EngineStatus,
    Heartbeat,
    KoCause,
    MonitorMessage,
    Nack,
    NackCode,
    Register,
)
from evd.core.wire.fields import clip
from evd.core.wire.messages import CpStatus

# A monitor sends a frame at least three times within the time-out.
HEARTBEATS_PER_TIMEOUT = 3


class Monitors:
    """The connections of monitors, and the reports of engines."""

    def __init__(self, state: State, sessions: Sessions, recovery: Recovery) -> None:
        self.state = state
        self.sessions = sessions
        self.recovery = recovery
        self._points: dict[int, Point] = {}

    def on_message(self, event: MonitorSaid) -> list[Effect]:
        """Take in a good frame of a monitor, and answer it."""
        connection, message = event.connection, event.message
        if isinstance(message, Register):
            return self._on_register(connection, message, event.at_s)
        point = self._points.get(connection)
        if point is None:
            code, why = NackCode.NOT_REGISTERED, "REGISTER comes first"
            return [_refuse(connection, message, code, why)]
        if point.cp_id != message.cp_id:
            return [_refuse_other(connection, message, point)]
        point.heard(self.state.now, event.at_s)
        ack = Answer(connection, Ack(message.seq, self.state.meta.central_id))
        if isinstance(message, Heartbeat):
            effects = self._on_verdict(point, message)
            effects.append(ack)
            return effects
        why = message.reason or "its monitor said goodbye"
        return [ack, HangUp(connection), *self._lose(point, why)]

    def on_refused(self, event: FrameRefused) -> list[Effect]:
        """Answer a bad frame, or a good one with a bad object in it."""
        point = self._points.get(event.connection)
        if point is not None and event.seq is not None:
            # A bad object still came in a good frame: its sender lives.
            point.heard(self.state.now, event.at_s)
        nack = Nack(event.seq, clip(event.reason), code=event.code)
        hang_up = [HangUp(event.connection)] if event.last else []
        return [Answer(event.connection, nack), *hang_up]

    def on_left(self, connection: int) -> list[Effect]:
        """Take it in that a connection is closed."""
        point = self._points.get(connection)
        return [] if point is None else self._lose(point, "its monitor's connection closed")

    def _on_register(self, connection: int, message: Register, at_s: float | None) -> list[Effect]:
        state = self.state
        bound = self._points.get(connection)
        if bound is not None and bound.cp_id != message.cp_id:
            return [_refuse_other(connection, message, bound)]
        effects: list[Effect] = []
        point = state.points.get(message.cp_id)
        if point is not None and point.connection not in (None, connection):
            if point.instance_id != message.instance_id and not self._is_silent(point):
                other = f"a second monitor ({message.instance_id})"
                return [
                    Note(
                        Level.WARNING,
                        f"CP {point.cp_id}: {other} is turned away",
                        about=f"CP {point.cp_id}: a second monitor",
                        is_one=True,
                    ),
                    _refuse(connection, message, NackCode.DUPLICATE, "duplicate"),
                ]
            effects += self._hang_up(point)
        if point is None and len(state.points) >= state.settings.cps_max:
            return self._turn_away(connection, message)
        if point is None:
            point = state.add_point(ChargingPoint(message.cp_id))
            effects += [Save(point.row), *self.recovery.on_new(point)]
            effects.append(_note(Level.INFO, point, " registered: new here"))
        elif bound is None and not point.is_flapping:
            effects.append(_note(Level.INFO, point, " registered"))
        self._points[connection] = point
        first, state.speaks = not state.speaks, True
        effects += point.registered(connection, message, state.now)
        point.heard(state.now, at_s)
        effects += self._on_verdict(point, message)
        heartbeat_s = round(state.settings.heartbeat_timeout_s / HEARTBEATS_PER_TIMEOUT, 3)
        ack = Ack(message.seq, state.meta.central_id, heartbeat_s=heartbeat_s)
        effects.append(Answer(connection, ack))
        return [*effects, *state.beacon()] if first else effects

    def _turn_away(self, connection: int, message: Register) -> list[Effect]:
        why = f"Central knows {len(self.state.points)} charging points, and may know no more"
        text = f"CP {message.cp_id} is turned away: {why}"
        return [
            Note(Level.WARNING, text, about="charging points that find no place", is_one=True),
            _refuse(connection, message, NackCode.FULL, why),
        ]

    def _hang_up(self, point: Point) -> list[Effect]:
        if point.connection is None:
            return []
        self._points.pop(point.connection, None)
        return [HangUp(point.connection)]

    def _is_silent(self, point: Point) -> bool:
        return point.is_silent(self.state.now.mono_s, self.state.settings.heartbeat_timeout_s)

    def _on_verdict(self, point: Point, message: Heartbeat) -> list[Effect]:
        before = point.row
        effects = point.judged(message, self.state.now)
        if effects:
            ok_before = before.engine_status is not EngineStatus.KO
            if message.engine_status is EngineStatus.KO:
                if ok_before and message.ko_cause is KoCause.REFUSED:
                    effects += self._tell_failed(point, message.boot_id)
                elif ok_before:
                    why = f"charging point {point.cp_id} does not answer; charging may go on"
                    effects += self.sessions.trouble(point, why)
            elif ok_before and before.boot_id not in (None, point.row.boot_id):
                effects += self._tell_failed(point, before.boot_id)
        if point.supplies is not None and message.engine_status is EngineStatus.OK:
            effects += self.sessions.on_report(point)
        return effects

    def _tell_failed(self, point: Point, boot_id: str | None) -> list[Effect]:
        session = self.state.ledger.active_at(point.cp_id)
        if session is None or session.boot_id != boot_id:
            return []
        why = f"charging point {point.cp_id} failed; the bill for its reading follows"
        return self.sessions.trouble(point, why)

    def _lose(self, point: Point, why: str) -> list[Effect]:
        if point.connection is not None:
            self._points.pop(point.connection, None)
        effects = point.lost(why, self.state.now)
        if effects:
            why = f"charging point {point.cp_id} is out of sight; charging goes on"
            effects += self.sessions.trouble(point, why)
        return effects

    def on_status(self, status: CpStatus) -> list[Effect]:
        """Take in an engine's own report, which came by Kafka."""
        point = self.state.points.get(status.cp_id)
        if point is None:
            return []
        ledger = self.state.ledger
        wrong = ledger.contradiction(status.session_id, status.request_id, status.driver_id)
        if wrong:
            return [PutAside(status, wrong)]
        before = point.report
        effects = point.reported(status, self.state.now)
        if point.report is not before:
            effects += self.sessions.on_report(point)
            self.recovery.on_report(point)
        return effects

    def restart_timeouts(self) -> None:
        """Central stood still: nobody was silent but itself."""
        for point in self.state.points.values():
            point.restart_timeouts(self.state.now.mono_s)

    def tick(self) -> list[Effect]:
        """Hang up on the silent, and write down how each charging point stands."""
        state, effects = self.state, list[Effect]()
        settled, overdue = not state.in_grace, self._overdue()
        for point in state.points.values():
            if point.connection is not None and self._is_silent(point):
                effects += self._hang_up(point)
                why = f"no heartbeat for {state.settings.heartbeat_timeout_s:g} s"
                effects += self._lose(point, why)
            elif overdue and point.connection is None and point.row.connected:
                effects += self._lose(point, "its monitor did not come back after Central's start")
            effects += point.ticked(state.now, settled=settled)
        return effects

    def _overdue(self) -> bool:
        settings = self.state.settings
        return self.state.up_s >= max(settings.restart_grace_s, settings.heartbeat_timeout_s)


def _note(level: Level, point: Point, what: str) -> Note:
    return Note(level, f"CP {point.cp_id}{what}", about=f"CP {point.cp_id}")


def _refuse(connection: int, message: MonitorMessage, code: NackCode, reason: str) -> Answer:
    return Answer(connection, Nack(message.seq, reason, code=code))


def _refuse_other(connection: int, message: MonitorMessage, point: Point) -> Answer:
    why = f"cp_id: this connection registered {point.cp_id}"
    return _refuse(connection, message, NackCode.OTHER_CP, why)
