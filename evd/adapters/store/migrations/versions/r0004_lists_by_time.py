"""Lists have the order of their times, and what is pruned is found by it."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

# Written out here: a step must go on making the same indexes when tables.py has moved on.
_SESSIONS = "charging_sessions"
_BY_TIME = {
    "charging_sessions_by_time": (_SESSIONS, ["start_time", "session_id"]),
    "charging_sessions_by_cp": (_SESSIONS, ["cp_id", "start_time", "session_id"]),
    "charging_sessions_by_driver": (_SESSIONS, ["driver_id", "start_time", "session_id"]),
    "charging_sessions_by_status": (_SESSIONS, ["status", "start_time", "session_id"]),
    "fault_events_by_cp": ("fault_events", ["cp_id", "timestamp", "id"]),
    "fault_events_by_time": ("fault_events", ["timestamp", "id"]),
    "cp_health_history_by_cp": ("cp_health_history", ["cp_id", "timestamp", "id"]),
    "cp_health_history_by_time": ("cp_health_history", ["timestamp", "id"]),
}
_PARTIAL = {
    "requests_open": (
        "requests",
        ["request_id"],
        "status NOT IN ('COMPLETED', 'DENIED', 'FAILED')",
    ),
    "requests_alone": (
        "requests",
        ["updated_at", "request_id"],
        "session_id IS NULL AND status IN ('DENIED', 'FAILED')",
    ),
    "charging_sessions_open": (
        _SESSIONS,
        ["start_time", "session_id"],
        "status NOT IN ('COMPLETED', 'FAILED')",
    ),
}


def upgrade() -> None:
    """Make each index, in the place of the one that had its name."""
    for name in (*_BY_TIME, *_PARTIAL):
        op.execute(f"DROP INDEX IF EXISTS {name}")
    for name, (table, columns) in _BY_TIME.items():
        op.create_index(name, table, columns)
    for name, (table, columns, which) in _PARTIAL.items():
        op.create_index(
            name, table, columns, sqlite_where=sa.text(which), postgresql_where=sa.text(which)
        )
