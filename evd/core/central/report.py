"""An engine's newest report, and the watch over a second engine that reports as the same point."""

import attrs

from evd.core.wire.control import Heartbeat
from evd.core.wire.messages import CpState, CpStatus

# A restarted engine's reports may cross its monitor's word by this much; a twin's go on.
DUPLICATE_S = 5.0
DUPLICATE_SILENT_S = 10.0


@attrs.frozen(slots=True)
class Report:
    """An engine's state, from its own report or from the PONG that its monitor last heard.

    `whole` is false for the latter, which knows neither request and driver of the session nor
    `unconfirmed`.  `leaving`: this boot stops on purpose, so that another one follows is no fault.
    """

    boot_id: str
    seq: int
    state: CpState
    session_id: str | None = None
    request_id: str | None = None
    driver_id: str | None = None
    unconfirmed: int | None = None
    central_id: str | None = None
    reason: str = ""
    leaving: bool = False
    whole: bool = False

    @classmethod
    def of_status(cls, status: CpStatus) -> "Report":
        """Return what an engine says of itself."""
        return cls(
            boot_id=status.boot_id,
            seq=status.seq,
            state=status.state,
            session_id=status.session_id,
            request_id=status.request_id,
            driver_id=status.driver_id,
            unconfirmed=status.unconfirmed,
            central_id=status.central_id,
            reason=status.reason,
            leaving=status.leaving is True,
            whole=True,
        )

    def then(self, status: CpStatus) -> "Report":
        """Return the report after `status` of the same boot: this one where that is older."""
        if status.seq < self.seq or (status.seq == self.seq and self.whole):
            return self
        return Report.of_status(status)

    def forget_session(self, session_id: str) -> "Report":
        """Return the report without this session, which Central closed without its engine."""
        if self.session_id != session_id:
            return self
        return attrs.evolve(self, session_id=None, request_id=None, driver_id=None)


def report_of_pong(before: Report | None, message: Heartbeat) -> Report | None:
    """Return the report after a heartbeat; `before` itself where the heartbeat has no newer one."""
    boot_id, seq, state = message.boot_id, message.report, message.engine_state
    if boot_id is None or seq is None or state is None:
        return before
    leaving = False
    if before is not None and before.boot_id == boot_id:
        if seq <= before.seq:
            return before
        leaving = before.leaving
    return Report(boot_id, seq, state, session_id=message.session_id, leaving=leaving)


@attrs.define(slots=True)
class Duplicate:
    """A boot that reports as this charging point, but is not the one that its monitor sees.

    `told`: it was written down as a fault.
    """

    boot_id: str
    first_s: float
    last_s: float
    told: bool = False

    def is_one(self, now_s: float) -> bool:
        """Return whether it has reported for too long to be a boot that has just ended."""
        return now_s - self.first_s >= DUPLICATE_S

    def is_silent(self, now_s: float) -> bool:
        """Return whether it has not reported for so long that it is gone."""
        return now_s - self.last_s >= DUPLICATE_SILENT_S
