"""How Central shows a charging point: the fields of GET /cp, of the status feed and of the tool."""

from datetime import datetime

import attrs

from evd.core.central.rows import BreakerState, ShownState
from evd.core.wire.control import EngineStatus
from evd.core.wire.messages import CpState


@attrs.frozen(slots=True)
class LiveMeter:
    """The newest telemetry of the running session."""

    kw: float
    kwh: float
    euros: float
    session_id: str
    driver_id: str
    ts: datetime


@attrs.frozen(slots=True)
class CpView:
    """One charging point as it is shown.

    `state_since`: when `state` last changed.  `unavailable_reason` is empty while it is available;
    `stopped`: by the operator.  `unconfirmed`: the records of its engine that Central has not
    confirmed, None while unknown.
    """

    cp_id: str
    state: ShownState
    state_since: datetime | None
    available: bool
    unavailable_reason: str
    stopped: bool
    engine_state: CpState | None
    engine_status: EngineStatus | None
    monitor_status: EngineStatus
    breaker: BreakerState
    unconfirmed: int | None
    current_driver: str | None
    current_session: str | None
    kw_rate: float | None
    euro_rate: float | None
    location: str | None
    last_update: datetime | None
    monitor_last_seen: datetime | None
    telemetry: LiveMeter | None
