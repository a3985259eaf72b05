"""Indexes for lists: all in order, the live ones, the ended ones by status, those of a batch."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.drop_index("ix_operation_batch_id", table_name="operation")
    op.create_index("ix_operation_batch", "operation", ["cluster_id", "batch_id", "status"])
    op.create_index("ix_operation_place", "operation", ["cluster_id", "queued_at"])
    op.create_index(
        "ix_operation_live",
        "operation",
        ["cluster_id", "queued_at"],
        sqlite_where=sa.text("status IN (0, 3)"),
        postgresql_where=sa.text("status IN (0, 3)"),
    )
    op.create_index(
        "ix_operation_ended",
        "operation",
        ["cluster_id", "status", "queued_at"],
        sqlite_where=sa.text("status IN (1, 2, 4)"),
        postgresql_where=sa.text("status IN (1, 2, 4)"),
    )


def downgrade() -> None:
    op.drop_index("ix_operation_ended", table_name="operation")
    op.drop_index("ix_operation_live", table_name="operation")
    op.drop_index("ix_operation_place", table_name="operation")
    op.drop_index("ix_operation_batch", table_name="operation")
    op.create_index("ix_operation_batch_id", "operation", ["batch_id"])
