"""How long the owner's lease lasts, so that no standby with another setting takes it too soon."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("cluster_state", sa.Column("lease_seconds", sa.Float(), nullable=True))


def downgrade() -> None:
    op.drop_column("cluster_state", "lease_seconds")
