"""The pace of copies: of the service, a batch and an operation; stopped by a person; health."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

COLUMNS = (
    ("cluster_state", "stop"),
    ("cluster_state", "pace"),
    ("cluster_state", "health"),
    ("batch", "pace"),
    ("operation", "pace"),
)


def upgrade() -> None:
    for table, name in COLUMNS:
        op.add_column(table, sa.Column(name, sa.JSON(none_as_null=True), nullable=True))
    op.add_column("copy_window", sa.Column("paced", sa.Integer(), nullable=True))
    op.add_column("copy_window", sa.Column("rate", sa.Float(), nullable=True))


def downgrade() -> None:
    op.drop_column("copy_window", "rate")
    op.drop_column("copy_window", "paced")
    for table, name in reversed(COLUMNS):
        op.drop_column(table, name)
