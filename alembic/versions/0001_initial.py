"""The first schema."""

from __future__ import annotations

import sqlalchemy as sa
import sqlmodel.sql.sqltypes
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "batch",
        sa.Column("id", sqlmodel.sql.sqltypes.AutoString(length=32), nullable=False),
        sa.Column("cluster_id", sqlmodel.sql.sqltypes.AutoString(length=64), nullable=False),
        sa.Column("caller", sqlmodel.sql.sqltypes.AutoString(length=255), nullable=False),
        sa.Column("created_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
        sa.Column("idempotency_key", sqlmodel.sql.sqltypes.AutoString(length=255), nullable=True),
        sa.Column("request_hash", sqlmodel.sql.sqltypes.AutoString(length=64), nullable=True),
        sa.Column("refused", sa.JSON(none_as_null=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_batch")),
    )
    with op.batch_alter_table("batch", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_batch_cluster_id"), ["cluster_id"], unique=False)

    op.create_table(
        "cluster_state",
        sa.Column("cluster_id", sqlmodel.sql.sqltypes.AutoString(length=64), nullable=False),
        sa.Column("token", sqlmodel.sql.sqltypes.AutoString(length=64), nullable=True),
        sa.Column("owner", sqlmodel.sql.sqltypes.AutoString(length=255), nullable=True),
        sa.Column("expires_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=True),
        sa.Column("last_event", sa.BigInteger(), nullable=False),
        sa.Column("last_queued_at", sa.BigInteger(), nullable=False),
        sa.Column("stop_all", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("cluster_id", name=op.f("pk_cluster_state")),
    )
    op.create_table(
        "errand",
        sa.Column("id", sqlmodel.sql.sqltypes.AutoString(length=32), nullable=False),
        sa.Column("cluster_id", sqlmodel.sql.sqltypes.AutoString(length=64), nullable=False),
        sa.Column("kind", sqlmodel.sql.sqltypes.AutoString(length=32), nullable=False),
        sa.Column("index_name", sqlmodel.sql.sqltypes.AutoString(length=255), nullable=False),
        sa.Column("caller", sqlmodel.sql.sqltypes.AutoString(length=255), nullable=False),
        sa.Column("created_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
        sa.Column("ended_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=True),
        sa.Column("error_code", sqlmodel.sql.sqltypes.AutoString(length=128), nullable=True),
        sa.Column("error_status", sa.Integer(), nullable=True),
        sa.Column("error_message", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_errand")),
    )
    with op.batch_alter_table("errand", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_errand_cluster_id"), ["cluster_id"], unique=False)

    op.create_table(
        "operation",
        sa.Column("id", sqlmodel.sql.sqltypes.AutoString(length=32), nullable=False),
        sa.Column("cluster_id", sqlmodel.sql.sqltypes.AutoString(length=64), nullable=False),
        sa.Column("batch_id", sqlmodel.sql.sqltypes.AutoString(length=32), nullable=True),
        sa.Column("caller", sqlmodel.sql.sqltypes.AutoString(length=255), nullable=False),
        sa.Column("index_name", sqlmodel.sql.sqltypes.AutoString(length=255), nullable=False),
        sa.Column("new_index_name", sqlmodel.sql.sqltypes.AutoString(length=255), nullable=False),
        sa.Column("keeps_source", sa.Boolean(), nullable=False),
        sa.Column("delete_old_index", sa.Boolean(), nullable=True),
        sa.Column("mode", sqlmodel.sql.sqltypes.AutoString(length=32), nullable=True),
        sa.Column("status", sa.Integer(), nullable=False),
        sa.Column("last_completed_step", sa.Integer(), nullable=False),
        sa.Column("single", sa.Boolean(), nullable=False),
        sa.Column("queued_at", sa.BigInteger(), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=True),
        sa.Column("goal", sqlmodel.sql.sqltypes.AutoString(length=16), nullable=False),
        sa.Column("requested", sqlmodel.sql.sqltypes.AutoString(length=16), nullable=False),
        sa.Column("undone", sa.Integer(), nullable=False),
        sa.Column("keep_target", sa.Boolean(), nullable=False),
        sa.Column("reindex_task_id", sqlmodel.sql.sqltypes.AutoString(length=255), nullable=True),
        sa.Column("reindex_task_perc_complete", sa.Float(), nullable=True),
        sa.Column("error_code", sqlmodel.sql.sqltypes.AutoString(length=128), nullable=True),
        sa.Column("error_message", sa.Text(), nullable=True),
        sa.Column("source", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("source_seq_nos", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("target_uuid", sqlmodel.sql.sqltypes.AutoString(length=64), nullable=True),
        sa.Column("leftover_uuid", sqlmodel.sql.sqltypes.AutoString(length=64), nullable=True),
        sa.Column("proof", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("hold_reason", sa.Text(), nullable=True),
        sa.Column("hold_since", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("crashes", sa.Integer(), nullable=False),
        sa.Column("next_attempt_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=True),
        sa.Column("created_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
        sa.Column("updated_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
        sa.Column("ended_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint(
            "last_completed_step IN (0, 20, 30, 40, 50, 55, 60)",
            name=op.f("ck_operation_last_completed_step"),
        ),
        sa.CheckConstraint("status IN (0, 1, 2, 3, 4)", name=op.f("ck_operation_status")),
        sa.ForeignKeyConstraint(
            ["batch_id"], ["batch.id"], name=op.f("fk_operation_batch_id_batch")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_operation")),
    )
    with op.batch_alter_table("operation", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_operation_batch_id"), ["batch_id"], unique=False)
        batch_op.create_index(
            "ix_operation_history", ["cluster_id", "index_name", "queued_at"], unique=False
        )
        batch_op.create_index(
            "ix_operation_queue",
            ["cluster_id", "single", "queued_at"],
            unique=False,
            sqlite_where=sa.text("status = 0"),
            postgresql_where=sa.text("status = 0"),
        )
        batch_op.create_index(
            "uq_operation_live_index",
            ["cluster_id", "index_name"],
            unique=True,
            sqlite_where=sa.text("status IN (0, 3)"),
            postgresql_where=sa.text("status IN (0, 3)"),
        )
        batch_op.create_index(
            "uq_operation_live_target",
            ["cluster_id", "new_index_name"],
            unique=True,
            sqlite_where=sa.text("status IN (0, 3)"),
            postgresql_where=sa.text("status IN (0, 3)"),
        )

    op.create_table(
        "copy_window",
        sa.Column("operation_id", sqlmodel.sql.sqltypes.AutoString(length=32), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("cluster_id", sqlmodel.sql.sqltypes.AutoString(length=64), nullable=False),
        sa.Column("shard", sa.Integer(), nullable=False),
        sa.Column("from_seq_no", sa.BigInteger(), nullable=True),
        sa.Column("to_seq_no", sa.BigInteger(), nullable=True),
        sa.Column("documents", sa.BigInteger(), nullable=False),
        sa.Column("state", sqlmodel.sql.sqltypes.AutoString(length=16), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("task_id", sqlmodel.sql.sqltypes.AutoString(length=255), nullable=True),
        sa.Column("seen", sa.BigInteger(), nullable=False),
        sa.Column("started_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=True),
        sa.Column("ended_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=True),
        sa.CheckConstraint(
            "state IN ('planned', 'running', 'done')", name=op.f("ck_copy_window_state")
        ),
        sa.ForeignKeyConstraint(
            ["operation_id"], ["operation.id"], name=op.f("fk_copy_window_operation_id_operation")
        ),
        sa.PrimaryKeyConstraint("operation_id", "number", name=op.f("pk_copy_window")),
    )
    op.create_table(
        "event",
        sa.Column("cluster_id", sqlmodel.sql.sqltypes.AutoString(length=64), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("operation_id", sqlmodel.sql.sqltypes.AutoString(length=32), nullable=True),
        sa.Column("batch_id", sqlmodel.sql.sqltypes.AutoString(length=32), nullable=True),
        sa.Column("at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
        sa.Column("who", sqlmodel.sql.sqltypes.AutoString(length=255), nullable=False),
        sa.Column("what", sqlmodel.sql.sqltypes.AutoString(length=64), nullable=False),
        sa.Column("index_name", sqlmodel.sql.sqltypes.AutoString(length=255), nullable=True),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("before", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("after", sa.JSON(none_as_null=True), nullable=True),
        sa.ForeignKeyConstraint(["batch_id"], ["batch.id"], name=op.f("fk_event_batch_id_batch")),
        sa.ForeignKeyConstraint(
            ["operation_id"], ["operation.id"], name=op.f("fk_event_operation_id_operation")
        ),
        sa.PrimaryKeyConstraint("cluster_id", "number", name=op.f("pk_event")),
    )
    with op.batch_alter_table("event", schema=None) as batch_op:
        batch_op.create_index("ix_event_operation", ["operation_id", "number"], unique=False)


def downgrade() -> None:
    with op.batch_alter_table("event", schema=None) as batch_op:
        batch_op.drop_index("ix_event_operation")

    op.drop_table("event")
    op.drop_table("copy_window")
    with op.batch_alter_table("operation", schema=None) as batch_op:
        batch_op.drop_index(
            "uq_operation_live_target",
            sqlite_where=sa.text("status IN (0, 3)"),
            postgresql_where=sa.text("status IN (0, 3)"),
        )
        batch_op.drop_index(
            "uq_operation_live_index",
            sqlite_where=sa.text("status IN (0, 3)"),
            postgresql_where=sa.text("status IN (0, 3)"),
        )
        batch_op.drop_index(
            "ix_operation_queue",
            sqlite_where=sa.text("status = 0"),
            postgresql_where=sa.text("status = 0"),
        )
        batch_op.drop_index("ix_operation_history")
        batch_op.drop_index(batch_op.f("ix_operation_batch_id"))

    op.drop_table("operation")
    with op.batch_alter_table("errand", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_errand_cluster_id"))

    op.drop_table("errand")
    op.drop_table("cluster_state")
    with op.batch_alter_table("batch", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_batch_cluster_id"))

    op.drop_table("batch")
