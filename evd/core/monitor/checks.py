"""The health checks: one PING after the other over one connection, and the verdict on the answers.

A refused or closed connection is a failed check at once, a missing answer after an interval.
After a failed check the next one follows within RETRY_S; one failure an interval counts.
"""

import math
from collections.abc import Iterator
from enum import Enum, auto

from evd.core.effects import Level, Note
from evd.core.monitor.events import (
    CheckResult,
    Connected,
    CountCheck,
    Dial,
    Effect,
    EngineAnswered,
    EngineGarbled,
    Lost,
    Peer,
    SendPing,
)
from evd.core.monitor.verdict import Verdict
from evd.core.wire.control import EngineStatus, KoCause, Ping, Pong

RETRY_S = 0.2
# All lines about the engine share one bound: it may come and go with each check.
ABOUT = "Engine"
# The connection itself may be dead after so many PINGs in a row without an answer.
UNANSWERED_MAX = 3
# A failure that goes on is logged again this often.
REMIND_S = 60.0

# Results that time does not mend, so they are worth a warning from the first on.
_NEVER_AT_A_START = (CheckResult.WRONG_CP, CheckResult.GARBLED)


class _Link(Enum):
    CLOSED = auto()
    DIALING = auto()
    OPEN = auto()


class EngineChecks:
    """Ask the engine, and keep its last answer.

    `pong` is the newest answer, None before the first.  `reason` tells a person why the last check
    failed, and is None after one that passed.
    """

    def __init__(self, cp_id: str, interval_s: float, threshold: int) -> None:
        self._cp_id = cp_id
        self._interval_s = interval_s
        self._retry_s = min(RETRY_S, interval_s)
        self.verdict = Verdict(threshold, interval_s)
        self.pong: Pong | None = None
        self.reason: str | None = None
        self._link = _Link.CLOSED
        self._connection = 0
        self._seq = 0
        # The begin of the check under way; None between two checks.
        self._asked_s: float | None = None
        self._deadline_s = self._next_s = self._reminded_s = -math.inf
        self._unanswered = 0

    @property
    def wake_at_s(self) -> float:
        """The monotonic time at which `on_tick` has something to do at the latest."""
        return self._next_s if self._asked_s is None else self._deadline_s

    def on_stall(self, now_s: float) -> None:
        """Give the check under way its whole time again: this process was stopped."""
        self._deadline_s = max(self._deadline_s, now_s + self._interval_s)
        self.verdict.on_stall()

    def on_tick(self, now_s: float, central_id: str | None) -> Iterator[Effect]:
        """Give up the check whose time is over, begin the one that is due."""
        if self._asked_s is not None and now_s >= self._deadline_s:
            yield from self._time_out(now_s)
        if self._asked_s is None and now_s >= self._next_s:
            yield from self._ask(now_s, central_id)

    def on_connected(self, event: Connected, central_id: str | None) -> Iterator[Effect]:
        """Go on with the check that asked for the connection."""
        if event.connection != self._connection or self._link is not _Link.DIALING:
            return
        self._link = _Link.OPEN
        if self._asked_s is not None:
            yield self._ping(central_id)

    def on_lost(self, event: Lost, now_s: float) -> Iterator[Effect]:
        """Count a failed check at once."""
        if event.connection != self._connection or self._link is _Link.CLOSED:
            return
        self._link = _Link.CLOSED
        cause = KoCause.REFUSED if event.refused else KoCause.TIMEOUT
        result = CheckResult.REFUSED if event.refused else CheckResult.LOST
        yield from self._fail(cause, event.reason, result, now_s)

    def on_answer(self, event: EngineAnswered, now_s: float) -> Iterator[Effect]:
        """Judge a PONG; one to an older PING says nothing about the engine as it is now."""
        pong = event.pong
        if event.connection != self._connection or self._asked_s is None or pong.seq != self._seq:
            return
        self._unanswered = 0
        if pong.cp_id != self._cp_id:
            reason = f"the engine on this port is {pong.cp_id}, not {self._cp_id}"
            yield from self._fail(KoCause.TIMEOUT, reason, CheckResult.WRONG_CP, now_s)
            return
        self._next_s = max(now_s, self._asked_s + self._interval_s)
        self._asked_s = None
        yield CountCheck(CheckResult.PASSED)
        yield from self._pass(pong)

    def on_garbled(self, event: EngineGarbled, now_s: float) -> Iterator[Effect]:
        """Count a failed check: an answer that can't be used is none."""
        if event.connection == self._connection and self._asked_s is not None:
            self._unanswered = 0
            reason = f"the engine's answer can't be used: {event.reason}"
            yield from self._fail(KoCause.TIMEOUT, reason, CheckResult.GARBLED, now_s)

    def _ask(self, now_s: float, central_id: str | None) -> Iterator[Effect]:
        self._asked_s = now_s
        self._deadline_s = now_s + self._interval_s
        if self._link is _Link.OPEN:
            yield self._ping(central_id)
        else:
            yield self._dial()

    def _ping(self, central_id: str | None) -> SendPing:
        self._seq += 1
        return SendPing(Ping(self._seq, central_id))

    def _dial(self) -> Dial:
        self._connection += 1
        self._link = _Link.DIALING
        return Dial(Peer.ENGINE, self._connection)

    def _time_out(self, now_s: float) -> Iterator[Effect]:
        what = "answer" if self._link is _Link.OPEN else "connection"
        self._unanswered += 1
        # A hung engine answers on its old connection when it wakes, a dead link needs a new one,
        # and a monitor can't tell the two apart.
        if self._link is _Link.DIALING or self._unanswered >= UNANSWERED_MAX:
            self._link = _Link.CLOSED
            self._unanswered = 0
        reason = f"no {what} within {self._interval_s:g} s"
        yield from self._fail(KoCause.TIMEOUT, reason, CheckResult.TIMEOUT, now_s)

    def _pass(self, pong: Pong) -> Iterator[Effect]:
        before, self.pong = self.pong, pong
        was, failures = self.verdict.status, self.verdict.failures
        self.verdict.on_pass()
        self.reason = None
        engine = (
            f"{pong.state}, {pong.kw_rate:g} kW, {pong.euro_rate:g} euro/kWh, boot {pong.boot_id}"
        )
        if was is EngineStatus.KO:
            yield Note(Level.INFO, f"Health restored: {engine}", about=ABOUT)
        elif was is None:
            yield Note(Level.INFO, f"Engine answers: {engine}")
        elif before is not None and before.boot_id != pong.boot_id:
            yield Note(Level.WARNING, f"Engine restarted: {engine}", about=ABOUT)
        elif failures:
            yield Note(Level.INFO, f"Health check passed after {failures} that failed", about=ABOUT)

    def _fail(
        self, cause: KoCause, reason: str, result: CheckResult, now_s: float
    ) -> Iterator[Effect]:
        began_s = now_s if self._asked_s is None else self._asked_s
        # A connection that closed between two checks is checked again at once.
        self._next_s = max(now_s, began_s + self._retry_s) if self._asked_s is not None else now_s
        self._asked_s = None
        changed = reason != self.reason
        self.reason = reason
        failures = self.verdict.failures
        self.verdict.on_failure(cause, now_s)
        yield CountCheck(result)
        threshold = self.verdict.failure_threshold
        if failures < self.verdict.failures <= threshold:
            count = f"{self.verdict.failures}/{threshold}"
            # An engine that starts together with its monitor is no reason for a warning.
            starting = self.verdict.status is None and result not in _NEVER_AT_A_START
            level = Level.INFO if starting else Level.WARNING
            yield Note(level, f"Health check failed ({count}): {reason}", about=ABOUT)
        if self.verdict.status is not EngineStatus.KO:
            return
        if self.verdict.changed:
            yield self._remind(Level.ERROR, f"FAULT DETECTED: {reason}", now_s)
        elif changed or now_s - self._reminded_s >= REMIND_S:
            yield self._remind(Level.WARNING, f"Health checks still fail: {reason}", now_s)

    def _remind(self, level: Level, text: str, now_s: float) -> Note:
        self._reminded_s = now_s
        return Note(level, text, about=ABOUT)
