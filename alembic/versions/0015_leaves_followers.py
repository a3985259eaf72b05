"""Whether an index is done also where indices of other clusters follow it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    added = sa.Column("leaves_followers", sa.Boolean(), nullable=False, server_default=sa.false())
    op.add_column("operation", added)


def downgrade() -> None:
    op.drop_column("operation", "leaves_followers")
