"""Users, tokens, logins and the audit in Central's database, of either kind."""

import contextlib
import sqlite3
from datetime import timedelta
from pathlib import Path

import attrs
import pytest

from evd.adapters.store import Store, open_store, restore
from evd.adapters.store.backup import becomes_valid
from evd.adapters.store.failures import UnknownRow
from evd.adapters.store.page import Page
from evd.adapters.store.writer import Retention
from evd.core.access.roles import Role
from evd.core.access.rows import (
    AccessImage,
    AccessToken,
    AddressEnd,
    AuditEntry,
    KnownAddress,
    Login,
    LoginEnd,
    Outcome,
    TokenEnd,
    User,
)
from evd.core.central.rows import EventType, OperatorEvent, OperatorEventType
from tests.adapters.store.databases import url_of
from tests.adapters.store.rows import NOON, a_charging_point, a_fault, a_snapshot

HASH = "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHQ$aGFzaGhhc2hoYXNo"
USER = User("vera", Role.VIEWER, HASH, NOON)
TOKEN = AccessToken("0" * 64, "CP-001", Role.MONITOR, NOON, cp_id="CP-001")
DRIVER = AccessToken(
    "1" * 64, "app", Role.DRIVER, NOON, "driver-alice", expires_at=NOON + timedelta(days=90)
)
LOGIN = Login("2" * 64, NOON, NOON + timedelta(hours=12), NOON, "192.0.2.7", "vera")
ADDRESS = KnownAddress("vera 192.0.2.7", "vera", "192.0.2.7", NOON)


def an_entry(number: int, cp_id: str | None = "CP-001") -> AuditEntry:
    """A line of the audit, `number` seconds after noon."""
    when = NOON + timedelta(seconds=number)
    return AuditEntry(when, "alice", "admin", "", "cp stop", f"o-{number}", Outcome.DONE, cp_id)


def in_order(image: AccessImage) -> AccessImage:
    """The same, whatever order the database has."""
    return AccessImage(
        sorted(image.users, key=lambda row: row.name),
        sorted(image.tokens, key=lambda row: row.digest),
        sorted(image.logins, key=lambda row: row.digest),
        sorted(image.addresses, key=lambda row: row.place),
    )


async def test_a_start_finds_who_may_do_what(store: Store) -> None:
    """Proves: users, tokens, logins and known addresses are after a restart what they were."""
    await store.commit([USER, TOKEN, DRIVER, LOGIN, ADDRESS])
    gone = attrs.evolve(USER, name="gone", removed_at=NOON, password_hash="")
    await store.commit([gone, attrs.evolve(TOKEN, used_at=NOON)])
    found = in_order((await store.load()).access)
    assert found == AccessImage(
        [gone, USER], [attrs.evolve(TOKEN, used_at=NOON), DRIVER], [LOGIN], [ADDRESS]
    )


async def test_what_ended_is_gone(store: Store) -> None:
    """Proves: a login that ended, and an address that is forgotten, is read by no start, also where
    one commit has both its begin and its end; and one that begins again is there."""
    await store.commit([LOGIN, ADDRESS])
    await store.commit([LoginEnd(LOGIN.digest), AddressEnd(ADDRESS.place)])
    assert (await store.load()).access == AccessImage([], [], [], [])
    await store.commit([LOGIN, LoginEnd(LOGIN.digest), ADDRESS, AddressEnd(ADDRESS.place), ADDRESS])
    assert (await store.load()).access == AccessImage([], [], [], [ADDRESS])


async def test_a_revoked_token_stays_revoked(store: Store) -> None:
    """Proves: no row that is written later makes a token good again."""
    await store.commit([attrs.evolve(TOKEN, revoked_at=NOON)])
    await store.commit([attrs.evolve(TOKEN, used_at=NOON)])
    (found,) = (await store.load()).access.tokens
    assert found.revoked_at == NOON


async def test_a_token_of_long_ago_is_gone(store: Store) -> None:
    """Proves: a row that may go goes, also in one commit with its last change."""
    await store.commit([TOKEN, DRIVER])
    revoked = attrs.evolve(TOKEN, revoked_at=NOON)
    await store.commit([revoked, TokenEnd(TOKEN.digest)])
    assert (await store.load()).access.tokens == [DRIVER]


