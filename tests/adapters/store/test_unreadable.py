"""One row that can't be read costs that row: all others are served, and it is named."""

import contextlib
import logging
import sqlite3
from datetime import UTC, datetime
from pathlib import Path

import attrs
import pytest

from evd.adapters.store import StoreRefused, open_store
from evd.core.central.core import Central
from evd.core.central.events import CentralSettings, Polled, Save, Ticked
from evd.core.central.rows import Session, SessionStatus
from evd.core.wire.fields import TEXT_CHARS_MAX
from evd.core.wire.messages import RequestStatus
from evd.daemons.clock import now
from tests.adapters.store.rows import (
    NOON,
    a_charging_point,
    a_fault,
    a_request,
    a_session,
    a_snapshot,
    an_ended_session,
)

BROKEN = [
    ("charging_points", "breaker", "'PURPLE'", "charging point CP-001"),
    ("charging_points", "cp_id", "x'ff'", "charging point b'\\xff'"),
    ("charging_points", "kw_rate", "1e999", "charging point CP-001"),
    ("charging_points", "kw_rate", "'many'", "charging point CP-001"),
    ("charging_points", "last_update", "'yesterday'", "charging point CP-001"),
    ("charging_points", "stopped", "'perhaps'", "charging point CP-001"),
    ("requests", "status", "'LOST'", "request req-1"),
    ("requests", "created_at", "'yesterday'", "request req-1"),
    ("requests", "driver_id", "''", "request req-1"),
    ("requests", "kwh", "'much'", "request req-1"),
    ("charging_sessions", "status", "'LOST'", "session session-1"),
    ("charging_sessions", "start_time", "'2026-01-31T12:00:00'", "session session-1"),
    ("charging_sessions", "want", "x'ff'", "session session-1"),
    ("charging_sessions", "energy_mwh", "'much'", "session session-1"),
    ("charging_sessions", "cp_id", "'no id'", "session session-1"),
    ("charging_sessions", "settled", "7", "session session-1"),
    ("charging_sessions", "boot_id", "''", "session session-1"),
    ("charging_sessions", "until_up_s", "CAST(x'ff' AS TEXT)", "session session-1"),
    ("fault_events", "timestamp", "'yesterday'", "a fault event of CP-001"),
    ("fault_events", "event_type", "'ODD'", "a fault event of CP-001"),
    ("cp_health_history", "timestamp", "'yesterday'", "a health snapshot of CP-001"),
    ("cp_health_history", "state", "'ODD'", "a health snapshot of CP-001"),
]
CP_1 = "rowid = (SELECT min(rowid) FROM {})"


def url_of(folder: Path) -> str:
    """The --db-url of the database in a folder."""
    return f"sqlite:///{folder / 'central.db'}"


async def broken(folder: Path, table: str, column: str, value: str) -> None:
    """Fill a database with two rows of each kind, and spoil a value of the first."""
    async with open_store(url_of(folder), folder) as store:
        for n, cp_id in ((1, "CP-001"), (2, "CP-002")):
            session = a_session(n, cp_id, f"driver-{n}")
            request = attrs.evolve(a_request(n), driver_id=f"driver-{n}", cp_id=cp_id)
            point, fault = a_charging_point(cp_id), a_fault(n, cp_id=cp_id)
            await store.commit([point, request, session, fault, a_snapshot(n, cp_id)])
    with contextlib.closing(sqlite3.connect(folder / "central.db", isolation_level=None)) as other:
        total = ", total_kwh = 'much' / 1000000.0" if column == "energy_mwh" else ""
        other.execute(f"UPDATE {table} SET {column} = {value}{total} WHERE {CP_1.format(table)}")


