"""Users, tokens and logins: who is good for what, and until when."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evd.core.access.access import NEVER_MADE, NO_TOKEN, WRONG_TOKEN, Access
from evd.core.access.refusals import NotDone
from evd.core.access.roles import Caller, Role
from evd.core.access.rows import (
    AccessImage,
    AccessRow,
    AccessToken,
    AddressEnd,
    KnownAddress,
    Login,
    LoginEnd,
    TokenEnd,
    User,
)
from evd.core.access.token_book import REVOKED_MAX
from evd.core.effects import Now

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
HOME = "192.0.2.7"
Change = Callable[[], list[AccessRow]]


def at(hours: float = 0.0) -> Now:
    """A moment, so many hours after noon."""
    return Now(1000.0 + hours * 3600, NOON + timedelta(hours=hours))


def digest_of(number: int) -> str:
    """The digest of a secret that no other number has."""
    return f"{number:064x}"


@attrs.define
class Table:
    """The rows as a database would have them, by what they are."""

    users: dict[str, User] = attrs.Factory(dict)
    tokens: dict[str, AccessToken] = attrs.Factory(dict)
    logins: dict[str, Login] = attrs.Factory(dict)
    addresses: dict[str, KnownAddress] = attrs.Factory(dict)

    def store(self, rows: list[AccessRow]) -> None:
        for row in rows:
            match row:
                case User():
                    self.users[row.name] = row
                case AccessToken():
                    self.tokens[row.digest] = row
                case Login():
                    self.logins[row.digest] = row
                case LoginEnd():
                    self.logins.pop(row.digest, None)
                case KnownAddress():
                    self.addresses[row.place] = row
                case AddressEnd():
                    self.addresses.pop(row.place, None)

    def reopened(self) -> Access:
        """Access, as a Central that starts has it."""
        image = AccessImage(
            [*self.users.values()],
            [*self.tokens.values()],
            [*self.logins.values()],
            [*self.addresses.values()],
        )
        return Access(image)


def log_in(
    access: Access, user: str, number: int, now: Now, address: str = HOME
) -> list[AccessRow]:
    """Log a user in with its right password."""
    checked = access.password_hash_of(user) or ""
    told, rows = access.log_in(user, "", checked, digest_of(number), address, now)
    assert told is not None
    return rows


@pytest.fixture
def access() -> Access:
    """One with an admin and a viewer."""
    access = Access()
    access.add_user("root", "hash-of-root", Role.ADMIN, at())
    access.add_user("vera", "hash-of-vera", Role.VIEWER, at())
    return access


def test_a_login_lasts_twelve_hours_and_one_unused(access: Access) -> None:
    """Proves: who is away for an hour, or logged in for twelve, logs in again."""
    log_in(access, "vera", 1, at())
    who = access.caller_of_digest(digest_of(1), HOME, at(0.9))
    assert who == Caller("vera", Role.VIEWER, None, HOME)
    assert who.proof == digest_of(1)
    for tenth in range(18, 120, 9):
        assert access.caller_of_digest(digest_of(1), HOME, at(tenth / 10)) is not None
    assert access.caller_of_digest(digest_of(1), HOME, at(12)) is None
    log_in(access, "vera", 2, at())
    assert access.caller_of_digest(digest_of(2), HOME, at(1)) is None


def test_what_a_user_lost_ends_all_its_logins(access: Access) -> None:
    """Proves: another password or role, or its removal, ends every login of a user at once, and
    nobody else's."""
    log_in(access, "root", 9, at())
    changes: list[Change] = [
        lambda: access.set_password("vera", "other-hash", at()),
        lambda: access.set_role("vera", Role.OPERATOR, at()),
        lambda: access.remove_user("vera", at()),
    ]
    for number, change in enumerate(changes, 1):
        log_in(access, "vera", number, at())
        before = access.generation
        assert LoginEnd(digest_of(number)) in change()
        assert access.generation > before
        assert access.caller_of_digest(digest_of(number), HOME, at()) is None
    assert access.caller_of_digest(digest_of(9), HOME, at()) is not None
    assert access.password_hash_of("vera") is None
    assert [user.name for user in access.users()] == ["root"]


