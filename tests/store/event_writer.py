"""Writing events as a service does: in this process, and as a process of its own.

`python -m tests.store.event_writer DATABASE_URL CLUSTER TRANSACTIONS` commits so many
transactions, with one to three events each, and prints how many events these were.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager

from app.domain.events import EventKind, Note
from app.store.engine import open_engines, parse_url
from app.store.transactions import Transaction, Transactions

Write = Callable[..., Awaitable[None]]
"""`await write(3, text="…")`: one transaction with three events."""


@asynccontextmanager
async def writing(url: str, cluster: str) -> AsyncGenerator[Write]:
    """On a database that is migrated and knows the cluster."""
    writer, reader = open_engines(parse_url(url))
    transactions = Transactions(writer, cluster)

    async def write(count: int, text: str = "") -> None:
        notes = [Note(what=EventKind.WARNING, text=text or str(n)) for n in range(count)]

        async def work(transaction: Transaction) -> None:
            transaction.announce("writer", notes)

        await transactions.run(work)

    try:
        yield write
    finally:
        await writer.dispose()
        await reader.dispose()


async def main(url: str, cluster: str, times: int) -> None:
    async with writing(url, cluster) as write:
        for n in range(times):
            await write(n % 3 + 1)
    print(sum(n % 3 + 1 for n in range(times)), flush=True)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
