"""The connection to Central: registered again after each loss, alive by heartbeats.

Central is told a state, not a series of events: it is told whenever it differs from what was last
told.
"""

import math
import zlib
from collections.abc import Iterator
from enum import Enum, auto
from typing import Any

import attrs

from evd.core.effects import Level, Note
from evd.core.monitor.checks import EngineChecks
from evd.core.monitor.events import (
    CentralAnswered,
    Close,
    Connected,
    Dial,
    Effect,
    Finish,
    KeepAddress,
    Lost,
    Peer,
    TellCentral,
)
from evd.core.monitor.rounds import Rounds
from evd.core.wire.control import (
    LASTING_REFUSALS,
    Ack,
    Bye,
    EngineStatus,
    Fault,
    FromCentral,
    Heartbeat,
    MonitorMessage,
    Nack,
    NackCode,
    Recovered,
    Register,
)

# The pace until an ACK names another.
HEARTBEAT_S = 1.0
# A frame leaves this early in the time that Central gives, because its way takes time too.
HEARTBEAT_SHARE = 0.9
TELL_GAP_S = 0.1
DIAL_S = 1.0
# With TLS: after a start of Central all monitors shake hands with it at once.
TLS_DIAL_S = 6.0
BYE_S = 0.5
UNANSWERED_HEARTBEATS = 3
# All lines about Central share one bound.
ABOUT = "Central"
REMIND_S = 30.0


class _Link(Enum):
    CLOSED = auto()
    DIALING = auto()
    REGISTERING = auto()
    REGISTERED = auto()
    LEAVING = auto()
    FINISHED = auto()


@attrs.frozen(slots=True)
class _Told:
    """The content that Central was last told: a change of it is told before the next heartbeat."""

    status: EngineStatus | None
    rates: tuple[float | None, float | None, str | None]
    seen: tuple[object, ...]


