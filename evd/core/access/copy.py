"""A copy of all that lets people, programs and charging points in, as JSON: hashes, no secret.

It outlives Central's disk: with it a lost database takes monitors again, and so their records.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, TypeVar

import attrs

from evd.core.access.roles import Role
from evd.core.access.rows import AccessToken, User
from evd.core.wire.fields import (
    FieldError,
    check_cp_id,
    check_flag,
    check_id,
    format_time,
    parse_time,
)

T = TypeVar("T")

FORMAT: Final = 1
ROWS_MAX: Final = 100_000
HASH_CHARS_MAX: Final = 300
# The roles that a user can have: a driver and a monitor have tokens.
USER_ROLES: Final = (Role.VIEWER, Role.OPERATOR, Role.ADMIN)
_DIGEST_FORM = re.compile(r"[0-9a-f]{64}")
_HASH_FORM = re.compile(r"\$argon2id\$[!-~]{20,}")
# Stands for a time that a copy does not tell: anything else is newer.
_LONG_AGO: Final = datetime(1970, 1, 1, tzinfo=UTC)


@attrs.frozen(slots=True)
class AccessCopy:
    """Users and tokens, those that were removed or revoked among them."""

    users: Sequence[User]
    tokens: Sequence[AccessToken]

    def to_fields(self) -> dict[str, Any]:
        """The JSON object."""
        return {
            "format": FORMAT,
            "users": [_fields_of(user) for user in self.users],
            "tokens": [
                {**_fields_of(token), "revoked": token.revoked_at is not None}
                for token in self.tokens
            ],
        }

    @classmethod
    def of_fields(cls, fields: Mapping[str, Any]) -> "AccessCopy":
        """A copy from its JSON object; `FieldError`, which shows no hash, where it is none."""
        if fields.get("format") != FORMAT:
            raise FieldError("format", f"must be {FORMAT}")
        return cls(
            _each(fields.get("users"), "users", _user),
            _each(fields.get("tokens"), "tokens", _token),
        )


def check_user_role(value: object, name: str = "role") -> Role:
    """The role of a user, or `FieldError`."""
    role = next((each for each in USER_ROLES if each == value), None)
    if role is None:
        raise FieldError(name, f"must be one of {', '.join(USER_ROLES)}")
    return role


def check_digest(value: object, name: str = "digest") -> str:
    """The digest of a secret, or `FieldError`, which does not show the value."""
    if not isinstance(value, str) or _DIGEST_FORM.fullmatch(value) is None:
        raise FieldError(name, "must be 64 hex digits")
    return value


def _fields_of(row: User | AccessToken) -> dict[str, Any]:
    def shown(_: type, __: Any, value: Any) -> Any:
        return format_time(value) if isinstance(value, datetime) else value

    return attrs.asdict(row, value_serializer=shown)


def _each(found: object, name: str, read: Callable[[Mapping[str, Any]], T]) -> tuple[T, ...]:
    if not isinstance(found, list) or len(found) > ROWS_MAX:
        raise FieldError(name, f"must be a list of at most {ROWS_MAX}")
    rows = []
    for number, each in enumerate(found):
        where = f"{name}[{number}]"
        if not isinstance(each, dict):
            raise FieldError(where, "must be an object")
        try:
            rows.append(read(each))
        except FieldError as error:
            raise FieldError(f"{where}.{error.field}", error.why) from None
    return tuple(rows)


def _user(fields: Mapping[str, Any]) -> User:
    removed_at = _time(fields, "removed_at")
    password_hash = fields.get("password_hash")
    is_hash = isinstance(password_hash, str) and _HASH_FORM.fullmatch(password_hash) is not None
    if removed_at is not None:
        password_hash = ""
    elif not is_hash or len(str(password_hash)) > HASH_CHARS_MAX:
        raise FieldError("password_hash", "must be a hash of argon2id")
    return User(
        check_id(fields.get("name"), "name"),
        check_user_role(fields.get("role")),
        str(password_hash),
        _time(fields, "changed_at") or _LONG_AGO,
        removed_at,
    )


def _token(fields: Mapping[str, Any]) -> AccessToken:
    role = fields.get("role")
    if role not in list(Role):
        raise FieldError("role", f"must be one of {', '.join(Role)}")
    created_at = _time(fields, "created_at") or _LONG_AGO
    revoked_at = _time(fields, "revoked_at")
    if fields.get("revoked") is not None and check_flag(fields["revoked"], "revoked"):
        revoked_at = revoked_at or created_at
    driver_id, cp_id = fields.get("driver_id"), fields.get("cp_id")
    if driver_id is not None or role == Role.DRIVER:
        check_id(driver_id, "driver_id")
    if cp_id is not None or role == Role.MONITOR:
        check_cp_id(cp_id)
    return AccessToken(
        check_digest(fields.get("digest")),
        check_id(fields.get("name"), "name"),
        Role(role),
        created_at,
        driver_id if role == Role.DRIVER else None,
        cp_id if role == Role.MONITOR else None,
        _time(fields, "expires_at"),
        revoked_at,
        _time(fields, "used_at"),
    )


def _time(fields: Mapping[str, Any], name: str) -> datetime | None:
    value = fields.get(name)
    return None if value is None else parse_time(value, name)
