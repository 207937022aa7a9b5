"""The machine of this engine and the facts that move it.

Facts come and go by themselves: a stop by the operator, a full buffer, a failing disk, a lost
reader.  None of them takes another back, and the machine follows what is left of them.
"""

import attrs

from evd.core.effects import Level, Note
from evd.core.engine import transitions
from evd.core.engine.transitions import Event
from evd.core.wire.messages import CpState

# A broker that is away for less changes nothing that anybody could do.
COMMANDS_LOST_S = 3.0


@attrs.define(kw_only=True)
class States:
    """The state, and the facts.

    `stopped`: the operator's reason, None while in service.  `stopping`: the process is on its way
    down.  `disk_reason`: why nothing can be kept, empty while the disk works.  `unconfirmed`: ended
    sessions in the buffer of `buffer_size`.  Times in monotonic seconds.
    """

    buffer_size: int
    unconfirmed: int
    state: CpState = CpState.DISCONNECTED
    running_session_id: str | None = None
    stopped: str | None = None
    stopping: bool = False
    disk_reason: str = ""
    _connected: bool = False
    _connected_at_s: float | None = None

    def set_connected(self, connected: bool, now_s: float) -> None:
        """Whether the reader of commands knows its place and the broker answers."""
        self._connected = connected
        if connected:
            self._connected_at_s = now_s

    def excuse(self, now_s: float) -> None:
        """This process itself was away: that nobody answered meanwhile says nothing."""
        if self._connected_at_s is not None:
            self._connected_at_s = now_s

    def follow(self, now_s: float) -> list[Note]:
        """Take the state that the facts ask for, and tell each step."""
        notes = []
        while (event := self._next_event(now_s)) is not None:
            before, self.state = self.state, transitions.after(self.state, event)
            level = Level.ERROR if self.state is CpState.FAULT else Level.INFO
            reason = f" ({self.reason})" if self.reason else ""
            notes.append(Note(level, f"State {before} -> {self.state}{reason}"))
        return notes

    def _next_event(self, now_s: float) -> Event | None:
        state, running = self.state, self.running_session_id is not None
        if self.disk_reason and state is not CpState.FAULT:
            return Event.FAILED
        if state is CpState.FAULT:
            return None if self.disk_reason else Event.REPAIRED
        if state is CpState.DISCONNECTED:
            return Event.COMMANDS_FOUND if self._connected else None
        if state is CpState.SUPPLYING:
            return None if running else Event.SUPPLY_ENDED
        if state is CpState.STOPPED:
            return Event.RESUMED if self.stop_reason is None else None
        if running:
            return Event.SUPPLY_STARTED
        if self._commands_lost(now_s):
            return Event.COMMANDS_LOST
        return Event.STOPPED if self.stop_reason is not None else None

    @property
    def stop_reason(self) -> str | None:
        """Why no session may begin although all works; None where one may."""
        if self.stopping:
            return transitions.STOPPING
        return self._full if self.stopped is None else self.stopped

    @property
    def _full(self) -> str | None:
        return transitions.buffer_full(self.unconfirmed, self.buffer_size) or None

    @property
    def reason(self) -> str:
        """What there is to say about the state, in words."""
        if self.state is CpState.FAULT:
            return self.disk_reason
        if self.state is CpState.STOPPED:
            return self.stop_reason or ""
        return transitions.commands_lost(self.state)

    def hindrance(self, up_s: float, until_up_s: float) -> str:
        """Why a START that is good until `until_up_s` can't begin now, or empty."""
        return (
            transitions.expired(up_s, until_up_s)
            or transitions.busy(self.running_session_id)
            or transitions.disk_failing(self.disk_reason)
            or transitions.out_of_service(self.stop_reason)
            or transitions.commands_lost(self.state)
        )

    def illness(self, now_s: float) -> str | None:
        """Why no session could begin; None where one could.  To be stopped is no illness."""
        if self.stopping:
            return transitions.STOPPING
        if self.disk_reason or self._full:
            return transitions.disk_failing(self.disk_reason) or self._full
        lost = self._commands_lost(now_s)
        return "broker does not answer, or commands can't be read" if lost else None

    def _commands_lost(self, now_s: float) -> bool:
        if self._connected:
            return False
        at_s = self._connected_at_s
        return at_s is None or now_s - at_s > COMMANDS_LOST_S
