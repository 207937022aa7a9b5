"""Users, tokens, logins and the audit; the operator's events say who."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import TIMESTAMP

revision = "0006"
down_revision = "0005"

# Written out here: a step must go on making the same tables when tables.py has moved on.
_NUMBER = sa.BigInteger().with_variant(sa.Integer, "sqlite")
_TIME = sa.Text().with_variant(TIMESTAMP(timezone=True), "postgresql")


def upgrade() -> None:
    """Add the tables, and one column that may be null: the release before can use the rest."""
    op.add_column("operator_events", sa.Column("who", sa.Text))
    op.create_table(
        "users",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("role", sa.Text, nullable=False),
        sa.Column("password_hash", sa.Text, nullable=False),
        sa.Column("changed_at", _TIME, nullable=False),
        sa.Column("removed_at", _TIME),
    )
    op.create_table(
        "access_tokens",
        sa.Column("digest", sa.Text, primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("role", sa.Text, nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("driver_id", sa.Text),
        sa.Column("cp_id", sa.Text),
        *(sa.Column(name, _TIME) for name in ("expires_at", "revoked_at", "used_at")),
    )
    op.create_table(
        "logins",
        sa.Column("digest", sa.Text, primary_key=True),
        *(
            sa.Column(name, _TIME, nullable=False)
            for name in ("created_at", "expires_at", "used_at")
        ),
        sa.Column("address", sa.Text, nullable=False),
        sa.Column("user_name", sa.Text),
        sa.Column("token_digest", sa.Text),
    )
    op.create_table(
        "known_addresses",
        sa.Column("place", sa.Text, primary_key=True),
        sa.Column("user_name", sa.Text, nullable=False),
        sa.Column("address", sa.Text, nullable=False),
        sa.Column("seen_at", _TIME, nullable=False),
    )
    op.create_table(
        "audit",
        sa.Column("id", _NUMBER, primary_key=True, autoincrement=True),
        sa.Column("ts", _TIME, nullable=False),
        *(
            sa.Column(name, sa.Text, nullable=False)
            for name in ("who", "role", "address", "action", "object", "outcome")
        ),
        sa.Column("cp_id", sa.Text),
    )
    op.create_index("audit_by_cp", "audit", ["cp_id", "ts", "id"])
    op.create_index("audit_by_time", "audit", ["ts", "id"])