def test_a_password_that_was_changed_meanwhile_is_wrong(access: Access) -> None:
    """Proves: nobody gets in by the password from before, however long its check took."""
    checked = access.password_hash_of("vera") or ""
    access.set_password("vera", "other-hash", at())
    assert access.log_in("vera", "", checked, digest_of(1), HOME, at()) == (None, [])
    access.remove_user("vera", at())
    assert access.log_in("vera", "", "other-hash", digest_of(1), HOME, at()) == (None, [])


def test_the_last_admin_stays(access: Access) -> None:
    """Proves: nobody locks everybody out."""
    changes: list[Change] = [
        lambda: access.remove_user("root", at()),
        lambda: access.set_role("root", Role.VIEWER, at()),
    ]
    for change in changes:
        with pytest.raises(NotDone, match="last admin") as caught:
            change()
        assert not caught.value.is_unknown
    access.set_role("vera", Role.ADMIN, at())
    access.remove_user("root", at())


def test_who_is_not_there_is_told_so(access: Access) -> None:
    """Proves: a wrong name is another error than a name that is taken."""
    changes: list[Change] = [
        lambda: access.remove_user("nemo", at()),
        lambda: access.set_password("nemo", "h", at()),
        lambda: access.revoke_token("nemo", at()),
        lambda: access.remove_driver("nemo", at()),
    ]
    for change in changes:
        with pytest.raises(NotDone) as caught:
            change()
        assert caught.value.is_unknown
    with pytest.raises(NotDone, match="exists already"):
        access.add_user("vera", "h", Role.VIEWER, at())


def test_a_token_ends_by_the_wall_clock(access: Access) -> None:
    """Proves: a token is good for its days, and one of 0 days without an end."""
    access.add_token("report", Role.VIEWER, digest_of(1), None, 90, at())
    access.add_token("for-ever", Role.VIEWER, digest_of(2), None, 0, at())
    assert access.caller_of_digest(digest_of(1), HOME, at(24 * 90 - 1)) is not None
    assert access.caller_of_digest(digest_of(1), HOME, at(24 * 90)) is None
    assert access.caller_of_digest(digest_of(2), HOME, at(24 * 9000)) is not None


def test_a_revoked_token_ends_the_logins_by_it(access: Access) -> None:
    """Proves: who logged in by a token is out when it is revoked."""
    access.add_token("alice", Role.DRIVER, digest_of(1), "driver-alice", 90, at())
    told, _ = access.log_in("", digest_of(1), "", digest_of(2), HOME, at())
    assert told is not None
    assert told.caller == Caller("alice", Role.DRIVER, "driver-alice", HOME)
    assert LoginEnd(digest_of(2)) in access.revoke_token("alice", at())
    assert access.caller_of_digest(digest_of(2), HOME, at()) is None
    with pytest.raises(NotDone, match="was revoked"):
        access.add_token("alice", Role.DRIVER, digest_of(1), "driver-alice", 90, at())


def test_a_revoked_token_is_kept_for_two_years() -> None:
    """Proves: what was revoked is known long enough that no copy of before makes it good, and the
    rows do not grow without end."""
    access = Access()
    access.issue_cp_token("CP-001", digest_of(1), at(), at_once=False)
    access.issue_cp_token("CP-001", digest_of(2), at(), at_once=True)
    assert access.sweep(at(24 * 729)) == []
    assert access.sweep(at(24 * 730)) == [TokenEnd(digest_of(1))]
    assert [each.digest for each in access.tokens()] == [digest_of(2)]
    many = [
        AccessToken(digest_of(n), "t", Role.VIEWER, NOON, revoked_at=NOON + timedelta(seconds=n))
        for n in range(REVOKED_MAX + 7)
    ]
    access = Access(AccessImage(tokens=many))
    assert access.sweep(at(24)) == [TokenEnd(digest_of(n)) for n in range(7)]


