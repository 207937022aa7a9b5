"""The rows that can't be read as they were written: named, and taken as far as they can be.

A disk or a hand may have changed one value.  That must cost its row, and never a start.
"""

import logging
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

import attrs

from evd.core.access.rows import AccessToken, AuditEntry, KnownAddress, Login, User
from evd.core.central.rows import (
    ChargingPoint,
    FaultEvent,
    HealthSnapshot,
    Meta,
    NetworkSnapshot,
    OperatorEvent,
    Request,
    Row,
    Session,
    SessionCurve,
    SessionStatus,
)
from evd.core.wire.fields import printable
from evd.core.wire.messages import RequestStatus

# More than this are counted by nobody: such a database needs its backup.
NAMES_MAX = 100
_SHOWN_CHARS_MAX = 60
_KINDS: Mapping[type, str] = {
    AccessToken: "the token with the digest",
    AuditEntry: "a line of the audit of",
    ChargingPoint: "charging point",
    FaultEvent: "a fault event of",
    HealthSnapshot: "a health snapshot of",
    KnownAddress: "a known address of",
    Login: "the login with the digest",
    Meta: "Central",
    NetworkSnapshot: "the network at",
    OperatorEvent: "an operator's event of",
    Request: "request",
    Session: "session",
    SessionCurve: "the curve of",
    User: "user",
}
# Stands for a time that is lost: nobody takes it for a true one.
_LOST_TIME = datetime(1970, 1, 1, tzinfo=UTC)
_LOST_REQUEST = "what was stored of this request can't be read"

logger = logging.getLogger(__name__)


def name_of(row_class: type, key: object) -> str:
    """The row in words, such as `session session-1`."""
    return f"{_KINDS[row_class]} {printable(str(key))[:_SHOWN_CHARS_MAX]}"


class Unreadable:
    """The names of rows that could not be read and were not written since."""

    def __init__(self) -> None:
        self._names: dict[str, None] = {}

    @property
    def names(self) -> list[str]:
        """At most NAMES_MAX, in the order in which they were found."""
        return list(self._names)

    def add(self, name: str, wrong: Mapping[str, object]) -> None:
        """Log a row once, with the columns that are wrong and what stands there."""
        if name in self._names or len(self._names) >= NAMES_MAX:
            return
        self._names[name] = None
        columns = ", ".join(
            f"{column} is {printable(repr(value))[:_SHOWN_CHARS_MAX]}"
            for column, value in wrong.items()
        )
        logger.error("The row of %s can't be read (%s); all others are served", name, columns)

    def discard(self, rows: Iterable[Row]) -> None:
        """Forget those that were written anew."""
        for row in rows if self._names else ():
            if isinstance(row, ChargingPoint | Request | Session):
                key = getattr(row, attrs.fields(type(row))[0].name)
                self._names.pop(name_of(type(row), key), None)


def complete(row_class: type, read: dict[str, Any], wrong: Mapping[str, object]) -> bool:
    """Give the fields that are `wrong` and have no default what does no harm; whether all have one.

    A request counts as ended.  A session that may still run is stopped or recorded by its engine,
    or ends by its bounds, and its row is then written anew.
    """
    if row_class not in (ChargingPoint, Request, Session):
        return False
    for name in wrong:
        if row_class is Request and name == "status":
            read |= {"status": RequestStatus.FAILED, "reason": _LOST_REQUEST}
        elif row_class is Session and name == "status":
            if read.get("settled") or read.get("end_time"):
                read["status"] = SessionStatus.FAILED
        elif name in ("created_at", "updated_at", "start_time"):
            read[name] = _LOST_TIME
        elif row_class is Request and name in ("cp_id", "session_id"):
            read[name] = None
        elif row_class is Request and name == "reason":
            read.setdefault(name, "")
    return True
