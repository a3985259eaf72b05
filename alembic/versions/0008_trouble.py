"""The details of a failure, and since when a target is lost."""

from __future__ import annotations

import sqlalchemy as sa
import sqlmodel.sql.sqltypes
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("operation", sa.Column("failure", sa.JSON(none_as_null=True), nullable=True))
    op.add_column(
        "operation",
        sa.Column("lost_since", sqlmodel.sql.sqltypes.UTCDateTime(), nullable=True),
    )


def downgrade() -> None:
    op.drop_column("operation", "lost_since")
    op.drop_column("operation", "failure")
