"""Which cluster the data are about, by its own UUID; how often a window has failed."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("cluster_state", sa.Column("cluster_uuid", sa.String(64), nullable=True))
    op.add_column(
        "copy_window", sa.Column("failures", sa.Integer(), nullable=False, server_default="0")
    )
    # cancelled while they were being paused: nobody would look at them again
    op.execute("UPDATE operation SET status = 0 WHERE status = 3 AND requested = 'cancel'")


def downgrade() -> None:
    op.drop_column("copy_window", "failures")
    op.drop_column("cluster_state", "cluster_uuid")