class CentralReport:
    """Tell Central what the checks find.

    `central_id` is the Central that last answered, None before the first.
    """

    def __init__(
        self,
        cp_id: str,
        instance_id: str,
        delay_max_s: float,
        checks: EngineChecks,
        rounds: Rounds,
        dial_s: float,
    ) -> None:
        self._cp_id = cp_id
        self._dial_s_max = dial_s
        self._instance_id = instance_id
        self._delay_max_s = delay_max_s
        self._checks = checks
        self._rounds = rounds
        self._kept: str | None = None
        # Why no address of this round could be used.
        self._failures: list[str] = []
        self.central_id: str | None = None
        self._link = _Link.CLOSED
        self._connection = 0
        self._seq = 0
        self._registered_seq = 0
        self._told = _Told(None, (None, None, None), ())
        self._told_s = self._deadline_s = self._dial_s = -math.inf
        self._heartbeat_s = HEARTBEAT_S
        # The time of the last log line that Central can't be reached; None while it can.
        self._reminded_s: float | None = None

    @property
    def registered(self) -> bool:
        """Whether Central has taken the REGISTER of the present connection."""
        return self._link is _Link.REGISTERED

    @property
    def leaving(self) -> bool:
        """Whether the monitor was asked to stop."""
        return self._link in (_Link.LEAVING, _Link.FINISHED)

    @property
    def wake_at_s(self) -> float:
        """The monotonic time at which `on_tick` has something to do at the latest."""
        if self._link is _Link.FINISHED:
            return math.inf
        if self._link is _Link.CLOSED:
            return self._dial_s if self._checks.verdict.status else math.inf
        if self._link is _Link.REGISTERED:
            return min(self._deadline_s, self._told_s + self._due_s)
        return self._deadline_s

    def on_stall(self, now_s: float) -> None:
        """Give Central its whole time again to answer: this process was stopped."""
        if self._link is not _Link.CLOSED:
            self._deadline_s = max(self._deadline_s, now_s + self._patience_s)

    def on_tick(self, now_s: float) -> Iterator[Effect]:
        """Tell what changed, dial when it is time, give up a Central that does not answer."""
        if self._link is _Link.CLOSED:
            # Central hears nothing before the first verdict: an engine that starts together with
            # its monitor has no fault.
            if now_s >= self._dial_s and self._checks.verdict.status is not None:
                yield self._dial(now_s)
        elif now_s >= self._deadline_s:
            yield from self._give_up(now_s)
        elif self._link is _Link.REGISTERED:
            yield from self._keep_told(now_s)

    def on_connected(self, event: Connected, now_s: float) -> Iterator[Effect]:
        """Register."""
        if event.connection != self._connection or self._link is not _Link.DIALING:
            return
        self._link = _Link.REGISTERING
        self._deadline_s = now_s + self._patience_s
        yield self._register(now_s)

    def on_lost(self, event: Lost, now_s: float) -> Iterator[Effect]:
        """Dial again later, or finish where the monitor is leaving."""
        if event.connection != self._connection or self._link in (_Link.CLOSED, _Link.FINISHED):
            return
        if self._link is _Link.LEAVING:
            yield from self._finish()
        elif self._link is _Link.REGISTERED:
            self._close_working(now_s)
            yield self._dialing_again(f"Connection to Central lost: {event.reason}")
        else:
            # A dial that failed names the address itself.
            where = f"{self._rounds.address}: " if self._link is _Link.REGISTERING else ""
            yield from self._fail(where + event.reason, now_s)

    def on_answer(self, event: CentralAnswered, now_s: float) -> Iterator[Effect]:
        """Go by an ACK or a NACK of the present connection."""
        if event.connection != self._connection:
            return
        if self._link in (_Link.REGISTERING, _Link.REGISTERED, _Link.LEAVING):
            answer: FromCentral = event.answer
            if isinstance(answer, Ack):
                yield from self._on_ack(answer, now_s)
            else:
                yield from self._on_nack(answer, now_s)

    def on_stop_asked(self, reason: str, now_s: float) -> Iterator[Effect]:
        """Say BYE where Central listens, wait BYE_S for its answer, and finish."""
        if self.leaving:
            return
        # Central may have taken a REGISTER whose answer is still on its way.
        if self._link not in (_Link.REGISTERING, _Link.REGISTERED):
            yield from self._finish()
            return
        self._link = _Link.LEAVING
        self._deadline_s = now_s + BYE_S
        yield self._tell(Bye(self._cp_id, self._next_seq(), reason), now_s)

    @property
    def _patience_s(self) -> float:
        return UNANSWERED_HEARTBEATS * self._heartbeat_s

    @property
    def _due_s(self) -> float:
        """The time from the last frame to the next one."""
        if self._told == self._to_tell():
            return self._heartbeat_s * HEARTBEAT_SHARE
        # A new verdict or new rates are told at once, the rest less often: monitors are many.
        return 0.0 if self._urgent else TELL_GAP_S

    @property
    def _urgent(self) -> bool:
        now = self._to_tell()
        return now.status is not self._told.status or now.rates != self._told.rates

    def _keep_told(self, now_s: float) -> Iterator[Effect]:
        if self._checks_rates() != self._told.rates:
            yield self._register(now_s, keep_status=True)
        if self._checks.verdict.status is not self._told.status:
            ko = self._checks.verdict.status is EngineStatus.KO
            yield self._tell_state(Fault if ko else Recovered, now_s)
        elif now_s >= self._told_s + self._due_s:
            yield self._tell_state(Heartbeat, now_s)

    def _dial(self, now_s: float) -> Dial:
        self._connection += 1
        self._link = _Link.DIALING
        self._deadline_s = now_s + self._dial_s_max
        self._rounds.on_dial(now_s)
        return Dial(Peer.CENTRAL, self._connection, self._rounds.address)

    def _give_up(self, now_s: float) -> Iterator[Effect]:
        if self._link is _Link.LEAVING:
            yield from self._finish()
            return
        yield Close(Peer.CENTRAL)
        if self._link is _Link.DIALING:
            where = f" to {self._rounds.address}" if self._rounds.several else ""
            yield from self._fail(f"no connection{where} within {self._dial_s_max:g} s", now_s)
        else:
            self._close_working(now_s)
            yield self._dialing_again(f"Central has not answered for {self._patience_s:g} s")

    def _on_ack(self, ack: Ack, now_s: float) -> Iterator[Effect]:
        if self._link is _Link.LEAVING:
            if ack.seq == self._seq:
                yield from self._finish()
            return
        changed = self.central_id not in (None, ack.central_id)
        self.central_id = ack.central_id
        if ack.heartbeat_s is not None:
            self._heartbeat_s = max(ack.heartbeat_s, TELL_GAP_S)
        self._deadline_s = now_s + self._patience_s
        if self._link is _Link.REGISTERING and ack.seq == self._registered_seq:
            self._link = _Link.REGISTERED
            yield from self._on_registered(", which has a new id" if changed else "")

    def _on_registered(self, new: str) -> Iterator[Effect]:
        self._rounds.on_served()
        self._reminded_s = None
        self._failures.clear()
        address = self._rounds.address
        where = f" at {address}" if self._rounds.several else ""
        text = f"Registered with Central {self.central_id}{where}{new}"
        yield Note(Level.INFO, text, about=ABOUT)
        if self._rounds.several and self._kept != address:
            self._kept = address
            yield KeepAddress(address)

    def _on_nack(self, nack: Nack, now_s: float) -> Iterator[Effect]:
        if self._link is _Link.LEAVING:
            yield from self._finish()
            return
        if nack.seq is None and self._link is _Link.REGISTERED:
            # A frame was damaged on its way; the next one tells the same.
            yield Note(Level.WARNING, f"Central could not read a frame: {nack.reason}", about=ABOUT)
            return
        yield Close(Peer.CENTRAL)
        if nack.code == NackCode.STANDING_BY and self._rounds.several:
            yield from self._fail(f"{self._rounds.address}: {nack.reason}", now_s)
            return
        delay_s = self._close(now_s)
        if nack.code in LASTING_REFUSALS:
            delay_s = self._delay_max_s
            self._dial_s = now_s + delay_s
        why = nack.reason
        if nack.code == NackCode.DUPLICATE:
            why = f"another monitor of {self._cp_id} is registered ({nack.reason})"
        yield Note(
            Level.WARNING,
            f"Central refuses this monitor: {why}; again in {delay_s:.1f} s",
            about=ABOUT,
        )

    def _fail(self, reason: str, now_s: float) -> Iterator[Effect]:
        self._close(now_s)
        self._failures.append(reason)
        if not self._rounds.is_over:
            return
        reason = "; ".join(self._failures)
        self._failures.clear()
        if self._reminded_s is None or now_s - self._reminded_s >= REMIND_S:
            # A Central that starts together with its monitors is no reason for a warning.
            starting = self._reminded_s is None and self.central_id is None
            self._reminded_s = now_s
            yield Note(
                Level.INFO if starting else Level.WARNING,
                f"Central can't be reached: {reason}; trying for ever,"
                f" at the longest every {self._delay_max_s:g} s",
            )

    def _close(self, now_s: float) -> float:
        """Forget the connection; return the delay in seconds until the next dial."""
        self._link = _Link.CLOSED
        delay_s = self._rounds.after_failure(now_s, self._fraction())
        self._dial_s = now_s + delay_s
        return delay_s

    def _close_working(self, now_s: float) -> None:
        self._link = _Link.CLOSED
        self._dial_s = now_s + self._rounds.after_loss(now_s, self._fraction())

    def _dialing_again(self, why: str) -> Note:
        what = self._rounds.address if self._rounds.several else "again"
        return Note(Level.WARNING, f"{why}; dialing {what}", about=ABOUT)

    def _fraction(self) -> float:
        """A number from 0 to 1 for each monitor and attempt, the same in each replay."""
        return zlib.crc32(f"{self._instance_id} {self._connection}".encode()) / 0xFFFF_FFFF

    def _finish(self) -> Iterator[Effect]:
        self._link = _Link.FINISHED
        yield Finish()

    def _next_seq(self) -> int:
        self._seq += 1
        return self._seq

    def _register(self, now_s: float, *, keep_status: bool = False) -> TellCentral:
        kw_rate, euro_rate, location = self._checks_rates()
        told = self._told.status
        message = Register(
            self._cp_id,
            self._next_seq(),
            instance_id=self._instance_id,
            kw_rate=kw_rate,
            euro_rate=euro_rate,
            location=location,
            **self._state(),
        )
        self._registered_seq = self._seq
        effect = self._tell(message, now_s)
        if keep_status:
            # Only FAULT and RECOVERED tell a new verdict while Central knows another.
            self._told = attrs.evolve(self._told, status=told)
        return effect

    def _tell_state(self, kind: type[Heartbeat], now_s: float) -> TellCentral:
        return self._tell(kind(self._cp_id, self._next_seq(), **self._state()), now_s)

    def _tell(self, message: MonitorMessage, now_s: float) -> TellCentral:
        self._told = self._to_tell()
        self._told_s = now_s
        return TellCentral(message)

    def _checks_rates(self) -> tuple[float | None, float | None, str | None]:
        pong = self._checks.pong
        return (pong.kw_rate, pong.euro_rate, pong.location) if pong else (None, None, None)

    def _to_tell(self) -> _Told:
        state = self._state()
        # The uptime always changes, and alone is no news.
        state.pop("up_s", None)
        return _Told(self._checks.verdict.status, self._checks_rates(), tuple(state.values()))

    def _state(self) -> dict[str, Any]:
        """The fields that every message but BYE carries."""
        checks = self._checks
        ko = checks.verdict.status is EngineStatus.KO
        state: dict[str, Any] = {
            "engine_status": checks.verdict.status,
            "ko_cause": checks.verdict.cause,
            "reason": checks.reason if ko else None,
        }
        if checks.pong is not None:
            state |= {
                "boot_id": checks.pong.boot_id,
                "report": checks.pong.report,
                "up_s": checks.pong.up_s,
                "engine_state": checks.pong.state,
                "session_id": checks.pong.session_id,
            }
        return state
