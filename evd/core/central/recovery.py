"""After a restore: no session begins until each known charging point has handed over its records.

What happened after the backup is known to engines alone.  The wait ends when all of them have
nothing left to tell, when it was long enough, or at the operator's word.
"""

import attrs

from evd.core.central.events import Accepted, Effect, RecoveryAccepted, Reply
from evd.core.central.point import Point
from evd.core.central.state import State
from evd.core.effects import Level, Note


class Recovery:
    """The wait after a restore."""

    def __init__(self, state: State) -> None:
        self.state = state
        self._clean: set[str] = set()

    def on_start(self) -> list[Effect]:
        """Log the wait, if there is one."""
        return self._told() if self.state.meta.recovering else []

    def _told(self) -> list[Effect]:
        count = len(self.state.meta.recovering)
        text = (
            "The database was lost or restored: no session begins until "
            f"{count} charging point{'s have' if count != 1 else ' has'} handed over records"
        )
        return [Note(Level.WARNING, text)]

    def on_new(self, point: Point) -> list[Effect]:
        """Wait for a charging point that is new here: it may keep what this database has lost."""
        meta = self.state.meta
        if not meta.recovering:
            return []
        recovering = meta.recovering | {point.cp_id}
        return [self.state.save_meta(attrs.evolve(meta, recovering=recovering))]

    def on_import(self, cp_ids: set[str]) -> list[Effect]:
        """Wait for the charging points that a copy of access lets in, if the database knows none.

        It was lost: their monitors, turned away until now, come back one after the other, and a
        driver whose car charges must not hear meanwhile that nobody knows its charging point.
        """
        state = self.state
        is_live = state.speaks or (state.points and not state.meta.recovering)
        if is_live or cp_ids <= state.meta.recovering:
            return []
        recovering = state.meta.recovering | cp_ids
        return [state.save_meta(attrs.evolve(state.meta, recovering=recovering)), *self._told()]

    def on_report(self, point: Point) -> None:
        """Look whether a charging point has handed over all that this database lost."""
        report, meta = point.report, self.state.meta
        if not meta.recovering or report is None or not report.whole:
            return
        known = report.session_id is None or report.session_id in self.state.ledger.sessions
        if report.central_id == meta.central_id and report.unconfirmed == 0 and known:
            self._clean.add(point.cp_id)

    def on_accepted(self, event: RecoveryAccepted) -> list[Effect]:
        """End the wait at the operator's word."""
        reply = Reply(event.call, Accepted())
        if not self.state.meta.recovering:
            return [reply]
        return [*self._end("the operator accepts that nothing more is awaited"), reply]

    def tick(self) -> list[Effect]:
        """End the wait when it is over."""
        state = self.state
        if not state.meta.recovering:
            return []
        if state.up_s >= state.settings.session_lost_after_s:
            return self._end("the charging points that are missing were awaited long enough")
        if not state.in_grace and self._clean >= state.meta.recovering:
            return self._end("every known charging point has handed over its records")
        return []

    def _end(self, why: str) -> list[Effect]:
        return [
            self.state.save_meta(attrs.evolve(self.state.meta, recovering=frozenset())),
            Note(Level.INFO, f"Sessions begin again after the restore: {why}"),
        ]