async def test_the_audit_is_a_list_like_others(store: Store) -> None:
    """Proves: it is read in pages, newest first, of all or of one charging point, over a span."""
    await store.commit([an_entry(n, "CP-002" if n % 2 else "CP-001") for n in range(6)])
    rows = await store.audit()
    assert [row.object for row in rows.values()] == [f"o-{n}" for n in (5, 4, 3, 2, 1, 0)]
    assert next(iter(rows.values())) == an_entry(5, "CP-002")
    ids = list(rows)
    page = await store.audit("CP-002", Page(limit=2, before=ids[0]))
    assert [row.object for row in page.values()] == ["o-3", "o-1"]
    since, until = NOON + timedelta(seconds=1), NOON + timedelta(seconds=4)
    span = await store.audit(page=Page(since=since, until=until))
    assert [row.object for row in span.values()] == ["o-3", "o-2", "o-1"]
    with pytest.raises(UnknownRow):
        await store.audit(page=Page(before=max(ids) + 1))


async def test_the_audit_is_kept_for_two_years(store: Store) -> None:
    """Proves: it outlives every other history, and has a bound all the same."""
    later = NOON + timedelta(days=729)
    await store.commit([an_entry(n, None) for n in range(5)])
    assert await store.prune(later) == 0
    assert await store.prune(later, Retention(audit_rows_max=3)) == 2
    assert [row.object for row in (await store.audit()).values()] == ["o-4", "o-3", "o-2"]
    assert await store.prune(NOON + timedelta(days=731)) == 3


async def test_the_timeline_says_who(store: Store) -> None:
    """Proves: a stop is read back with the one who did it, and one of before with nobody."""
    stop = OperatorEvent("CP-001", OperatorEventType.STOPPED, NOON, "alice")
    await store.commit([stop, attrs.evolve(stop, who=None, timestamp=NOON - timedelta(hours=1))])
    entries = [each.entry for each in await store.timeline("CP-001")]
    assert [entry.who for entry in entries] == ["alice", None]


async def test_a_stranger_spoils_no_statistics(store: Store) -> None:
    """Proves: REFUSED rows are in the list of faults, and in no figure and no span of states."""
    refused = a_fault(30, EventType.REFUSED)
    await store.commit(
        [a_charging_point(), a_snapshot(0), a_fault(10), a_fault(20, EventType.RECOVERY)]
    )
    until = NOON + timedelta(seconds=60)
    before = await store.fault_statistics(None, 1, until)
    spans = await store.states(["CP-001"], NOON, until)
    await store.commit([refused, attrs.evolve(refused, cp_id="FAKE-1")])
    assert await store.fault_statistics(None, 1, until) == before
    assert await store.states(["CP-001"], NOON, until) == spans
    assert await store.fault_statistics("FAKE-1", 1, until) == []
    assert next(iter((await store.faults("CP-001")).values())) == refused


async def test_a_restore_takes_nothing_back(tmp_path: Path) -> None:
    """Proves: who was removed and what was revoked since a backup stays so, what was made since is
    still good, no login of the backup goes on, and the restore is in the audit."""
    url, copy = url_of(tmp_path / "central.db"), tmp_path / "copy.db"
    later = NOON + timedelta(hours=1)
    async with open_store(url, tmp_path) as store:
        await store.commit([USER, TOKEN, DRIVER, LOGIN])
        await store.backup(copy)
        gone = attrs.evolve(USER, password_hash="", removed_at=later)
        revoked, new = attrs.evolve(DRIVER, revoked_at=later), attrs.evolve(TOKEN, digest="9" * 64)
        await store.commit([gone, revoked, new])
    assert becomes_valid(url, copy) == ([], [])
    restore(url, tmp_path, copy, by="local:olga")
    async with open_store(url, tmp_path) as store:
        found = in_order((await store.load()).access)
        (entry,) = (await store.audit()).values()
    assert found == AccessImage([gone], [TOKEN, revoked, new], [], [])
    assert (entry.who, entry.action, entry.object) == ("local:olga", "central restore", "copy.db")


async def test_what_a_restore_makes_valid_is_named(tmp_path: Path) -> None:
    """Proves: before a restore on a new host, or over a damaged database, each user and token that
    becomes valid is named; nothing is where the backup is of the release before."""
    url, copy = url_of(tmp_path / "central.db"), tmp_path / "copy.db"
    async with open_store(url, tmp_path) as store:
        await store.commit([USER, TOKEN, DRIVER])
        await store.backup(copy)
        assert becomes_valid(url, copy) == ([], [])
    elsewhere = url_of(tmp_path / "elsewhere.db")
    assert becomes_valid(elsewhere, copy) == (["vera"], ["CP-001", "app"])
    (tmp_path / "elsewhere.db").write_bytes(b"SQLite format 3\0 and nothing more")
    assert becomes_valid(elsewhere, copy) == (["vera"], ["CP-001", "app"])
    with contextlib.closing(sqlite3.connect(copy)) as connection:
        connection.execute("DROP TABLE users")
    assert becomes_valid(elsewhere, copy) == ([], [])
