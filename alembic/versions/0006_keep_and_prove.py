"""Kept copies, levels of proof, and batches found by their idempotency key."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
import sqlmodel.sql.sqltypes
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def _new_columns() -> list[sa.Column[Any]]:
    return [
        sa.Column("concrete_name", sqlmodel.sql.sqltypes.AutoString(length=255), nullable=True),
        sa.Column(
            "proof_level",
            sqlmodel.sql.sqltypes.AutoString(length=16),
            nullable=False,
            server_default="sample",
        ),
        sa.Column("proving", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("kept", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("kept_until", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=True),
        sa.Column("forced", sa.Boolean(), nullable=False, server_default=sa.false()),
    ]


def upgrade() -> None:
    for column in _new_columns():
        op.add_column("operation", column)
    op.create_index(
        "ix_operation_kept",
        "operation",
        ["cluster_id", "kept_until"],
        sqlite_where=sa.text("kept_until IS NOT NULL"),
        postgresql_where=sa.text("kept_until IS NOT NULL"),
    )
    op.create_index(
        "uq_batch_idempotency_key", "batch", ["cluster_id", "idempotency_key"], unique=True
    )


def downgrade() -> None:
    op.drop_index("uq_batch_idempotency_key", table_name="batch")
    op.drop_index("ix_operation_kept", table_name="operation")
    for column in reversed(_new_columns()):
        op.drop_column("operation", column.name)
