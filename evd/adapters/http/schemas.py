"""The JSON of Central's HTTP: what each answer contains.

`CpView`, `Request` and `FaultStatistics` are shown with the very fields that they have; the classes
here are for what looks different outside.
"""

import functools
from datetime import datetime
from typing import Any, Self, TypeVar

import attrs

from evd.adapters.store.report import ReportRow
from evd.core.access.roles import Role
from evd.core.access.rows import AccessToken
from evd.core.central.power import PowerPoint
from evd.core.central.rows import FaultEvent, HealthSnapshot, Session, SessionStatus
from evd.core.central.spans import CpStates
from evd.core.central.statistics import FaultStatistics
from evd.core.central.timeline import Entry
from evd.core.central.views import CpView
from evd.core.curve import CurvePoint
from evd.core.wire.units import euros_from_cents, kwh_from_mwh

T = TypeVar("T", bound=attrs.AttrsInstance)


def shown(kind: type[T], source: object, **values: Any) -> T:
    """The fields of `kind`: those of `values`, and the others as `source` has them."""
    return kind(
        **values,
        **{name: getattr(source, name) for name in _names_of(kind) if name not in values},
    )


@functools.cache
def _names_of(kind: type[attrs.AttrsInstance]) -> tuple[str, ...]:
    return tuple(field.name for field in attrs.fields(kind))


@attrs.frozen
class ChargingPoints:
    """All charging points, and how many requests of the network are open."""

    charging_points: list[CpView]
    active_requests: int


@attrs.frozen
class StandbyShown:
    """Another Central on the same database; `kafka_up`: Kafka answers it."""

    address: str
    kafka_up: bool


@attrs.frozen
class HealthShown:
    """Central can do its work.  `unreadable` names rows of its database that can't be read.

    `standbys` are the Centrals that would take over: there where the database is PostgreSQL.
    """

    status: str
    service: str
    uptime_s: float
    central_id: str
    unreadable: list[str]
    standbys: list[StandbyShown] | None = attrs.field(default=None, kw_only=True)


@attrs.frozen
class UnhealthyShown(HealthShown):
    """Central can't serve requests; `error` says why.

    `code` is `standing_by` where another one serves, and this one could take over.
    """

    error: str
    code: str | None = attrs.field(default=None, kw_only=True)


@attrs.frozen
class RequestTaken:
    """The request is stored; GET /requests/{request_id} tells how it goes."""

    request_id: str


@attrs.frozen
class SessionShown:
    """A session.

    `total_cost` is null until a record settles it.  `estimated`: closed without the engine's
    record.  `billable` false: at no cost.  `stray`: it ran although its request had ended.
    `suspect`: its record can't be, and waits for the operator.
    """

    session_id: str
    request_id: str
    cp_id: str
    driver_id: str
    start_time: datetime
    end_time: datetime | None
    total_kwh: float
    total_cost: float | None
    status: SessionStatus
    reason: str
    estimated: bool
    billable: bool
    stray: bool
    suspect: bool

    @classmethod
    def of(cls, row: Session, **more: Any) -> Self:
        """A row as it is shown, in kWh and euros."""
        euros = None if row.cost_cents is None else euros_from_cents(row.cost_cents)
        return shown(cls, row, total_kwh=kwh_from_mwh(row.energy_mwh), total_cost=euros, **more)


@attrs.frozen
class SessionDetail(SessionShown):
    """A session, and the course of its power: seconds since its start, kW and kWh of each point."""

    curve: list[CurvePoint]


@attrs.frozen
class Sessions:
    """Sessions, newest first."""

    sessions: list[SessionShown]


@attrs.frozen
class SumShown:
    """The sums of the billed sessions of one month, charging point or driver."""

    key: str
    sessions: int
    kwh: float
    euros: float

    @classmethod
    def of(cls, row: ReportRow) -> Self:
        """A row as it is shown, in kWh and euros."""
        kwh, euros = kwh_from_mwh(row.energy_mwh), euros_from_cents(row.cost_cents)
        return cls(row.key, row.sessions, kwh, euros)


@attrs.frozen
class Report:
    """The sums of what was billed, in the order of the keys."""

    report: list[SumShown]