@pytest.mark.parametrize(
    ("role", "driver_id", "field"),
    [
        (Role.MONITOR, None, "role"),
        (Role.DRIVER, None, "driver_id"),
        (Role.VIEWER, "driver-alice", "driver_id"),
    ],
)
def test_a_token_is_of_one_kind(
    access: Access, role: Role, driver_id: str | None, field: str
) -> None:
    """Proves: a driver's token has its driver, and no other token has one."""
    with pytest.raises(NotDone) as caught:
        access.add_token("x", role, digest_of(1), driver_id, 90, at())
    assert caught.value.field == field


def test_a_name_is_one_token_s(access: Access) -> None:
    """Proves: by a name one token is revoked, and never two that only have one name."""
    access.add_token("CP-001", Role.VIEWER, digest_of(1), None, 90, at())
    with pytest.raises(NotDone, match="already"):
        access.add_token("CP-001", Role.ADMIN, digest_of(2), None, 90, at())
    access.issue_cp_token("CP-001", digest_of(3), at(), at_once=False)
    with pytest.raises(NotDone, match="another token"):
        access.revoke_token("CP-001", at())
    assert access.why_no_monitor("CP-001", digest_of(3), at()) == ""


def test_a_new_token_waits_for_its_first_use() -> None:
    """Proves: a charging point with its old token still gets in until it has the new one, and not
    after that."""
    access = Access()
    access.issue_cp_token("CP-001", digest_of(1), at(), at_once=False)
    assert access.why_no_monitor("CP-001", digest_of(1), at(1)) == ""
    access.issue_cp_token("CP-001", digest_of(2), at(2), at_once=False)
    assert access.why_no_monitor("CP-001", digest_of(1), at(3)) == ""
    assert access.why_no_monitor("CP-001", digest_of(2), at(4)) == ""
    assert access.why_no_monitor("CP-001", digest_of(1), at(5)) == WRONG_TOKEN
    table = Table()
    table.store(access.take_used())
    assert table.tokens[digest_of(1)].revoked_at is not None
    assert table.tokens[digest_of(2)].used_at is not None


def test_a_token_that_never_arrived_is_the_one_that_goes() -> None:
    """Proves: made three times in a row, the token in use is still good, and only the newest of
    those that nobody has used."""
    access = Access()
    access.issue_cp_token("CP-001", digest_of(1), at(), at_once=False)
    access.why_no_monitor("CP-001", digest_of(1), at())
    access.issue_cp_token("CP-001", digest_of(2), at(), at_once=False)
    access.issue_cp_token("CP-001", digest_of(3), at(), at_once=False)
    good = [n for n in (1, 2, 3) if access.is_token_good(digest_of(n), at())]
    assert good == [1, 3]


def test_at_once_ends_the_one_before() -> None:
    """Proves: after a theft the old token is good for nothing from that moment on."""
    access = Access()
    access.issue_driver_token("driver-alice", digest_of(1), at(), at_once=False)
    access.issue_driver_token("driver-alice", digest_of(2), at(), at_once=True)
    assert access.caller_of_digest(digest_of(1), HOME, at()) is None
    who = access.caller_of_digest(digest_of(2), HOME, at())
    assert who == Caller("driver-alice", Role.DRIVER, "driver-alice", HOME)


def test_a_token_may_be_put_in_again() -> None:
    """Proves: an inventory that keeps its tokens may hand them in at each run, and nothing is new;
    one that was revoked stays so, and one of another charging point too."""
    access = Access()
    access.issue_cp_token("CP-001", digest_of(1), at(), at_once=False)
    assert access.issue_cp_token("CP-001", digest_of(1), at(1), at_once=False) == []
    with pytest.raises(NotDone, match="another one's"):
        access.issue_cp_token("CP-002", digest_of(1), at(), at_once=False)
    access.revoke_cp_token("CP-001", at())
    with pytest.raises(NotDone, match="was revoked"):
        access.issue_cp_token("CP-001", digest_of(1), at(), at_once=False)


