"""Errands that carry a question and bring an answer: the trial of a plan."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def _new_columns() -> list[sa.Column[Any]]:
    return [
        sa.Column("request", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("result", sa.JSON(none_as_null=True), nullable=True),
    ]


def upgrade() -> None:
    for column in _new_columns():
        op.add_column("errand", column)


def downgrade() -> None:
    for column in reversed(_new_columns()):
        op.drop_column("errand", column.name)
