"""From which index a target was copied that a failed operation left."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("operation", sa.Column("leftover_source", sa.String(64), nullable=True))


def downgrade() -> None:
    op.drop_column("operation", "leftover_source")
