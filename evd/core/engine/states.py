"""The state machine of a charging point: its table, the facts that move it, the guards of a start.

- It is DISCONNECTED until it knows its place in its commands, and again when it has lost it while
  nothing is being supplied.  A lost broker never ends SUPPLYING.
- ACTIVATED is the only state in which a session can begin, and the only way back from every other.
- STOPPED and DISCONNECTED are never entered out of SUPPLYING: the session ends first, on its own.
- FAULT can be entered from anywhere, and ends a session.
- A pair that is not in the table raises `NoTransition`, and nothing has changed.
"""

from enum import StrEnum

import attrs

from evd.core.effects import Level, Note
from evd.core.wire.messages import CpState

# A broker that is away for less changes nothing that anybody could do.
COMMANDS_LOST_S = 3.0
STOPPING = "engine is stopping"


class Trigger(StrEnum):
    """The change of a fact that moves the machine."""

    COMMANDS_FOUND = "commands found"
    COMMANDS_LOST = "commands lost"
    SUPPLY_STARTED = "supply started"
    SUPPLY_ENDED = "supply ended"
    STOPPED = "stopped"
    RESUMED = "resumed"
    FAILED = "failed"
    REPAIRED = "repaired"


TRANSITIONS: dict[tuple[CpState, Trigger], CpState] = {
    (CpState.DISCONNECTED, Trigger.COMMANDS_FOUND): CpState.ACTIVATED,
    (CpState.DISCONNECTED, Trigger.FAILED): CpState.FAULT,
    (CpState.ACTIVATED, Trigger.COMMANDS_LOST): CpState.DISCONNECTED,
    (CpState.ACTIVATED, Trigger.SUPPLY_STARTED): CpState.SUPPLYING,
    (CpState.ACTIVATED, Trigger.STOPPED): CpState.STOPPED,
    (CpState.ACTIVATED, Trigger.FAILED): CpState.FAULT,
    (CpState.SUPPLYING, Trigger.SUPPLY_ENDED): CpState.ACTIVATED,
    (CpState.SUPPLYING, Trigger.FAILED): CpState.FAULT,
    (CpState.STOPPED, Trigger.RESUMED): CpState.ACTIVATED,
    (CpState.STOPPED, Trigger.FAILED): CpState.FAULT,
    (CpState.FAULT, Trigger.REPAIRED): CpState.ACTIVATED,
}


class NoTransition(Exception):
    """The table has no way on from `state` by `trigger`."""

    def __init__(self, state: CpState, trigger: Trigger) -> None:
        super().__init__(f"{state} knows no '{trigger}'")
        self.state = state
        self.trigger = trigger


def after(state: CpState, trigger: Trigger) -> CpState:
    """The state that follows `state` by `trigger`, or `NoTransition`."""
    try:
        return TRANSITIONS[state, trigger]
    except KeyError:
        raise NoTransition(state, trigger) from None


