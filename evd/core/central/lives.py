"""The life of a request and of a session in Central, drawn once.

A request, by the status that is stored; (none): it is not known.

    (none)                                 --stored-->     PENDING
    (none) PENDING                         --begun-->      ACCEPTED
    (none) PENDING                         --denied-->     DENIED
    ACCEPTED                               --confirmed-->  IN_PROGRESS
    (none) PENDING ACCEPTED IN_PROGRESS    --adopted-->    IN_PROGRESS
    (none) PENDING ACCEPTED IN_PROGRESS    --given up-->   FAILED
    (none) PENDING ACCEPTED IN_PROGRESS    --completed-->  COMPLETED
    (none) PENDING ACCEPTED IN_PROGRESS    --failed-->     FAILED

A session.  STARTING, RUNNING and STOPPING are ACTIVE; UNSETTLED has ended without its engine's
record, which may still come; SUSPECT has a record that can't be, and waits for the operator;
nothing changes what is SETTLED.

    (none)                                 --begun-->        STARTING
    STARTING                               --confirmed-->    RUNNING
    STOPPING                               --confirmed-->    STOPPING
    (none)                                 --adopted-->      RUNNING
    (none)                                 --adopted late--> STOPPING
    STARTING RUNNING STOPPING              --stopped-->      STOPPING
    STARTING RUNNING STOPPING              --estimated-->    UNSETTLED
    STARTING RUNNING STOPPING              --never began-->  UNSETTLED
    (none) STARTING RUNNING STOPPING UNSETTLED --recorded--> SETTLED
    (none) STARTING RUNNING STOPPING UNSETTLED --suspected--> SUSPECT
    SUSPECT                                --judged-->       SETTLED
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import TypeVar

from evd.core.central.rows import Session, SessionStatus, Want
from evd.core.wire.messages import RequestStatus

StateT = TypeVar("StateT", bound=StrEnum)
StepT = TypeVar("StepT", bound=StrEnum)


class RequestStep(StrEnum):
    """The steps of a request's life.

    GIVEN_UP: cancelled, or never decided.  COMPLETED and FAILED: as its session ended.
    """

    STORED = "stored"
    BEGUN = "begun"
    DENIED = "denied"
    CONFIRMED = "confirmed"
    ADOPTED = "adopted"
    GIVEN_UP = "given up"
    COMPLETED = "completed"
    FAILED = "failed"


class SessionStep(StrEnum):
    """The steps of a session's life.

    ADOPTED: an engine runs it and no row is known; ADOPTED_LATE: its request had ended as well.
    NEVER_BEGAN: its engine knows nothing of it.  SUSPECTED: its record can't be.
    """

    BEGUN = "begun"
    CONFIRMED = "confirmed"
    ADOPTED = "adopted"
    ADOPTED_LATE = "adopted late"
    STOPPED = "stopped"
    ESTIMATED = "estimated"
    NEVER_BEGAN = "never began"
    RECORDED = "recorded"
    SUSPECTED = "suspected"
    JUDGED = "judged"


class SessionState(StrEnum):
    """Where a session is in its life, worked out from its row."""

    STARTING = "STARTING"
    RUNNING = "RUNNING"
    STOPPING = "STOPPING"
    UNSETTLED = "UNSETTLED"
    SUSPECT = "SUSPECT"
    SETTLED = "SETTLED"


_OPEN = (RequestStatus.PENDING, RequestStatus.ACCEPTED, RequestStatus.IN_PROGRESS)
_ACTIVE = (SessionState.STARTING, SessionState.RUNNING, SessionState.STOPPING)

REQUEST_LIFE: dict[tuple[RequestStatus | None, RequestStep], RequestStatus] = {
    (None, RequestStep.STORED): RequestStatus.PENDING,
    (None, RequestStep.BEGUN): RequestStatus.ACCEPTED,
    (RequestStatus.PENDING, RequestStep.BEGUN): RequestStatus.ACCEPTED,
    (None, RequestStep.DENIED): RequestStatus.DENIED,
    (RequestStatus.PENDING, RequestStep.DENIED): RequestStatus.DENIED,
    (RequestStatus.ACCEPTED, RequestStep.CONFIRMED): RequestStatus.IN_PROGRESS,
    **{(at, RequestStep.ADOPTED): RequestStatus.IN_PROGRESS for at in (None, *_OPEN)},
    **{(at, RequestStep.GIVEN_UP): RequestStatus.FAILED for at in (None, *_OPEN)},
    **{(at, RequestStep.COMPLETED): RequestStatus.COMPLETED for at in (None, *_OPEN)},
    **{(at, RequestStep.FAILED): RequestStatus.FAILED for at in (None, *_OPEN)},
}

SESSION_LIFE: dict[tuple[SessionState | None, SessionStep], SessionState] = {
    (None, SessionStep.BEGUN): SessionState.STARTING,
    (SessionState.STARTING, SessionStep.CONFIRMED): SessionState.RUNNING,
    (SessionState.STOPPING, SessionStep.CONFIRMED): SessionState.STOPPING,
    (None, SessionStep.ADOPTED): SessionState.RUNNING,
    (None, SessionStep.ADOPTED_LATE): SessionState.STOPPING,
    **{(at, SessionStep.STOPPED): SessionState.STOPPING for at in _ACTIVE},
    **{(at, SessionStep.ESTIMATED): SessionState.UNSETTLED for at in _ACTIVE},
    **{(at, SessionStep.NEVER_BEGAN): SessionState.UNSETTLED for at in _ACTIVE},
    **{
        (at, step): after
        for step, after in (
            (SessionStep.RECORDED, SessionState.SETTLED),
            (SessionStep.SUSPECTED, SessionState.SUSPECT),
        )
        for at in (None, *_ACTIVE, SessionState.UNSETTLED)
    },
    (SessionState.SUSPECT, SessionStep.JUDGED): SessionState.SETTLED,
}


class NoSuchStep(RuntimeError):
    """A row would take a step that the table does not have: a bug here, never a bad message."""


def session_state(row: Session | None) -> SessionState | None:
    """Return where a session is in its life; None for no row."""
    if row is None:
        return None
    if row.settled:
        return SessionState.SETTLED
    if row.suspect:
        return SessionState.SUSPECT
    if row.status is not SessionStatus.ACTIVE:
        return SessionState.UNSETTLED
    if row.want is Want.STOP:
        return SessionState.STOPPING
    return SessionState.RUNNING if row.confirmed else SessionState.STARTING


def check_step(
    life: Mapping[tuple[StateT | None, StepT], StateT],
    before: StateT | None,
    step: StepT,
    after: StateT | None,
) -> None:
    """Raise NoSuchStep unless `life` leads from `before` by `step` to `after`."""
    if after is None or life.get((before, step)) is not after:
        raise NoSuchStep(f"{before or '(none)'} --{step}--> {after}")
