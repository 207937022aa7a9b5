"""A copy of access, and what of it comes into a database."""

from typing import Any

import orjson
import pytest

from evd.core.access.access import Access
from evd.core.access.copy import AccessCopy
from evd.core.access.refusals import NotDone
from evd.core.access.roles import Role
from evd.core.wire.fields import FieldError
from tests.unit.access.test_access import HOME, at, digest_of, log_in

HASH = "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHQ$aGFzaGhhc2hoYXNo"
OTHER_HASH = HASH[:-1] + "p"


def full() -> Access:
    """One with users, tokens, somebody removed and something revoked."""
    access = Access()
    access.add_user("root", HASH, Role.ADMIN, at())
    access.add_user("vera", HASH, Role.VIEWER, at())
    access.add_user("gone", HASH, Role.OPERATOR, at())
    access.remove_user("gone", at(1))
    access.issue_cp_token("CP-001", digest_of(1), at(), at_once=False)
    access.issue_driver_token("driver-alice", digest_of(2), at(), at_once=False)
    access.add_token("report", Role.VIEWER, digest_of(3), None, 90, at())
    access.add_token("stolen", Role.ADMIN, digest_of(4), None, 0, at())
    access.revoke_token("stolen", at(1))
    return access


def carried(access: Access) -> AccessCopy:
    """A copy as it comes out of a file."""
    return AccessCopy.of_fields(orjson.loads(orjson.dumps(access.export().to_fields())))


def test_a_lost_database_lets_the_same_in_again() -> None:
    """Proves: after an import into an empty database the same users, drivers and charging points
    get in, and the same do not."""
    copy, new = carried(full()), Access()
    outcome, _ = new.take_copy(copy, at(2), apply=True)
    assert carried(new) == copy
    assert outcome.users == ["root", "vera"]
    assert outcome.tokens == ["CP-001", "driver-alice", "report"]
    assert new.why_no_monitor("CP-001", digest_of(1), at(2)) == ""
    assert new.password_hash_of("vera") == HASH
    assert new.password_hash_of("gone") is None
    callers = [new.caller_of_digest(digest_of(n), HOME, at(2)) for n in (1, 2, 3, 4)]
    assert [who.name if who else None for who in callers] == [None, "driver-alice", "report", None]
    assert new.caller_of_digest(digest_of(3), HOME, at(24 * 90)) is None


def test_looking_changes_nothing() -> None:
    """Proves: what would become valid can be named before it does."""
    new = Access()
    outcome, rows = new.take_copy(carried(full()), at(2), apply=False)
    assert (outcome.users, rows) == (["root", "vera"], [])
    assert new.users() == []
    assert new.tokens() == []


def test_a_copy_of_before_takes_nothing_back() -> None:
    """Proves: what was revoked, removed or changed here since the copy was made stays so."""
    access = full()
    copy = carried(access)
    access.revoke_token("report", at(2))
    access.remove_user("vera", at(2))
    access.set_password("root", OTHER_HASH, at(2))
    outcome, rows = access.take_copy(copy, at(3), apply=True)
    assert rows == []
    assert (outcome.users, outcome.tokens) == ([], [])
    assert outcome.revoked == ["vera", "report"]
    assert access.password_hash_of("root") == OTHER_HASH
    assert access.password_hash_of("vera") is None
    assert access.caller_of_digest(digest_of(3), HOME, at(3)) is None


def test_a_newer_copy_is_believed() -> None:
    """Proves: a revocation and another password travel with a copy, and end what was begun by the
    old ones."""
    access, other = full(), full()
    log_in(access, "vera", 8, at(1))
    other.set_password("vera", OTHER_HASH, at(2))
    other.revoke_token("report", at(2))
    outcome, _ = access.take_copy(carried(other), at(3), apply=True)
    assert outcome.users == ["vera"]
    assert access.password_hash_of("vera") == OTHER_HASH
    assert access.caller_of_digest(digest_of(8), HOME, at(1.1)) is None
    assert access.caller_of_digest(digest_of(3), HOME, at(3)) is None


def test_an_import_leaves_an_admin() -> None:
    """Proves: a copy in which the admin is no more can't lock everybody out."""
    access, other = full(), full()
    other.add_user("boss", HASH, Role.ADMIN, at(2))
    other.remove_user("root", at(2))
    copy = carried(other)
    without = AccessCopy([user for user in copy.users if user.name != "boss"], copy.tokens)
    with pytest.raises(NotDone, match="no admin"):
        access.take_copy(without, at(3), apply=True)
    access.take_copy(copy, at(3), apply=True)
    assert [user.name for user in access.users()] == ["boss", "vera"]


USER = {"name": "vera", "role": "viewer", "password_hash": HASH}
TOKEN = {"name": "report", "role": "viewer", "digest": digest_of(1)}


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"format": 2}, "format"),
        ({"users": {}}, "users"),
        ({"users": ["vera"]}, "users[0]"),
        ({"users": [{**USER, "name": "../x"}]}, "users[0].name"),
        ({"users": [{**USER, "role": "driver"}]}, "users[0].role"),
        ({"users": [{**USER, "role": ["admin"]}]}, "users[0].role"),
        ({"users": [{**USER, "password_hash": "in clear"}]}, "users[0].password_hash"),
        ({"users": [USER, {**USER, "changed_at": "now"}]}, "users[1].changed_at"),
        ({"tokens": [{**TOKEN, "digest": "evd_admin_secret"}]}, "tokens[0].digest"),
        ({"tokens": [{**TOKEN, "role": "root"}]}, "tokens[0].role"),
        ({"tokens": [{**TOKEN, "role": "driver"}]}, "tokens[0].driver_id"),
        ({"tokens": [{**TOKEN, "role": "monitor"}]}, "tokens[0].cp_id"),
        ({"tokens": [{**TOKEN, "revoked": "no"}]}, "tokens[0].revoked"),
    ],
)
def test_what_is_no_copy_is_refused_by_its_field(fields: dict[str, Any], field: str) -> None:
    """Proves: a wrong copy is named to the field, and no hash or secret in it is shown."""
    with pytest.raises(FieldError) as caught:
        AccessCopy.of_fields({"format": 1, "users": [], "tokens": [], **fields})
    assert caught.value.field == field
    assert "secret" not in str(caught.value)
    assert "clear" not in str(caught.value)


def test_a_hash_is_shown_by_nothing() -> None:
    """Proves: neither a hash nor a digest stands in what is printed of access."""
    access = full()
    shown = repr(access.export())
    assert HASH not in shown
    assert digest_of(1) not in shown
