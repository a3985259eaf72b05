"""A writing transaction that stays open for as long as the test wants."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager

from app.store.transactions import Transaction, Transactions

Work = Callable[[Transaction], Awaitable[None]]


async def nothing(_: Transaction) -> None:
    """Work that only holds the cluster's row."""


@asynccontextmanager
async def open_transaction(
    transactions: Transactions, work: Work = nothing, token: str | None = None
) -> AsyncGenerator[None]:
    """`work` is done and not committed within the block; the end of the block commits it.

    Raises there what `Transactions.run` raises.
    """
    begun, finish = asyncio.Event(), asyncio.Event()

    async def held_open(transaction: Transaction) -> None:
        await work(transaction)
        begun.set()
        await finish.wait()

    running = asyncio.create_task(transactions.run(held_open, token))
    waiting = asyncio.create_task(begun.wait())
    await asyncio.wait([running, waiting], return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    try:
        yield
    except BaseException:
        finish.set()
        await asyncio.gather(running, return_exceptions=True)
        raise
    finish.set()
    await running