@pytest.mark.parametrize(("table", "column", "value", "name"), BROKEN)
async def test_all_others_are_served(
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    table: str,
    column: str,
    value: str,
    name: str,
) -> None:
    """Proves: whatever stands in one row, a start, each list and each look-up give all others, a
    core can begin with them, and the log names that row once."""
    await broken(tmp_path, table, column, value)
    with caplog.at_level(logging.ERROR):
        async with open_store(url_of(tmp_path), tmp_path) as store:
            image = await store.load()
            assert "CP-002" in {row.cp_id for row in image.charging_points}
            assert "req-2" in {row.request_id for row in image.requests}
            assert "session-2" in {row.session_id for row in image.sessions}
            requests, sessions = await store.lookup(["req-1", "req-2"], ["session-1", "session-2"])
            assert a_session(2, "CP-002", "driver-2") in sessions and len(requests) >= 1
            assert "session-2" in {row.session_id for row in await store.sessions()}
            assert a_fault(2, cp_id="CP-002") in (await store.faults()).values()
            assert a_snapshot(2, "CP-002") in (await store.health_history()).values()
            statistics = await store.fault_statistics(None, 30, NOON)
            assert "CP-002" in {row.cp_id for row in statistics}
            # A row that is written anew is sound again.
            assert store.unreadable == [name]
            core = Central(CentralSettings(), image, now())
            for effects in (core.start(now()), core.handle(Ticked(True), now())):
                await store.commit([each.row for each in effects if isinstance(each, Save)])
            core.remember(requests, sessions)
            core.handle(Polled(), now())
            shown = {view.cp_id for view in core.views(now())}
            # Nothing can stand for a charging point whose id is lost.
            assert shown == ({"CP-002"} if "xff" in name else {"CP-001", "CP-002"})
    assert caplog.text.count(f"The row of {name} can't be read ({column} is ") == 1


async def test_what_is_left_of_a_row_is_kept(tmp_path: Path) -> None:
    """Proves: a charging point stays stopped and a running session stays watched although another
    value of their rows is lost; written anew, the row is sound and no longer named."""
    await broken(tmp_path, "charging_sessions", "start_time", "'yesterday'")
    async with open_store(url_of(tmp_path), tmp_path) as store:
        row = {row.session_id: row for row in (await store.load()).sessions}["session-1"]
        lost = datetime(1970, 1, 1, tzinfo=UTC)
        assert row == attrs.evolve(a_session(1, "CP-001", "driver-1"), start_time=lost)
        assert store.unreadable == ["session session-1"]
        await store.commit([an_ended_session(1)])
        assert store.unreadable == []
    async with open_store(url_of(tmp_path), tmp_path) as store:
        _, [ended] = await store.lookup([], ["session-1"])
        assert ended == attrs.evolve(an_ended_session(1), driver_id="driver-1")
        assert store.unreadable == []


async def test_what_is_settled_runs_no_more(tmp_path: Path) -> None:
    """Proves: a session with a bill and a request with an unknown status count as ended: neither is
    begun or billed again."""
    async with open_store(url_of(tmp_path), tmp_path) as store:
        await store.commit([an_ended_session(1), a_request(1, RequestStatus.COMPLETED)])
    with contextlib.closing(sqlite3.connect(tmp_path / "central.db", isolation_level=None)) as db:
        db.execute("UPDATE charging_sessions SET status = 'LOST'")
        db.execute("UPDATE requests SET status = 'LOST'")
    async with open_store(url_of(tmp_path), tmp_path) as store:
        image = await store.load()
        found: list[Session] = list(image.sessions)
        assert found == [attrs.evolve(an_ended_session(1), status=SessionStatus.FAILED)]
        [request] = image.requests
        assert request.status is RequestStatus.FAILED and "can't be read" in request.reason
        Central(CentralSettings(), image, now()).start(now())


async def test_a_reason_that_no_message_holds_is_cut(tmp_path: Path) -> None:
    """Proves: a stored sentence that is longer than a message takes does not keep Central from
    stopping the session."""
    await broken(tmp_path, "charging_sessions", "reason", f"'{'why ' * 300}', want = 'STOP'")
    async with open_store(url_of(tmp_path), tmp_path) as store:
        image = await store.load()
        assert {len(row.reason) for row in image.sessions} == {0, TEXT_CHARS_MAX}
        core = Central(CentralSettings(), image, now())
        core.start(now())
        core.handle(Ticked(True), now())


@pytest.mark.parametrize(
    "change", ["recovering = '{'", "commits = 'x'", "central_id = ''", "epoch = 1 << 60"]
)
async def test_a_database_that_does_not_know_itself(tmp_path: Path, change: str) -> None:
    """Proves: the one row that all hangs on is one sentence to the operator, and no crash loop."""
    async with open_store(url_of(tmp_path), tmp_path):
        pass
    with contextlib.closing(sqlite3.connect(tmp_path / "central.db", isolation_level=None)) as db:
        db.execute(f"UPDATE meta SET {change}")
    with pytest.raises(StoreRefused, match=r"^--db-url: .* is damaged .*evd central restore"):
        async with open_store(url_of(tmp_path), tmp_path):
            pass