@attrs.define(kw_only=True)
class States:
    """The state, and the facts that it follows; no fact takes another back.

    `stopped`: the operator's reason, None while in service.  `leaving`: the process stops on
    purpose.  `disk_reason`: why nothing can be kept, empty while the disk works.  `unconfirmed`:
    ended sessions in the buffer of `buffer_size`.  Times in monotonic seconds.
    """

    buffer_size: int
    unconfirmed: int
    state: CpState = CpState.DISCONNECTED
    running_session_id: str | None = None
    stopped: str | None = None
    leaving: bool = False
    disk_reason: str = ""
    _connected: bool = False
    _connected_at_s: float | None = None

    def set_connected(self, connected: bool, now_s: float) -> None:
        """Note whether the reader of commands knows its place and the broker answers."""
        self._connected = connected
        if connected:
            self._connected_at_s = now_s

    def excuse(self, now_s: float) -> None:
        """Begin to wait for the broker anew: this process itself was away."""
        if self._connected_at_s is not None:
            self._connected_at_s = now_s

    def follow(self, now_s: float) -> list[Note]:
        """Take the state that the facts ask for; a line for each step on the way."""
        notes = []
        while (trigger := self._next_trigger(now_s)) is not None:
            before, self.state = self.state, after(self.state, trigger)
            level = Level.ERROR if self.state is CpState.FAULT else Level.INFO
            reason = f" ({self.reason})" if self.reason else ""
            # Each session has its lines; all other changes may come with each command.
            about = "" if CpState.SUPPLYING in (before, self.state) else "State"
            notes.append(Note(level, f"State {before} -> {self.state}{reason}", about))
        return notes

    def _next_trigger(self, now_s: float) -> Trigger | None:
        running = self.running_session_id is not None
        if self.disk_reason:
            return None if self.state is CpState.FAULT else Trigger.FAILED
        match self.state:
            case CpState.FAULT:
                return Trigger.REPAIRED
            case CpState.DISCONNECTED:
                return Trigger.COMMANDS_FOUND if self._connected else None
            case CpState.SUPPLYING:
                return None if running else Trigger.SUPPLY_ENDED
            case CpState.STOPPED:
                return Trigger.RESUMED if self.stop_reason is None else None
            case CpState.ACTIVATED:
                if running:
                    return Trigger.SUPPLY_STARTED
                if self._are_commands_lost(now_s):
                    return Trigger.COMMANDS_LOST
                return None if self.stop_reason is None else Trigger.STOPPED

    @property
    def stop_reason(self) -> str | None:
        """Why no session may begin although all works; None where one may."""
        if self.leaving:
            return STOPPING
        return (buffer_full(self) or None) if self.stopped is None else self.stopped

    @property
    def reason(self) -> str:
        """The reason of the state, in words; empty where there is none to give."""
        if self.state is CpState.FAULT:
            return self.disk_reason
        if self.state is CpState.STOPPED:
            return self.stop_reason or ""
        return commands_lost(self)

    def hindrance(self, up_s: float, until_up_s: float) -> str:
        """Why a START that is good until `until_up_s` can't begin now, or empty."""
        return (
            expired(up_s, until_up_s)
            or busy(self)
            or disk_failing(self.disk_reason)
            or out_of_service(self)
            or commands_lost(self)
        )

    def illness(self, now_s: float) -> str | None:
        """Why no session could begin; None where one could.  To be stopped is no illness."""
        if self.leaving:
            return STOPPING
        lost = "broker does not answer, or commands can't be read"
        lost = lost if self._are_commands_lost(now_s) else ""
        return disk_failing(self.disk_reason) or buffer_full(self) or lost or None

    def _are_commands_lost(self, now_s: float) -> bool:
        if self._connected:
            return False
        at_s = self._connected_at_s
        return at_s is None or now_s - at_s > COMMANDS_LOST_S


def expired(up_s: float, until_up_s: float) -> str:
    """Guard, as all below: why no session may begin, in words; empty where one may.

    Here: the START was good until an uptime that is over.
    """
    return f"START came {up_s - until_up_s:.1f} s too late" if up_s > until_up_s else ""


def busy(states: States) -> str:
    """Guard: another session runs."""
    return "charging point is busy with another session" if states.running_session_id else ""


def disk_failing(reason: str) -> str:
    """Guard: a delivery could not be kept."""
    return f"disk of the charging point fails: {reason}" if reason else ""


def buffer_full(states: States) -> str:
    """Guard: no other ended session can wait for Central to confirm it."""
    size = states.buffer_size
    is_full = states.unconfirmed >= size
    return f"session buffer is full ({size} not yet confirmed)" if is_full else ""


def out_of_service(states: States) -> str:
    """Guard: it was stopped, by the operator, by a full buffer, or to shut down."""
    reason = states.stop_reason
    if reason is None:
        return ""
    return f"charging point is stopped: {reason}" if reason else "charging point is stopped"


def commands_lost(states: States) -> str:
    """Guard: nobody could tell it to stop."""
    is_lost = states.state is CpState.DISCONNECTED
    return "charging point has lost its commands" if is_lost else ""
