"""The read model: what is shown about operations, one for every face."""

from __future__ import annotations

from app.domain.errors import OperationNotFound
from app.domain.names import IndexName
from app.domain.operation import Operation
from app.store.operations import Operations


class Reading:
    def __init__(self, operations: Operations) -> None:
        self._operations = operations

    async def queue(self) -> list[Operation]:
        """The batch queue in order, the running head included."""
        return await self._operations.queue()

    async def operation_of(self, name: str) -> Operation | None:
        """The newest operation of that index; None where there never was one."""
        return await self._operations.latest(IndexName(name))

    async def operation(self, name: str) -> Operation:
        """As `operation_of`. Raises `OperationNotFound`."""
        found = await self.operation_of(name)
        if found is None:
            raise OperationNotFound(name)
        return found