@attrs.frozen
class MeterShown:
    """The newest telemetry of a supplying charging point; `ts` is when it was sent."""

    cp_id: str
    boot_id: str
    session_id: str
    driver_id: str
    kw: float
    kwh: float
    euros: float
    seq: int | None
    ts: datetime | None


@attrs.frozen
class Meters:
    """The newest telemetry of each supplying charging point."""

    telemetry: list[MeterShown]


@attrs.frozen
class FaultShown(FaultEvent):
    """A fault event, and its number in the list."""

    id: int = attrs.field(kw_only=True)


@attrs.frozen
class Faults:
    """Fault events, newest first."""

    faults: list[FaultShown]


@attrs.frozen
class Statistics:
    """Each charging point's faults."""

    statistics: list[FaultStatistics]


@attrs.frozen
class SnapshotShown(HealthSnapshot):
    """How a charging point stood at a moment, and the entry's number in the list."""

    id: int = attrs.field(kw_only=True)


@attrs.frozen
class History:
    """How charging points stood, newest first."""

    history: list[SnapshotShown]


@attrs.frozen
class States:
    """The states of charging points over a span."""

    states: list[CpStates]


@attrs.frozen
class Power:
    """The course of power, in the order of the times."""

    power: list[PowerPoint]


@attrs.frozen
class EntryShown(Entry):
    """An entry of a timeline; `id` is for `before` alone."""

    id: str = attrs.field(kw_only=True)


@attrs.frozen
class Timeline:
    """The story of a charging point, newest first."""

    timeline: list[EntryShown]


@attrs.frozen
class CpTaken:
    """The operator's wish is stored, and repeated to the engine until it is done."""

    cp_id: str


@attrs.frozen
class SessionTaken:
    """The session is being stopped, or was judged."""

    session_id: str


@attrs.frozen
class RecoveryTaken:
    """The charging points that Central still waits for after a restore: none."""

    recovering: list[str]


@attrs.frozen
class HandoverTaken:
    """The addresses of the Centrals that stand by: one of them serves within seconds."""

    standbys: list[str]


@attrs.frozen
class LoginShown:
    """Somebody is logged in; `token` is for the header Authorization, and not there for a page."""

    role: Role
    expires_at: datetime
    token: str | None = None


@attrs.frozen
class DriverLoginShown:
    """A driver is logged in on its page."""

    role: Role
    expires_at: datetime


@attrs.frozen
class TicketShown:
    """A ticket for the feed, good once, and the feed's port on this host."""

    ticket: str
    expires_at: datetime
    feed_port: int


@attrs.frozen
class UserShown:
    """Somebody with a password."""

    user: str
    role: Role


@attrs.frozen
class Users:
    """Everybody with a password, by name."""

    users: list[UserShown]


@attrs.frozen
class TokenShown:
    """A token, without its secret, which nobody knows but its holder."""

    name: str
    role: Role
    driver_id: str | None
    cp_id: str | None
    created_at: datetime
    expires_at: datetime | None
    used_at: datetime | None
    revoked: bool

    @classmethod
    def of(cls, row: AccessToken) -> Self:
        """A row as it is shown."""
        return shown(cls, row, revoked=row.revoked_at is not None)


@attrs.frozen
class Tokens:
    """Every token."""

    tokens: list[TokenShown]


@attrs.frozen
class TokenGiven:
    """A new token, which is told this once."""

    token: str
    name: str
    expires_at: datetime | None


@attrs.frozen
class AuditShown:
    """A call that changed something, or tried to; `address` is null where it may not be seen."""

    id: int
    ts: datetime
    who: str
    role: str
    address: str | None
    action: str
    object: str
    outcome: str


@attrs.frozen
class Audit:
    """Calls that changed something, newest first."""

    audit: list[AuditShown]


@attrs.frozen
class UnreadyShown:
    """A charging point, driver or caller that is refused once logins are required."""

    kind: str
    name: str
    address: str
    why: str
    count: int
    last_at: datetime


@attrs.frozen
class Readiness:
    """The value of --auth, and everybody who `required` would refuse."""

    auth: str
    refused: list[UnreadyShown]


@attrs.frozen
class ImportShown:
    """The names that became valid or changed, and those that stay revoked or removed; of `same`
    nothing was new."""

    users: list[str]
    tokens: list[str]
    revoked: list[str]
    same: int
