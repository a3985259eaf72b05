"""Since when an index takes no writes; how often one was given back, and when."""

from __future__ import annotations

import sqlalchemy as sa
import sqlmodel
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for name in ("writes_blocked_since", "given_back_at"):
        column = sa.Column(name, sqlmodel.sql.sqltypes.UTCDateTime(), nullable=True)
        op.add_column("operation", column)
    op.add_column(
        "operation", sa.Column("given_back", sa.Integer(), nullable=False, server_default="0")
    )
    # when it was really blocked is not known any more: it was saved then, or later
    op.execute(
        "UPDATE operation SET writes_blocked_since = updated_at WHERE status IN (0, 3) "
        "AND last_completed_step BETWEEN 20 AND 55 AND unblocked = false"
    )


def downgrade() -> None:
    op.drop_column("operation", "given_back")
    op.drop_column("operation", "given_back_at")
    op.drop_column("operation", "writes_blocked_since")
