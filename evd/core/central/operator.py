"""The operator: charging points stopped, resumed, shut down and removed.

A wish is stored; engines are told each second until they report it.
"""

import math
from collections.abc import Iterable
from typing import Any

from evd.core.central.events import (
    Accepted,
    CpRemovalAsked,
    CpResumeAsked,
    CpShutdownAsked,
    CpStopAsked,
    Effect,
    Refusal,
    Refused,
    Reply,
    Save,
)
from evd.core.central.point import Point
from evd.core.central.report import Report
from evd.core.central.rows import OperatorEvent, OperatorEventType, Removal
from evd.core.central.state import State
from evd.core.effects import Level, Note
from evd.core.wire.messages import CpState, Payload, ResumeCp, Shutdown, StopCp

REPEAT_S = 1.0
# An order is good for so long after its engine's newest report.
GOOD_S = 5.0
# A SHUTDOWN is repeated this long; a host that is out of reach keeps its engine.
SHUTDOWN_S = 10.0

AboutCp = CpStopAsked | CpResumeAsked | CpShutdownAsked | CpRemovalAsked


class Operator:
    """The operator's wishes, and when engines were last told of them."""

    def __init__(self, state: State) -> None:
        self.state = state
        self._commanded_s: dict[str, float] = {}
        # Those whose engines may have yet to do what is wanted.
        self._open: dict[str, None] = {}
        # By charging point: the boot that is to end, and until when it is told.
        self._shutdowns: dict[str, tuple[str, float]] = {}

    def on_asked(self, event: AboutCp) -> list[Effect]:
        """Do what is asked of a charging point, or refuse it."""
        point = self.state.points.get(event.cp_id)
        if point is None:
            why = f"no charging point {event.cp_id} is known"
            return [_refuse(event, Refusal.UNKNOWN, why)]
        match event:
            case CpStopAsked():
                did = OperatorEventType.STOPPED
                effects = point.stopped(did.done, self.state.now)
                effects += self._noted(event, did) if effects else []
            case CpResumeAsked():
                effects = point.resumed(self.state.now)
                effects += self._noted(event, OperatorEventType.RESUMED) if effects else []
            case CpShutdownAsked():
                if point.report is None:
                    why = f"{event.cp_id}: its engine has not reported yet"
                    return [_refuse(event, Refusal.CONFLICT, why)]
                until_s = self.state.now.mono_s + SHUTDOWN_S
                # The engine that its monitor sees now, and no later one.
                boot_id, told = point.report.boot_id, self._shutdowns.get(point.cp_id)
                self._shutdowns[point.cp_id] = (boot_id, until_s)
                self._open[point.cp_id] = None
                is_new = told is None or told[0] != boot_id
                effects = self._noted(event, OperatorEventType.SHUTDOWN) if is_new else []
            case CpRemovalAsked():
                return self._remove(event, point)
        return [*effects, Reply(event.call, Accepted()), *self._level(point)]

    def _noted(self, event: AboutCp, did: OperatorEventType) -> list[Effect]:
        """Write down what was done, and who did it."""
        who = event.by.name or None
        return [Save(OperatorEvent(event.cp_id, did, self.state.now.wall, who))]

    def _remove(self, event: CpRemovalAsked, point: Point) -> list[Effect]:
        why = self._needed(point)
        if why:
            why = f"{event.cp_id} can't be removed: {why}"
            return [_refuse(event, Refusal.CONFLICT, why)]
        del self.state.points[event.cp_id]
        self.state.note_change(event.cp_id)
        self._commanded_s.pop(event.cp_id, None)
        self._shutdowns.pop(event.cp_id, None)
        return [
            Save(Removal(event.cp_id)),
            # Removed, it comes back with a new token, and not with one that lies on a lost host.
            *map(Save, self.state.access.revoke_cp_token(event.cp_id, self.state.now)),
            Reply(event.call, Accepted()),
            Note(Level.INFO, f"CP {event.cp_id} was removed by the operator"),
        ]

    def _needed(self, point: Point) -> str:
        session = self.state.ledger.active_at(point.cp_id)
        if point.monitor_ok:
            return "its monitor is connected"
        if session is not None:
            return f"session {session.session_id} is open"
        if point.report is not None and point.report.unconfirmed:
            return f"its engine keeps {point.report.unconfirmed} unconfirmed records"
        if point.cp_id in self.state.meta.recovering:
            return "its records are awaited after a restore"
        return ""

    def take_up(self, cp_ids: Iterable[str]) -> None:
        """Look at these charging points, which have changed."""
        self._open.update(dict.fromkeys(cp_ids))

    def tick(self) -> list[Effect]:
        """Repeat what engines have not done yet."""
        effects: list[Effect] = []
        for cp_id in [*self._open]:
            point = self.state.points.get(cp_id)
            if point is None or not self._is_open(point):
                del self._open[cp_id]
            else:
                effects += self._level(point)
        return effects

    def _is_open(self, point: Point) -> bool:
        report = point.report
        if report is None:
            return False
        is_stopped = report.state is CpState.STOPPED
        return point.cp_id in self._shutdowns or point.row.stopped is not is_stopped

    def _level(self, point: Point) -> list[Effect]:
        report, now_s, cp_id = point.report, self.state.now.mono_s, point.cp_id
        if report is None or not point.heard_lately(now_s):
            return []
        if now_s - self._commanded_s.get(cp_id, -math.inf) < REPEAT_S:
            return []
        payload = self._wanted(point, report, now_s)
        if payload is None:
            return []
        self._commanded_s[cp_id] = now_s
        return self.state.command(cp_id, payload)

    def _wanted(self, point: Point, report: Report, now_s: float) -> Payload | None:
        if point.cp_id in self._shutdowns:
            boot_id, until_s = self._shutdowns[point.cp_id]
            if now_s <= until_s and report.boot_id == boot_id:
                return Shutdown(boot_id)
            del self._shutdowns[point.cp_id]
            return None
        stopped = report.state is CpState.STOPPED
        if point.row.stopped and not stopped:
            return StopCp(point.row.stop_reason, **_fresh(point, report))
        if stopped and not point.row.stopped:
            return ResumeCp(**_fresh(point, report))
        return None


def _fresh(point: Point, report: Report) -> dict[str, Any]:
    return {"boot_id": report.boot_id, "until_up_s": point.engine_up_s + GOOD_S}


def _refuse(event: AboutCp, refusal: Refusal, reason: str) -> Reply:
    return Reply(event.call, Refused(refusal, reason, "cp_id"))
