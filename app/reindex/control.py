"""Steering one operation by its id. Wishes are written here, never effects."""

from __future__ import annotations

from app.domain.errors import CannotCancel, UnknownOperation, WrongState
from app.domain.operation import BACK, Operation, Status, Step, Wish
from app.domain.request import ReindexRequest
from app.reindex.announcements import Bell
from app.reindex.queue import Queue
from app.store.operations import Operations
from app.telemetry import logger

log = logger(__name__)


class Control:
    def __init__(self, operations: Operations, queue: Queue, bell: Bell) -> None:
        self._operations = operations
        self._queue = queue
        self._bell = bell

    async def cancel(self, operation_id: str, caller: str) -> Operation:
        """Ends it without a swap, the source as it was found: at once where it has not begun.

        Raises `UnknownOperation`, `CannotCancel` where it has ended or has its new name already.
        """
        operation = await self._find(operation_id)
        if not operation.live:
            raise CannotCancel(f"The operation has ended: it is {_word(operation)}.")
        if _swapped(operation):
            raise CannotCancel("It is too late to cancel: the new index has the name already.")
        if not await self._operations.end_waiting(operation_id, caller):
            await self._wish(operation_id, Wish.CANCEL, caller)
        return await self._after("cancel", operation_id)

    async def pause(self, operation_id: str, caller: str) -> Operation:
        """Puts it aside and frees the queue; what is copied stays, and so does the write block.

        Raises `UnknownOperation`, `WrongState`.
        """
        operation = await self._find(operation_id)
        if operation.status is Status.PAUSED:
            return operation
        if not operation.live or operation.goal in BACK:
            raise WrongState(
                f"Only an operation that is going on can be paused; {_told(operation)}"
            )
        if _swapped(operation):
            raise WrongState("It is too late to pause: the new index has the name already.")
        if not await self._operations.pause_waiting(operation_id, caller):
            await self._wish(operation_id, Wish.PAUSE, caller)
        return await self._after("pause", operation_id)

    async def resume(self, operation_id: str, caller: str) -> Operation:
        """Lets a paused one go on where it stopped, at its old place in the queue.

        Raises `UnknownOperation`, `WrongState`.
        """
        operation = await self._find(operation_id)
        if not await self._operations.resume(operation_id, caller):
            raise WrongState(f"Only a paused operation can be resumed; {_told(operation)}")
        return await self._after("resume", operation_id)

    async def retry(self, operation_id: str, caller: str) -> Operation:
        """One that failed or was cancelled begins anew, as another operation at the queue's tail;
        one that waits for something tries again now.

        Raises `UnknownOperation`, `WrongState`, and what a POST of its index raises.
        """
        operation = await self._find(operation_id)
        if operation.status in (Status.FAILED, Status.CANCELLED):
            request = ReindexRequest(
                operation.index_name,
                operation.new_index_name,
                operation.delete_old_index,
                operation.keeps_source,
                operation.mode,
            )
            return await self._queue.start(request, caller, enqueue=not operation.single)
        if operation.status is Status.IN_PROGRESS and operation.hold_reason is not None:
            await self._wish(operation_id, Wish.RETRY, caller)
            return await self._after("retry", operation_id)
        raise WrongState(
            f"Only an operation that failed, was cancelled or waits for something can be tried "
            f"again; {_told(operation)}"
        )

    async def _find(self, operation_id: str) -> Operation:
        operation = await self._operations.find(operation_id)
        if operation is None:
            raise UnknownOperation(operation_id)
        return operation

    async def _wish(self, operation_id: str, wish: Wish, caller: str) -> None:
        if not await self._operations.wish(operation_id, wish, caller):
            raise WrongState("The operation has ended meanwhile.")

    async def _after(self, what: str, operation_id: str) -> Operation:
        self._bell.ring()
        operation = await self._operations.load(operation_id)
        log.info(f"{what}_requested", operation=operation_id, index=operation.index_name)
        return operation


def _swapped(operation: Operation) -> bool:
    return operation.last_completed_step >= Step.ALIAS_CREATED


def _word(operation: Operation) -> str:
    return operation.status.name.lower().replace("_", " ")


def _told(operation: Operation) -> str:
    return f"{operation.index_name} is {_word(operation)}."
