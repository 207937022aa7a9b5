"""Monitors: who is registered for which charging point, and what they say of its engine.

A closed connection is KO at once; one that says nothing for the time-out is hung up on.  Each
change of a charging point's health is written down once, also over Central's own restarts.
"""

from collections import OrderedDict
from collections.abc import Iterable
from itertools import takewhile

from evd.core.access.access import NEVER_MADE, NO_TOKEN
from evd.core.access.roles import Auth
from evd.core.access.tokens import digest
from evd.core.access.unready import Unready
from evd.core.central.events import (
    Answer,
    Effect,
    FrameRefused,
    HangUp,
    MonitorSaid,
    PutAside,
    Save,
    WouldRefuse,
)
from evd.core.central.point import Point
from evd.core.central.recovery import Recovery
from evd.core.central.rows import ChargingPoint
from evd.core.central.sessions import Sessions
from evd.core.central.state import State
from evd.core.central.turned_away import TurnedAway
from evd.core.deadlines import Deadlines
from evd.core.effects import Level, Note, Now
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
REVOKED = "its token is good no more"


class Monitors:
    """The connections of monitors, and the reports of engines."""

    def __init__(self, state: State, sessions: Sessions, recovery: Recovery) -> None:
        self.state = state
        self.sessions = sessions
        self.recovery = recovery
        # The charging point of each connection, the one that was heard the longest ago first.
        self._points = OrderedDict[int, Point]()
        self._turned_away = TurnedAway()
        # The digest of the right token that each open connection showed.
        self._proofs: dict[int, str] = {}
        self._unready: dict[int, Unready] = {}
        self._access_seen = state.access.generation
        # By when time alone may change how a charging point stands; silence is not among it.
        self._looks = Deadlines[str]()
        self._phase = False, False

    def on_message(self, event: MonitorSaid) -> list[Effect]:
        """Take in a good frame of a monitor, and answer it."""
        connection, message = event.connection, event.message
        if isinstance(message, Register):
            return self._on_register(event, message)
        point = self._points.get(connection)
        if point is None:
            code, why = NackCode.NOT_REGISTERED, "REGISTER comes first"
            return [_refuse(connection, message, code, why)]
        if point.cp_id != message.cp_id:
            return [_refuse_other(connection, message, point)]
        self._hear(connection, point, self.state.now, event.at_s)
        ack = Answer(connection, Ack(message.seq, self.state.meta.central_id))
        if isinstance(message, Heartbeat):
            if self._is_quiet(point, message, self.state.now):
                return [ack]
            return [*self._on_verdict(point, message), ack]
        why = message.reason or "its monitor said goodbye"
        return [ack, HangUp(connection), *self._lose(point, why)]

    def acknowledge(self, connection: int, message: Heartbeat, now: Now) -> bool:
        """Note a heartbeat that says nothing new; False where it is more than that."""
        point = self._points.get(connection)
        if point is None or point.cp_id != message.cp_id:
            return False
        if not self._is_quiet(point, message, now):
            return False
        self._hear(connection, point, now)
        return True

    def _hear(self, connection: int, point: Point, now: Now, at_s: float | None = None) -> None:
        point.heard(now, at_s)
        self._points.move_to_end(connection)

    def _is_quiet(self, point: Point, message: Heartbeat, now: Now) -> bool:
        """Return whether a heartbeat says nothing new; then nothing follows from it, and the PONG
        in it is noted."""
        # A REGISTER, a FAULT or a RECOVERED is news by itself.
        if type(message) is not Heartbeat or point.is_news(message):
            return False
        if not self.sessions.goes_on(point, now.mono_s):
            return False
        point.unchanged(message, now)
        return True

    def on_refused(self, event: FrameRefused) -> list[Effect]:
        """Answer a bad frame, or a good one with a bad object in it."""
        point = self._points.get(event.connection)
        if point is not None and event.seq is not None:
            # A bad object still came in a good frame: its sender lives.
            self._hear(event.connection, point, self.state.now, event.at_s)
        nack = Nack(event.seq, clip(event.reason), code=event.code)
        hang_up = [HangUp(event.connection)] if event.last else []
        return [Answer(event.connection, nack), *hang_up]

    def on_left(self, connection: int) -> list[Effect]:
        """Take it in that a connection is closed."""
        point = self._points.get(connection)
        return [] if point is None else self._lose(point, "its monitor's connection closed")

    def _on_register(self, event: MonitorSaid, message: Register) -> list[Effect]:
        state, connection = self.state, event.connection
        bound = self._points.get(connection)
        if bound is not None and bound.cp_id != message.cp_id:
            return [_refuse_other(connection, message, bound)]
        proof, why = self._proof(message)
        if why and state.settings.auth is Auth.REQUIRED:
            return self._turn_back(event, message, why)
        effects: list[Effect] = []
        if why and state.settings.auth is Auth.WARN:
            effects.append(WouldRefuse("monitor"))
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
        self._keep_proof(event, message, proof, why)
        first, state.speaks = not state.speaks, True
        effects += point.registered(connection, message, state.now)
        # It beats from its ACK on: after a long wait for that it is not silent at once.
        self._hear(connection, point, state.now)
        effects += self._on_verdict(point, message)
        heartbeat_s = round(state.settings.heartbeat_timeout_s / HEARTBEATS_PER_TIMEOUT, 3)
        ack = Ack(message.seq, state.meta.central_id, heartbeat_s=heartbeat_s)
        effects.append(Answer(connection, ack))
        return [*effects, *state.beacon()] if first else effects

    def _proof(self, message: Register) -> tuple[str, str]:
        """Return the digest of a right token, or why there is none; no more than one hash."""
        if message.token is None and self.state.settings.auth is Auth.OFF:
            return "", NO_TOKEN
        proof = None if message.token is None else digest(message.token)
        why = self.state.access.why_no_monitor(message.cp_id, proof, self.state.now)
        return ("", why) if why else (proof or "", "")

    def _keep_proof(self, event: MonitorSaid, message: Register, proof: str, why: str) -> None:
        """Know by what a connection was let in, or why `required` would not let it in."""
        self._proofs.pop(event.connection, None)
        self._unready.pop(event.connection, None)
        if why:
            wall = self.state.now.wall
            seen = Unready("point", message.cp_id, event.address, why, 1, wall)
            self._unready[event.connection] = seen
        else:
            self._proofs[event.connection] = proof

    def _turn_back(self, event: MonitorSaid, message: Register, why: str) -> list[Effect]:
        """Refuse somebody without a right token.

        A stranger is not told which charging points there are: the log and the row say more.
        """
        state, cp_id = self.state, message.cp_id
        is_known = cp_id in state.points or state.access.has_cp_token(cp_id, state.now)
        said = "token: is wanted here" if message.token is None else "token: is not good here"
        return [
            _refuse(event.connection, message, NackCode.UNAUTHORIZED, said),
            HangUp(event.connection),
            *self._turned_away.add(cp_id, event.address, why, is_known=is_known, now=state.now),
        ]

    def unready(self, now: Now) -> list[Unready]:
        """Return the charging points that --auth required would refuse."""
        state, found = self.state, [*self._unready.values()]
        named = {each.name for each in found}
        for cp_id in state.points.keys() - named:
            if not state.access.has_cp_token(cp_id, now):
                found.append(Unready("point", cp_id, "", NEVER_MADE, 0, now.wall))
        return sorted(found, key=lambda each: each.name)

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
        self._forget(point.connection)
        return [HangUp(point.connection)]

    def _forget(self, connection: int) -> None:
        for kept in (self._points, self._proofs, self._unready):
            kept.pop(connection, None)

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
            self._forget(point.connection)
        effects = point.lost(why, self.state.now)
        if effects:
            why = f"charging point {point.cp_id} is out of sight; charging goes on"
            effects += self.sessions.trouble(point, why)
        return effects

    def on_status(self, status: CpStatus) -> list[Effect]:
        """Take in an engine's own report, which came by Kafka."""
        ledger, now_s = self.state.ledger, self.state.now.mono_s
        self.state.claims.hear(status, now_s, has_row=status.session_id in ledger.sessions)
        point = self.state.points.get(status.cp_id)
        if point is None:
            return []
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

    def tick(self, changed: Iterable[str]) -> list[Effect]:
        """Hang up on the silent, and write down how each charging point stands.

        Those are looked at that have `changed`, and those that time may have changed.
        """
        state, effects = self.state, self._hang_up_revoked()
        phase = not state.in_grace, self._overdue()
        if phase == self._phase:
            due = self._looks.due(state.now.mono_s)
            looked_at = dict.fromkeys((*changed, *self._silent(), *due))
        else:
            self._phase, looked_at = phase, dict.fromkeys(state.points)
        for cp_id in looked_at:
            point = state.points.get(cp_id)
            if point is not None:
                effects += self._look_at(point)
        return [*effects, *self._turned_away.tick(state.now)]

    def _silent(self) -> list[str]:
        """Return those whose monitor is silent: nobody is asked about who was heard later."""
        return [point.cp_id for point in takewhile(self._is_silent, self._points.values())]

    def _look_at(self, point: Point) -> list[Effect]:
        state, effects = self.state, list[Effect]()
        timeout_s = state.settings.heartbeat_timeout_s
        settled, overdue = self._phase
        if point.connection is not None and self._is_silent(point):
            effects += self._hang_up(point)
            effects += self._lose(point, f"no heartbeat for {timeout_s:g} s")
        elif overdue and point.connection is None and point.row.connected:
            effects += self._lose(point, "its monitor did not come back after Central's start")
        effects += point.ticked(state.now, settled=settled)
        if effects:
            # One change may be followed by another.
            state.note_change(point.cp_id)
        self._looks.by(point.cp_id, point.next_look_s(state.now.mono_s))
        return effects

    def _hang_up_revoked(self) -> list[Effect]:
        """Hang up on those whose token is good no more."""
        state, effects = self.state, list[Effect]()
        if state.access.generation == self._access_seen:
            return effects
        self._access_seen = state.access.generation
        if state.settings.auth is not Auth.REQUIRED:
            return effects
        for connection, proof in list(self._proofs.items()):
            if not state.access.is_token_good(proof, state.now):
                point = self._points[connection]
                effects += self._hang_up(point)
                effects += self._lose(point, REVOKED)
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
