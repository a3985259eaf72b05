"""The first schema."""

from __future__ import annotations

import sqlalchemy as sa
import sqlmodel.sql.sqltypes
from alembic import op

revision = "1001"
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
        sa.Column("allowed", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("pace", sa.JSON(none_as_null=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_batch")),
    )
    with op.batch_alter_table("batch", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_batch_cluster_id"), ["cluster_id"], unique=False)
        batch_op.create_index(
            "uq_batch_idempotency_key", ["cluster_id", "idempotency_key"], unique=True
        )

    op.create_table(
        "cluster_state",
        sa.Column("cluster_id", sqlmodel.sql.sqltypes.AutoString(length=64), nullable=False),
        sa.Column("token", sqlmodel.sql.sqltypes.AutoString(length=64), nullable=True),
        sa.Column("owner", sqlmodel.sql.sqltypes.AutoString(length=255), nullable=True),
        sa.Column("expires_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=True),
        sa.Column("lease_seconds", sa.Float(), nullable=True),
        sa.Column("last_event", sa.BigInteger(), nullable=False),
        sa.Column("last_queued_at", sa.BigInteger(), nullable=False),
        sa.Column("stop_all", sa.Boolean(), nullable=False),
        sa.Column("stop", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("pace", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("health", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("pruning", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("cluster_uuid", sqlmodel.sql.sqltypes.AutoString(length=64), nullable=True),
        sa.Column("term", sa.BigInteger(), nullable=False),
        sa.Column("writer", sqlmodel.sql.sqltypes.AutoString(length=64), nullable=True),
        sa.Column("conflict", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("adopted", sa.JSON(none_as_null=True), nullable=True),
        sa.PrimaryKeyConstraint("cluster_id", name=op.f("pk_cluster_state")),
    )
    op.create_table(
        "instance",
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("id", sqlmodel.sql.sqltypes.AutoString(length=32), nullable=False),
        sa.Column("made_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
        sa.CheckConstraint("number = 1", name=op.f("ck_instance_number")),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_instance")),
    )
    op.create_table(
        "job",
        sa.Column("id", sqlmodel.sql.sqltypes.AutoString(length=32), nullable=False),
        sa.Column("cluster_id", sqlmodel.sql.sqltypes.AutoString(length=64), nullable=False),
        sa.Column("kind", sqlmodel.sql.sqltypes.AutoString(length=32), nullable=False),
        sa.Column("batch_id", sqlmodel.sql.sqltypes.AutoString(length=32), nullable=True),
        sa.Column("caller", sqlmodel.sql.sqltypes.AutoString(length=255), nullable=False),
        sa.Column("caller_state", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("lane", sqlmodel.sql.sqltypes.AutoString(length=16), nullable=False),
        sa.Column("index_name", sqlmodel.sql.sqltypes.AutoString(length=255), nullable=False),
        sa.Column("concrete_name", sqlmodel.sql.sqltypes.AutoString(length=255), nullable=True),
        sa.Column("queued_at", sa.BigInteger(), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=True),
        sa.Column("status", sa.Integer(), nullable=False),
        sa.Column("goal", sqlmodel.sql.sqltypes.AutoString(length=16), nullable=False),
        sa.Column("requested", sqlmodel.sql.sqltypes.AutoString(length=16), nullable=False),
        sa.Column("position", sqlmodel.sql.sqltypes.AutoString(length=32), nullable=False),
        sa.Column("position_back", sqlmodel.sql.sqltypes.AutoString(length=32), nullable=False),
        sa.Column("past_return", sa.Boolean(), nullable=False),
        sa.Column("suspended", sa.Boolean(), nullable=False),
        sa.Column("keep_target", sa.Boolean(), nullable=False),
        sa.Column("hold_reason", sa.Text(), nullable=True),
        sa.Column("hold_since", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("crashes", sa.Integer(), nullable=False),
        sa.Column("next_attempt_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=True),
        sa.Column("writes_blocked_since", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=True),
        sa.Column("given_back", sa.Integer(), nullable=False),
        sa.Column("given_back_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=True),
        sa.Column("error_code", sqlmodel.sql.sqltypes.AutoString(length=128), nullable=True),
        sa.Column("error_message", sa.Text(), nullable=True),
        sa.Column("failure", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("pace", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("request", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("result", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("created_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
        sa.Column("updated_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
        sa.Column("ended_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("new_index_name", sqlmodel.sql.sqltypes.AutoString(length=255), nullable=True),
        sa.Column("keeps_source", sa.Boolean(), nullable=False),
        sa.Column("delete_old_index", sa.Boolean(), nullable=True),
        sa.Column("mode", sqlmodel.sql.sqltypes.AutoString(length=32), nullable=True),
        sa.Column("proof_level", sqlmodel.sql.sqltypes.AutoString(length=16), nullable=False),
        sa.Column("leaves_followers", sa.Boolean(), nullable=False),
        sa.Column("last_completed_step", sa.Integer(), nullable=False),
        sa.Column("reindex_task_id", sqlmodel.sql.sqltypes.AutoString(length=255), nullable=True),
        sa.Column("reindex_task_perc_complete", sa.Float(), nullable=True),
        sa.Column("kept", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("kept_until", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=True),
        sa.Column("record", sa.JSON(none_as_null=True), nullable=True),
        sa.CheckConstraint(
            "lane IN ('queue', 'beside', 'copies', 'small')", name=op.f("ck_job_lane")
        ),
        sa.CheckConstraint("status IN (0, 1, 2, 3, 4)", name=op.f("ck_job_status")),
        sa.ForeignKeyConstraint(["batch_id"], ["batch.id"], name=op.f("fk_job_batch_id_batch")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_job")),
    )
    with op.batch_alter_table("job", schema=None) as batch_op:
        # SQLite takes the one made last among equals, so the narrowest come last
        batch_op.create_index(
            "uq_job_live_index",
            ["cluster_id", "index_name"],
            unique=True,
            sqlite_where=sa.text("kind = 'rewrite' AND status IN (0, 3)"),
            postgresql_where=sa.text("kind = 'rewrite' AND status IN (0, 3)"),
        )
        batch_op.create_index(
            "uq_job_live_target",
            ["cluster_id", "new_index_name"],
            unique=True,
            sqlite_where=sa.text("kind = 'rewrite' AND status IN (0, 3)"),
            postgresql_where=sa.text("kind = 'rewrite' AND status IN (0, 3)"),
        )
        batch_op.create_index("ix_job_batch", ["batch_id", "cluster_id", "status"], unique=False)
        batch_op.create_index(
            "ix_job_history", ["cluster_id", "index_name", "queued_at"], unique=False
        )
        batch_op.create_index(
            "ix_job_place",
            ["cluster_id", "queued_at"],
            unique=False,
            sqlite_where=sa.text("kind = 'rewrite'"),
            postgresql_where=sa.text("kind = 'rewrite'"),
        )
        batch_op.create_index(
            "ix_job_lane",
            ["cluster_id", "lane", "queued_at"],
            unique=False,
            sqlite_where=sa.text("status = 0"),
            postgresql_where=sa.text("status = 0"),
        )
        batch_op.create_index(
            "ix_job_live",
            ["cluster_id", "queued_at"],
            unique=False,
            sqlite_where=sa.text("status IN (0, 3)"),
            postgresql_where=sa.text("status IN (0, 3)"),
        )
        batch_op.create_index(
            "ix_job_ended",
            ["cluster_id", "status", "queued_at", "kind"],
            unique=False,
            sqlite_where=sa.text("kind = 'rewrite' AND status IN (1, 2, 4)"),
            postgresql_where=sa.text("kind = 'rewrite' AND status IN (1, 2, 4)"),
        )
        batch_op.create_index(
            "ix_job_in_hand",
            ["cluster_id", "lane", "queued_at"],
            unique=False,
            sqlite_where=sa.text("status = 0 AND started_at IS NOT NULL"),
            postgresql_where=sa.text("status = 0 AND started_at IS NOT NULL"),
        )
        batch_op.create_index(
            "ix_job_kept",
            ["cluster_id", "kept_until"],
            unique=False,
            sqlite_where=sa.text("kept_until IS NOT NULL"),
            postgresql_where=sa.text("kept_until IS NOT NULL"),
        )
        batch_op.create_index(
            "ix_job_ended_at",
            ["cluster_id", "ended_at", "id"],
            unique=False,
            sqlite_where=sa.text("ended_at IS NOT NULL"),
            postgresql_where=sa.text("ended_at IS NOT NULL"),
        )

    op.create_table(
        "claim",
        sa.Column("cluster_id", sqlmodel.sql.sqltypes.AutoString(length=64), nullable=False),
        sa.Column("index_name", sqlmodel.sql.sqltypes.AutoString(length=255), nullable=False),
        sa.Column("job_id", sqlmodel.sql.sqltypes.AutoString(length=32), nullable=False),
        sa.Column("exclusive", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["job.id"], name=op.f("fk_claim_job_id_job")),
        sa.PrimaryKeyConstraint("cluster_id", "index_name", "job_id", name=op.f("pk_claim")),
    )
    with op.batch_alter_table("claim", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_claim_job_id"), ["job_id"], unique=False)

    op.create_table(
        "copy_window",
        sa.Column("job_id", sqlmodel.sql.sqltypes.AutoString(length=32), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("cluster_id", sqlmodel.sql.sqltypes.AutoString(length=64), nullable=False),
        sa.Column("shard", sa.Integer(), nullable=False),
        sa.Column("from_seq_no", sa.BigInteger(), nullable=True),
        sa.Column("to_seq_no", sa.BigInteger(), nullable=True),
        sa.Column("documents", sa.BigInteger(), nullable=False),
        sa.Column("batch", sa.Integer(), nullable=False),
        sa.Column("paced", sa.Integer(), nullable=True),
        sa.Column("rate", sa.Float(), nullable=True),
        sa.Column("state", sqlmodel.sql.sqltypes.AutoString(length=16), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("task_id", sqlmodel.sql.sqltypes.AutoString(length=255), nullable=True),
        sa.Column("task_started", sa.BigInteger(), nullable=True),
        sa.Column("seen", sa.BigInteger(), nullable=False),
        sa.Column("started_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=True),
        sa.Column("ended_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=True),
        sa.Column("spec", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("repeatable", sa.Boolean(), nullable=False),
        sa.CheckConstraint(
            "state IN ('planned', 'running', 'done')", name=op.f("ck_copy_window_state")
        ),
        sa.ForeignKeyConstraint(["job_id"], ["job.id"], name=op.f("fk_copy_window_job_id_job")),
        sa.PrimaryKeyConstraint("job_id", "number", name=op.f("pk_copy_window")),
    )
    op.create_table(
        "event",
        sa.Column("cluster_id", sqlmodel.sql.sqltypes.AutoString(length=64), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("job_id", sqlmodel.sql.sqltypes.AutoString(length=32), nullable=True),
        sa.Column("batch_id", sqlmodel.sql.sqltypes.AutoString(length=32), nullable=True),
        sa.Column("at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
        sa.Column("who", sqlmodel.sql.sqltypes.AutoString(length=255), nullable=False),
        sa.Column("what", sqlmodel.sql.sqltypes.AutoString(length=64), nullable=False),
        sa.Column("index_name", sqlmodel.sql.sqltypes.AutoString(length=255), nullable=True),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("before", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("after", sa.JSON(none_as_null=True), nullable=True),
        sa.PrimaryKeyConstraint("cluster_id", "number", name=op.f("pk_event")),
    )
    with op.batch_alter_table("event", schema=None) as batch_op:
        batch_op.create_index("ix_event_job", ["job_id", "number"], unique=False)

    op.create_table(
        "session",
        sa.Column("digest", sqlmodel.sql.sqltypes.AutoString(length=64), nullable=False),
        sa.Column("caller", sqlmodel.sql.sqltypes.AutoString(length=255), nullable=False),
        sa.Column("created_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
        sa.Column("last_used_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
        sa.Column("authorization", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_session")),
    )
    with op.batch_alter_table("session", schema=None) as batch_op:
        batch_op.create_index("ix_session_caller", ["caller", "created_at"])

    op.create_table(
        "token",
        sa.Column("id", sqlmodel.sql.sqltypes.AutoString(length=32), nullable=False),
        sa.Column("name", sqlmodel.sql.sqltypes.AutoString(length=64), nullable=False),
        sa.Column("digest", sqlmodel.sql.sqltypes.AutoString(length=64), nullable=False),
        sa.Column("role", sqlmodel.sql.sqltypes.AutoString(length=16), nullable=False),
        sa.Column("clusters", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("indices", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("created_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
        sa.Column("created_by", sqlmodel.sql.sqltypes.AutoString(length=255), nullable=False),
        sa.Column("expires_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=True),
        sa.Column("revoked_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=True),
        sa.Column("revoked_by", sqlmodel.sql.sqltypes.AutoString(length=255), nullable=True),
        sa.Column("last_used_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_token")),
    )
    with op.batch_alter_table("token", schema=None) as batch_op:
        batch_op.create_index("uq_token_digest", ["digest"], unique=True)
        batch_op.create_index(
            "uq_token_name",
            ["name"],
            unique=True,
            sqlite_where=sa.text("revoked_at IS NULL"),
            postgresql_where=sa.text("revoked_at IS NULL"),
        )

    op.create_table(
        "webhook",
        sa.Column("id", sqlmodel.sql.sqltypes.AutoString(length=32), nullable=False),
        sa.Column("name", sqlmodel.sql.sqltypes.AutoString(length=64), nullable=False),
        sa.Column("host", sqlmodel.sql.sqltypes.AutoString(length=300), nullable=False),
        sa.Column("kinds", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("is_on", sa.Boolean(), nullable=False),
        sa.Column("off_reason", sa.Text(), nullable=True),
        sa.Column("created_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=False),
        sa.Column("created_by", sqlmodel.sql.sqltypes.AutoString(length=255), nullable=False),
        sa.Column("rotated_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=True),
        sa.Column("sealed_url", sa.Text(), nullable=False),
        sa.Column("sealed_key", sa.Text(), nullable=False),
        sa.Column("sealed_old_key", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhook")),
    )
    with op.batch_alter_table("webhook", schema=None) as batch_op:
        batch_op.create_index("uq_webhook_name", ["name"], unique=True)

    op.create_table(
        "webhook_place",
        sa.Column("webhook_id", sqlmodel.sql.sqltypes.AutoString(length=32), nullable=False),
        sa.Column("cluster_id", sqlmodel.sql.sqltypes.AutoString(length=64), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("skipped", sa.BigInteger(), nullable=False),
        sa.Column("trouble", sa.Text(), nullable=True),
        sa.Column("failing_since", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=True),
        sa.Column("delivered_at", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=True),
        sa.ForeignKeyConstraint(
            ["webhook_id"],
            ["webhook.id"],
            name=op.f("fk_webhook_place_webhook_id_webhook"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("webhook_id", "cluster_id", name=op.f("pk_webhook_place")),
    )


def downgrade() -> None:
    op.drop_table("webhook_place")
    with op.batch_alter_table("webhook", schema=None) as batch_op:
        batch_op.drop_index("uq_webhook_name")

    op.drop_table("webhook")
    with op.batch_alter_table("token", schema=None) as batch_op:
        batch_op.drop_index(
            "uq_token_name",
            sqlite_where=sa.text("revoked_at IS NULL"),
            postgresql_where=sa.text("revoked_at IS NULL"),
        )
        batch_op.drop_index("uq_token_digest")

    op.drop_table("token")
    with op.batch_alter_table("session", schema=None) as batch_op:
        batch_op.drop_index("ix_session_caller")

    op.drop_table("session")
    with op.batch_alter_table("event", schema=None) as batch_op:
        batch_op.drop_index("ix_event_job")

    op.drop_table("event")
    op.drop_table("copy_window")
    with op.batch_alter_table("claim", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_claim_job_id"))

    op.drop_table("claim")
    with op.batch_alter_table("job", schema=None) as batch_op:
        batch_op.drop_index(
            "uq_job_live_target",
            sqlite_where=sa.text("kind = 'rewrite' AND status IN (0, 3)"),
            postgresql_where=sa.text("kind = 'rewrite' AND status IN (0, 3)"),
        )
        batch_op.drop_index(
            "uq_job_live_index",
            sqlite_where=sa.text("kind = 'rewrite' AND status IN (0, 3)"),
            postgresql_where=sa.text("kind = 'rewrite' AND status IN (0, 3)"),
        )
        batch_op.drop_index(
            "ix_job_place",
            sqlite_where=sa.text("kind = 'rewrite'"),
            postgresql_where=sa.text("kind = 'rewrite'"),
        )
        batch_op.drop_index(
            "ix_job_live",
            sqlite_where=sa.text("status IN (0, 3)"),
            postgresql_where=sa.text("status IN (0, 3)"),
        )
        batch_op.drop_index(
            "ix_job_lane",
            sqlite_where=sa.text("status = 0"),
            postgresql_where=sa.text("status = 0"),
        )
        batch_op.drop_index(
            "ix_job_ended_at",
            sqlite_where=sa.text("ended_at IS NOT NULL"),
            postgresql_where=sa.text("ended_at IS NOT NULL"),
        )
        batch_op.drop_index(
            "ix_job_kept",
            sqlite_where=sa.text("kept_until IS NOT NULL"),
            postgresql_where=sa.text("kept_until IS NOT NULL"),
        )
        batch_op.drop_index(
            "ix_job_in_hand",
            sqlite_where=sa.text("status = 0 AND started_at IS NOT NULL"),
            postgresql_where=sa.text("status = 0 AND started_at IS NOT NULL"),
        )
        batch_op.drop_index("ix_job_history")
        batch_op.drop_index(
            "ix_job_ended",
            sqlite_where=sa.text("kind = 'rewrite' AND status IN (1, 2, 4)"),
            postgresql_where=sa.text("kind = 'rewrite' AND status IN (1, 2, 4)"),
        )
        batch_op.drop_index("ix_job_batch")

    op.drop_table("job")
    op.drop_table("cluster_state")
    with op.batch_alter_table("batch", schema=None) as batch_op:
        batch_op.drop_index("uq_batch_idempotency_key")
        batch_op.drop_index(batch_op.f("ix_batch_cluster_id"))

    op.drop_table("batch")
