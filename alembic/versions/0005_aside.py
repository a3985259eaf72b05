"""Operations that were begun and are not in hand."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0003"
branch_labels = None
depends_on = None

IN_HAND = sa.text("status = 0 AND started_at IS NOT NULL")
COLUMNS = ("aside", "unblocked")


def upgrade() -> None:
    for name in COLUMNS:  # a text "false" would be true on SQLite
        column = sa.Column(name, sa.Boolean(), nullable=False, server_default=sa.false())
        op.add_column("operation", column)
    op.create_index(
        "ix_operation_in_hand",
        "operation",
        ["cluster_id", "single", "queued_at"],
        sqlite_where=IN_HAND,
        postgresql_where=IN_HAND,
    )


def downgrade() -> None:
    op.drop_index("ix_operation_in_hand", table_name="operation")
    for name in COLUMNS:
        op.drop_column("operation", name)
