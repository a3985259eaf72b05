"""From rows to domain values."""

from __future__ import annotations

from app.domain.operation import Operation
from app.store.tables import OperationRow


def operation_of(row: OperationRow) -> Operation:
    return Operation.model_validate(row.model_dump())
