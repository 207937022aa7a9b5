"""An engine's newest report, the doubt whether it is one, and the watch over a second engine that
reports as the same point."""

import math

import attrs

from evd.core.wire.control import Heartbeat
from evd.core.wire.messages import CpState, CpStatus

# A restarted engine's reports may cross its monitor's word by this much; a twin's go on.
DUPLICATE_S = 5.0
DUPLICATE_SILENT_S = 10.0
# A report is refuted by PONGs that contradict it for so long; a PONG may be late by less.
REFUTED_S = 5.0


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
    def of_pong(
        cls, boot_id: str, seq: int, state: CpState, message: Heartbeat, *, leaving: bool = False
    ) -> "Report":
        """Return what a heartbeat's PONG stands for."""
        return cls(boot_id, seq, state, session_id=message.session_id, leaving=leaving)

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


def said(report: Report | None) -> tuple[object, ...] | None:
    """Return what decisions go by in a report, its number apart; None for none."""
    if report is None:
        return None
    return report.boot_id, report.state, report.session_id, report.driver_id


@attrs.define(slots=True)
class Doubt:
    """A report that the PONGs of its boot contradict, since Central's time `_since_s` and since the
    engine's uptime `_up_s`; reports with a `seq` of at least `refuted_seq` are not its engine's."""

    refuted_seq: float = math.inf
    _report: Report | None = None
    _since_s: float = 0.0
    _up_s: float = 0.0

    def refutes(self, report: Report, seq: int, state: CpState, up_s: float, now_s: float) -> bool:
        """Return whether a PONG proves that the engine never made `report`.

        The PONG tells the `seq` of its newest report, its `state` and its uptime `up_s`.  One that
        is only told again proves nothing, nor does one that may have been late.
        """
        if seq >= self.refuted_seq:
            self.refuted_seq = math.inf
        doubted = self._report
        if doubted is None or not _contradicts(seq, state, doubted):
            self._report = report if _contradicts(seq, state, report) else None
            self._since_s, self._up_s = now_s, up_s
            return False
        if now_s - self._since_s <= REFUTED_S or up_s - self._up_s <= REFUTED_S:
            return False
        self.refuted_seq, self._report = report.seq, None
        return True


def _contradicts(seq: int, state: CpState, report: Report) -> bool:
    """Return whether the engine had not made this report when it gave a PONG that tells these."""
    return seq < report.seq or (seq == report.seq and state is not report.state)


@attrs.define(slots=True)
class Uptime:
    """The uptime of an engine as it was last heard; a PONG is at most `_pong_age_s` old then.

    None rises faster than time since a PONG, whatever a report claims.
    """

    _pong_age_s: float
    up_s: float = 0.0
    _pong_up_s: float = 0.0
    _pong_s: float = 0.0

    def on_pong(self, up_s: float, now_s: float) -> None:
        """Take the uptime of a PONG, which may be one that was told before."""
        if up_s != self._pong_up_s:
            self._pong_up_s, self._pong_s = up_s, now_s
        self.on_report(up_s, now_s)

    def on_report(self, up_s: float, now_s: float) -> None:
        """Take the highest uptime that is possible."""
        most_s = self._pong_up_s + now_s - self._pong_s + self._pong_age_s
        self.up_s = min(max(self.up_s, up_s), most_s)


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

    @property
    def gone_s(self) -> float:
        """When it is gone, if it does not report until then."""
        return self.last_s + DUPLICATE_SILENT_S
