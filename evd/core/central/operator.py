"""The operator: charging points stopped, resumed, shut down and removed, and the end of the wait
after a restore.  What is wanted is stored; engines are told each second until they report it."""

import attrs

from evd.core.central.events import (
    Accepted,
    CpRemovalAsked,
    CpResumeAsked,
    CpShutdownAsked,
    CpStopAsked,
    RecoveryAccepted,
    Refusal,
    Refused,
    Reply,
)
from evd.core.central.point import Point
from evd.core.central.rows import Removal
from evd.core.central.state import Save, State
from evd.core.effects import Level
from evd.core.wire.messages import CpState, ResumeCp, Shutdown, StopCp

REPEAT_S = 1.0
# A SHUTDOWN is repeated this long; a host that is out of reach keeps its engine.
SHUTDOWN_S = 10.0
STOPPED = "stopped by the operator"

AboutCp = CpStopAsked | CpResumeAsked | CpShutdownAsked | CpRemovalAsked


class Operator:
    """The operator's part of Central's core."""

    def __init__(self, state: State) -> None:
        self.state = state
        self._clean: set[str] = set()

    def stop(self, event: CpStopAsked) -> None:
        """Take a charging point out of service."""
        point = self._known(event)
        if point is not None:
            row = attrs.evolve(point.row, stopped=True, stop_reason=STOPPED)
            self.state.save_point(point, row)
            self._accept(event)
            self._level(point)

    def resume(self, event: CpResumeAsked) -> None:
        """Put a charging point back into service."""
        point = self._known(event)
        if point is not None:
            row = attrs.evolve(point.row, stopped=False, stop_reason="")
            self.state.save_point(point, row)
            self._accept(event)
            self._level(point)

    def shutdown(self, event: CpShutdownAsked) -> None:
        """End the engine that its monitor sees now, and no later one."""
        point = self._known(event)
        if point is None:
            return
        if point.report is None:
            why = f"{event.cp_id}: its engine has not reported yet"
            self._refuse(event, Refusal.CONFLICT, why)
            return
        point.shutdown = (point.report.boot_id, self.state.now.mono_s + SHUTDOWN_S)
        self._accept(event)
        self._level(point)

    def remove(self, event: CpRemovalAsked) -> None:
        """Take a charging point off the list, unless something would be lost by it."""
        point = self._known(event)
        if point is None:
            return
        why = self._needed(point)
        if why:
            self._refuse(event, Refusal.CONFLICT, f"{event.cp_id} can't be removed: {why}")
            return
        del self.state.points[event.cp_id]
        self.state.effects.append(Save(Removal(event.cp_id)))
        self.state.effects.append(Reply(event.call, Accepted()))
        self.state.note(Level.INFO, f"CP {event.cp_id} was removed by the operator")

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

    def accept(self, event: RecoveryAccepted) -> None:
        """End the wait after a restore at the operator's word."""
        if self.state.meta.recovering:
            self._end_recovery("the operator accepts that nothing more is awaited")
        self.state.effects.append(Reply(event.call, Accepted()))

    def recovered(self, point: Point) -> None:
        """After a restore: has this charging point handed over all that this database lost?"""
        report, meta = point.report, self.state.meta
        if not meta.recovering or report is None or not report.whole:
            return
        known = report.session_id is None or report.session_id in self.state.ledger.sessions
        if report.central_id == meta.central_id and report.unconfirmed == 0 and known:
            self._clean.add(point.cp_id)

    def tick(self) -> None:
        """Repeat what engines have not done yet; end the wait after a restore."""
        for point in self.state.points.values():
            self._level(point)
        meta, settings = self.state.meta, self.state.settings
        if not meta.recovering:
            return
        if self.state.up_s >= settings.session_lost_after_s:
            self._end_recovery("the charging points that are missing were awaited long enough")
        elif not self.state.in_grace and self._clean >= meta.recovering:
            self._end_recovery("every known charging point has handed over its records")

    def _end_recovery(self, why: str) -> None:
        self.state.save_meta(attrs.evolve(self.state.meta, recovering=frozenset()))
        self.state.note(Level.INFO, f"Sessions begin again after the restore: {why}")

    def _level(self, point: Point) -> None:
        report, now_s = point.report, self.state.now.mono_s
        if report is None or not point.heard_lately(now_s):
            return
        if now_s - point.commanded_s < REPEAT_S:
            return
        stopped = report.state is CpState.STOPPED
        if point.shutdown is not None:
            boot_id, until_s = point.shutdown
            if now_s > until_s or report.boot_id != boot_id:
                point.shutdown = None
            else:
                point.commanded_s = now_s
                self.state.command(point.cp_id, Shutdown(boot_id))
        elif point.row.stopped and not stopped:
            point.commanded_s = now_s
            self.state.command(point.cp_id, StopCp(point.row.stop_reason))
        elif not point.row.stopped and stopped:
            point.commanded_s = now_s
            self.state.command(point.cp_id, ResumeCp())

    def _known(self, event: AboutCp) -> Point | None:
        point = self.state.points.get(event.cp_id)
        if point is None:
            why = f"no charging point {event.cp_id} is known"
            self._refuse(event, Refusal.UNKNOWN, why)
        return point

    def _accept(self, event: AboutCp) -> None:
        self.state.effects.append(Reply(event.call, Accepted()))

    def _refuse(self, event: AboutCp, refusal: Refusal, reason: str) -> None:
        self.state.effects.append(Reply(event.call, Refused(refusal, reason, "cp_id")))
