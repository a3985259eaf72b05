"""The store as another process has it: opens it, asks for the role, says so, and waits.

`python -m tests.store.another_service DATABASE_URL LEASE_SECONDS` prints `taken` or `refused` and
ends when its standard input does.
"""

from __future__ import annotations

import asyncio
import sys

from app.store.store import Store


async def main(address: str, lease_seconds: float) -> None:
    store = await Store.open(address, "test", lease_seconds)
    lease = await store.role.take()
    print("taken" if lease else "refused", flush=True)
    await asyncio.to_thread(sys.stdin.read)
    await store.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], float(sys.argv[2])))