def test_a_monitor_needs_its_own_token() -> None:
    """Proves: no other charging point's token, nor a person's, opens one; and none opens HTTP."""
    access = Access()
    access.issue_cp_token("CP-001", digest_of(1), at(), at_once=False)
    access.issue_cp_token("CP-002", digest_of(2), at(), at_once=False)
    access.add_token("root", Role.ADMIN, digest_of(3), None, 0, at())
    assert access.why_no_monitor("CP-001", None, at()) == NO_TOKEN
    assert access.why_no_monitor("CP-001", digest_of(2), at()) == WRONG_TOKEN
    assert access.why_no_monitor("CP-001", digest_of(3), at()) == WRONG_TOKEN
    assert access.why_no_monitor("CP-404", digest_of(1), at()) == NEVER_MADE
    assert access.caller_of_digest(digest_of(1), HOME, at()) is None
    assert access.log_in("", digest_of(1), "", digest_of(9), HOME, at()) == (None, [])


def test_removing_a_driver_ends_every_token_of_its(access: Access) -> None:
    """Proves: nobody is that driver any more, by whatever token."""
    access.issue_driver_token("driver-alice", digest_of(1), at(), at_once=False)
    access.add_token("app", Role.DRIVER, digest_of(2), "driver-alice", 0, at())
    access.add_token("bob", Role.DRIVER, digest_of(3), "driver-bob", 0, at())
    access.remove_driver("driver-alice", at())
    good = [n for n in (1, 2, 3) if access.caller_of_digest(digest_of(n), HOME, at())]
    assert good == [3]


def test_an_address_is_known_for_thirty_days(access: Access) -> None:
    """Proves: the address of one user is no other's, and is forgotten after a month."""
    log_in(access, "vera", 1, at())
    assert access.is_known_address("vera", HOME, at(24 * 29))
    assert not access.is_known_address("root", HOME, at())
    assert not access.is_known_address("vera", "192.0.2.8", at())
    assert not access.is_known_address("vera", HOME, at(24 * 30))
    assert [type(row) for row in access.sweep(at(24 * 30))] == [LoginEnd, AddressEnd]


def test_a_right_password_costs_no_try(access: Access) -> None:
    """Proves: who logs in often is not taken for one who guesses."""
    for number in range(40):
        assert access.begin_login("vera", HOME, at()) is None
        log_in(access, "vera", number, at())
    for _ in range(5):
        assert access.begin_login("vera", HOME, at()) is None
    assert access.begin_login("vera", HOME, at()) == pytest.approx(60.0)


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["issue", "at once", "use", "revoke", "restart"]),
        st.integers(0, 7),
    ),
    max_size=40,
)


@given(STEPS)
def test_however_it_is_done_two_tokens_are_good_at_the_most(
    steps: list[tuple[str, int]],
) -> None:
    """Proves: through any order of new tokens, uses, revocations and restarts, a charging point has
    at most two good tokens, the newest is among them, what was revoked stays so, and what is stored
    is what is known."""
    access, table, revoked, newest = Access(), Table(), set[int](), None
    for hour, (what, number) in enumerate(steps):
        now, digest = at(hour), digest_of(number)
        if what in ("issue", "at once"):
            try:
                rows = access.issue_cp_token("CP-001", digest, now, at_once=what == "at once")
            except NotDone:
                assert number in revoked
                continue
            table.store(rows)
            newest = number if rows and rows[-1] == table.tokens[digest] else newest
        elif what == "use":
            is_good = access.is_token_good(digest, now)
            assert (access.why_no_monitor("CP-001", digest, now) == "") is is_good
            table.store(access.take_used())
        elif what == "revoke":
            table.store(access.revoke_cp_token("CP-001", now))
            newest = None
        else:
            access = table.reopened()
        good = {n for n in range(8) if access.is_token_good(digest_of(n), now)}
        assert len(good) <= 2
        assert not good & revoked
        known = {each.digest for each in access.tokens() if each.revoked_at is not None}
        revoked = {n for n in range(8) if digest_of(n) in known}
        stored = {key for key, each in table.tokens.items() if each.revoked_at is None}
        assert stored == {digest_of(n) for n in good}
