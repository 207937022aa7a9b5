"""The lease of the Central that serves, and those that stand by."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import TIMESTAMP

revision = "0007"
down_revision = "0006"

_TIME = sa.Text().with_variant(TIMESTAMP(timezone=True), "postgresql")


def upgrade() -> None:
    """Add the tables: the release before knows neither, and serves by the lock alone."""
    lease = op.create_table(
        "lease",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("beats", sa.BigInteger, nullable=False),
        sa.Column("released", sa.Boolean, nullable=False),
        sa.Column("holder", sa.Text, nullable=False),
        sa.CheckConstraint("id = 1", name="lease_is_one_row"),
    )
    op.bulk_insert(lease, [{"id": 1, "beats": 0, "released": True, "holder": ""}])
    op.create_table(
        "standbys",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("address", sa.Text, nullable=False),
        sa.Column("kafka_up", sa.Boolean, nullable=False),
        sa.Column("monitors", sa.BigInteger, nullable=False),
        sa.Column("seen_at", _TIME, nullable=False),
        sa.Column("released_at", _TIME),
    )
