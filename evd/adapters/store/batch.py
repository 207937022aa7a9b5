"""The rows that one commit writes: of each key only its newest row."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence

from evd.core.access.rows import (
    AccessToken,
    AddressEnd,
    AuditEntry,
    KnownAddress,
    Login,
    LoginEnd,
    TokenEnd,
    User,
)
from evd.core.central.rows import (
    ChargingPoint,
    FaultEvent,
    HealthSnapshot,
    Meta,
    NetworkSnapshot,
    OperatorEvent,
    Reading,
    Removal,
    Request,
    Row,
    Session,
    SessionCurve,
)

# A row of the first kind outdates an earlier one of the second kind with the same key.
_OUTDATED: Mapping[type[Row], type[Row]] = {
    Session: Reading,
    ChargingPoint: Removal,
    Removal: ChargingPoint,
    AccessToken: TokenEnd,
    TokenEnd: AccessToken,
    Login: LoginEnd,
    LoginEnd: Login,
    KnownAddress: AddressEnd,
    AddressEnd: KnownAddress,
}


def newest_by_kind(rows: Sequence[Row]) -> Mapping[type[Row], Collection[Row]]:
    """The rows that have the outcome of `rows`, written one after the other.

    The kinds may be written in any order, but readings come after sessions.
    """
    kept: dict[type[Row], dict[str | int, Row]] = defaultdict(dict)
    key: str | int
    for number, row in enumerate(rows):
        match row:
            case Session() | Reading() | SessionCurve():
                key = row.session_id
            case Request():
                key = row.request_id
            case ChargingPoint() | Removal():
                key = row.cp_id
            case User():
                key = row.name
            case AccessToken() | TokenEnd() | Login() | LoginEnd():
                key = row.digest
            case KnownAddress() | AddressEnd():
                key = row.place
            case FaultEvent() | HealthSnapshot() | NetworkSnapshot() | OperatorEvent():
                key = number
            case AuditEntry():
                key = number
            case Meta():
                key = 0
        kind = type(row)
        kept[kind][key] = row
        if kind in _OUTDATED:
            kept[_OUTDATED[kind]].pop(key, None)
    return {kind: by_key.values() for kind, by_key in kept.items()}
