"""A charging point that is played: its monitor and its engine as one small machine.

It says what a real pair says and as often, but keeps nothing on disk and never fails: it is there
to load a Central, not to be trusted with a car.
"""

import math
from typing import Any, Final

import attrs

from evd.core.effects import Now, Send
from evd.core.fleet.events import Metered, Post
from evd.core.wire import units
from evd.core.wire.control import Bye, EngineStatus, Heartbeat, Register
from evd.core.wire.messages import (
    SESSIONS,
    STATUS,
    TELEMETRY,
    Command,
    CpState,
    Outcome,
    SessionRecord,
    SessionRecorded,
    StartSupply,
    StopSupply,
)

KW: Final = 22.0
EURO_RATE: Final = 0.30
# As real ones are by default.
REPORT_S: Final = 2.0
TELEMETRY_S: Final = 1.0
RECORD_S: Final = 5.0


@attrs.define(slots=True)
class _Run:
    """The running session: its START, its beginning, and the next reading's time.

    `paid`: the fields of what it cost by the last reading, in JSON.
    """

    order: StartSupply
    began: Now
    due_s: float
    kwh: float = 0.0
    paid: str = '"kwh":0.0,"euros":0.0'


class PlayedPoint:
    """One charging point.  Times are monotonic seconds."""

    def __init__(self, cp_id: str, boot_id: str, session_s: float, now_s: float) -> None:
        """Have an engine of boot `boot_id` begin now, whose sessions last `session_s`."""
        self.cp_id = cp_id
        self._boot_id = boot_id
        # It counts for the running session and for those after it.
        self.session_s = session_s
        self._born_s = now_s
        self._seq = 0
        self._report_seq = 0
        self._report_due_s = now_s
        self._central_id: str | None = None
        self._run: _Run | None = None
        self._record: SessionRecord | None = None
        self._record_due_s = math.inf
        # The beginning of all that its monitor and its engine say.  The form of an id leaves
        # nothing in it to escape.
        self._beat_head = f'{{"type":"HEARTBEAT","cp_id":"{cp_id}","boot_id":"{boot_id}"'
        self._report_head = f'{{"cp_id":"{cp_id}","boot_id":"{boot_id}"'

    @property
    def is_free(self) -> bool:
        """Whether it runs no session, and none of its records waits."""
        return self._run is None and self._record is None

    @property
    def is_charging(self) -> bool:
        """Whether it runs a session."""
        return self._run is not None

    @property
    def wake_at_s(self) -> float:
        """The time at which its engine has something to say by itself."""
        own_s = min(self._report_due_s, self._record_due_s)
        run = self._run
        return own_s if run is None else min(own_s, run.due_s, run.began.mono_s + self.session_s)

    def register(self, now_s: float) -> Register:
        """Return its monitor's first message on a connection."""
        return Register(
            **self._said(now_s),
            instance_id=f"played-{self.cp_id}",
            kw_rate=KW,
            euro_rate=EURO_RATE,
        )

    def heartbeat(self, now_s: float) -> Heartbeat:
        """Return its monitor's next message."""
        return Heartbeat(**self._said(now_s))

    def beat(self, now_s: float) -> tuple[int, bytes]:
        """Return the next message's `seq` and JSON, unchecked: most of a fleet's work is this."""
        self._seq += 1
        run = self._run
        session = "null" if run is None else f'"{run.order.session_id}"'
        said = (
            f'{self._beat_head},"seq":{self._seq},"engine_status":"OK","ko_cause":null'
            f',"report":{self._report_seq},"up_s":{now_s - self._born_s:.3f}'
            f',"engine_state":"{self._state}","session_id":{session}}}'
        )
        return self._seq, said.encode()

    def bye(self, reason: str) -> Bye:
        """Return its monitor's last message."""
        self._seq += 1
        return Bye(self.cp_id, self._seq, reason)

    def _said(self, now_s: float) -> dict[str, Any]:
        self._seq += 1
        return {
            "cp_id": self.cp_id,
            "seq": self._seq,
            "engine_status": EngineStatus.OK,
            "ko_cause": None,
            "boot_id": self._boot_id,
            "report": self._report_seq,
            "up_s": self._up_s(now_s),
            "engine_state": self._state,
            "session_id": self._run.order.session_id if self._run is not None else None,
        }

    def _up_s(self, now_s: float) -> float:
        return round(now_s - self._born_s, 3)

    @property
    def _state(self) -> CpState:
        return CpState.ACTIVATED if self._run is None else CpState.SUPPLYING

    def on_command(self, command: Command, now: Now) -> list[Send | Post]:
        """Do what a Central says, and return what its engine answers."""
        self._central_id = command.central_id
        match command.payload:
            case StartSupply() as order:
                return self._on_start(order, now)
            case StopSupply() as order if self._runs(order.session_id):
                return self._end(now, order.reason, bill=order.bill)
            case StopSupply() as order if self._keeps(order.session_id):
                return [*self._send_record(now.mono_s)]
            case SessionRecorded() as done if self._keeps(done.session_id):
                self._record, self._record_due_s = None, math.inf
        return []

    def _runs(self, session_id: str) -> bool:
        return self._run is not None and self._run.order.session_id == session_id

    def _keeps(self, session_id: str) -> bool:
        return self._record is not None and self._record.session_id == session_id

    def _on_start(self, order: StartSupply, now: Now) -> list[Send | Post]:
        if self._runs(order.session_id):
            return [self._report(now.mono_s)]
        if self._keeps(order.session_id):
            return [*self._send_record(now.mono_s)]
        is_fresh = order.boot_id == self._boot_id and self._up_s(now.mono_s) <= order.until_up_s
        if not is_fresh or not self.is_free:
            return []
        self._run = _Run(order, now, now.mono_s + TELEMETRY_S)
        return [self._report(now.mono_s)]

    def end(self, now: Now, reason: str) -> list[Send | Post]:
        """End the running session, if there is one, and return what its engine says of it."""
        return self._end(now, reason, bill=True)

    def tick(self, now: Now) -> list[Send | Post]:
        """Return what its engine says by itself, now that time went by."""
        sends: list[Send | Post] = []
        run, now_s = self._run, now.mono_s
        if run is not None and now_s >= run.due_s:
            sends.append(self._meter(run, now_s))
        if run is not None and now_s - run.began.mono_s >= self.session_s:
            sends += self._end(now, "", bill=True)
        elif now_s >= self._record_due_s:
            sends += self._send_record(now_s)
        if now_s >= self._report_due_s:
            sends.append(self._report(now_s))
        return sends

    def _meter(self, run: _Run, now_s: float) -> Metered:
        run.due_s = max(run.due_s + TELEMETRY_S, now_s)
        energy_mwh = units.energy_mwh(KW, now_s - run.began.mono_s)
        run.kwh = units.kwh_from_mwh(energy_mwh)
        run.paid = f'"kwh":{run.kwh},"euros":{units.running_euros(energy_mwh, EURO_RATE)}'
        order = run.order
        said = (
            f'{self._report_head},"session_id":"{order.session_id}"'
            f',"driver_id":"{order.driver_id}","kw":{KW},{run.paid},"seq":{self._report_seq}'
        )
        return Metered(TELEMETRY, self.cp_id, said.encode(), order.session_id, run.kwh)

    def _report(self, now_s: float) -> Post:
        self._report_seq += 1
        self._report_due_s = now_s + REPORT_S
        run, session, central = self._run, "", ""
        if run is not None:
            session = (
                f',"session_id":"{run.order.session_id}","request_id":"{run.order.request_id}"'
                f',"driver_id":"{run.order.driver_id}",{run.paid}'
            )
        if self._central_id is not None:
            central = f',"central_id":"{self._central_id}"'
        said = (
            f'{self._report_head},"seq":{self._report_seq},"up_s":{now_s - self._born_s:.3f}'
            f',"state":"{self._state}","unconfirmed":{int(self._record is not None)}'
            f',"reason":""{central}{session}'
        )
        return Post(STATUS, self.cp_id, said.encode())

    def _end(self, now: Now, reason: str, *, bill: bool) -> list[Send | Post]:
        run = self._run
        if run is None:
            return []
        energy_mwh = units.energy_mwh(KW, now.mono_s - run.began.mono_s)
        self._run = None
        self._record = SessionRecord(
            session_id=run.order.session_id,
            request_id=run.order.request_id,
            cp_id=self.cp_id,
            driver_id=run.order.driver_id,
            boot_id=self._boot_id,
            started_at=run.began.wall,
            ended_at=now.wall,
            kwh=units.kwh_from_mwh(energy_mwh),
            euros=units.euros_from_cents(units.bill_cents(energy_mwh, EURO_RATE)),
            outcome=Outcome.COMPLETED,
            reason=reason,
            fault=False,
            bill=bill,
        )
        return [*self._send_record(now.mono_s), self._report(now.mono_s)]

    def _send_record(self, now_s: float) -> list[Send]:
        self._record_due_s = now_s + RECORD_S
        return [Send(SESSIONS, self.cp_id, self._record)] if self._record is not None else []
