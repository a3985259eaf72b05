"""Copy tasks that no window waits for any more, and when a window's task started."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("operation", sa.Column("loose_tasks", sa.JSON(), nullable=True))
    op.add_column("copy_window", sa.Column("task_started", sa.BigInteger(), nullable=True))


def downgrade() -> None:
    op.drop_column("copy_window", "task_started")
    op.drop_column("operation", "loose_tasks")
