"""The machine of a charging point: one table, and the guards of a start.

- It is DISCONNECTED until it knows its place in its commands, and again when it has lost it while
  nothing is being supplied.  A lost broker never ends SUPPLYING.
- ACTIVATED is the only state in which a session can begin, and the only way back from every other.
- STOPPED and DISCONNECTED are never entered out of SUPPLYING: the session ends first, on its own.
- FAULT can be entered from anywhere, and ends a session.
- A pair that is not in the table raises `NoTransition`, and nothing has changed.

A guard is a function that says why a session must not begin, in words for a person; empty: it may.
"""

from enum import StrEnum

from evd.core.wire.messages import CpState

# Why an engine that was told to end is out of service.
STOPPING = "engine is stopping"


class Event(StrEnum):
    """What moves the machine."""

    COMMANDS_FOUND = "commands found"
    COMMANDS_LOST = "commands lost"
    SUPPLY_STARTED = "supply started"
    SUPPLY_ENDED = "supply ended"
    STOPPED = "stopped"
    RESUMED = "resumed"
    FAILED = "failed"
    REPAIRED = "repaired"


TRANSITIONS: dict[tuple[CpState, Event], CpState] = {
    (CpState.DISCONNECTED, Event.COMMANDS_FOUND): CpState.ACTIVATED,
    (CpState.DISCONNECTED, Event.FAILED): CpState.FAULT,
    (CpState.ACTIVATED, Event.COMMANDS_LOST): CpState.DISCONNECTED,
    (CpState.ACTIVATED, Event.SUPPLY_STARTED): CpState.SUPPLYING,
    (CpState.ACTIVATED, Event.STOPPED): CpState.STOPPED,
    (CpState.ACTIVATED, Event.FAILED): CpState.FAULT,
    (CpState.SUPPLYING, Event.SUPPLY_ENDED): CpState.ACTIVATED,
    (CpState.SUPPLYING, Event.FAILED): CpState.FAULT,
    (CpState.STOPPED, Event.RESUMED): CpState.ACTIVATED,
    (CpState.STOPPED, Event.FAILED): CpState.FAULT,
    (CpState.FAULT, Event.REPAIRED): CpState.ACTIVATED,
}


class NoTransition(Exception):
    """The machine knows no way on from `state` by `event`."""

    def __init__(self, state: CpState, event: Event) -> None:
        super().__init__(f"{state} knows no '{event}'")
        self.state = state
        self.event = event


def after(state: CpState, event: Event) -> CpState:
    """The state that follows `state` when `event` happens, or `NoTransition`."""
    try:
        return TRANSITIONS[state, event]
    except KeyError:
        raise NoTransition(state, event) from None


def expired(up_s: float, until_up_s: float) -> str:
    """Guard: the START was good until an uptime that is over."""
    return f"START came {up_s - until_up_s:.1f} s too late" if up_s > until_up_s else ""


def busy(running_session_id: str | None) -> str:
    """Guard: another session runs."""
    return "charging point is busy with another session" if running_session_id else ""


def out_of_service(stop_reason: str | None) -> str:
    """Guard: it was stopped (None: it was not), by the operator or to shut down."""
    if stop_reason is None:
        return ""
    return (
        f"charging point is stopped: {stop_reason}" if stop_reason else "charging point is stopped"
    )


def buffer_full(unconfirmed: int, limit: int) -> str:
    """Guard: so many ended sessions wait for Central's word that no other may join them."""
    return f"session buffer is full ({limit} not yet confirmed)" if unconfirmed >= limit else ""


def disk_failing(reason: str) -> str:
    """Guard: what the session delivers could not be kept."""
    return f"disk of the charging point fails: {reason}" if reason else ""


def commands_lost(state: CpState) -> str:
    """Guard: nobody could tell it to stop."""
    return "charging point has lost its commands" if state is CpState.DISCONNECTED else ""
