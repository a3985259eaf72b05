"""Where a service in `killable` is to break, and how it is told."""

from __future__ import annotations

import itertools
import json
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

How = Literal["kill", "cut"]

_numbers = itertools.count(1)


@dataclass(frozen=True)
class Boundary:
    """Where it breaks: `before` or `after` the `number`-th `request` or `commit`.

    `how`: the process is killed, or this connection is cut. `only`: of the requests that contain
    this pattern.
    """

    what: str
    side: str
    number: int
    only: str = ""
    how: How = "kill"

    @property
    def order(self) -> dict[str, str]:
        return {
            "REINDEX_TEST_KILL": f"{self.what}:{self.side}:{self.number}",
            "REINDEX_TEST_ONLY": self.only,
            "REINDEX_TEST_HOW": self.how.upper(),
        }

    def __str__(self) -> str:
        of = f" of {self.only}" if self.only else ""
        return f"{self.how} {self.side} {self.what} {self.number}{of}"


class Orders:
    """Tells a service in `killable` where to break; it may be running already."""

    def __init__(self) -> None:
        self._temporary = tempfile.TemporaryDirectory(prefix="rq-orders-")
        folder = Path(self._temporary.name)
        self._orders, self._counted, self._reached = (
            folder / name for name in ("orders", "counted", "reached")
        )
        self.environment = {
            "REINDEX_TEST_ORDERS": str(self._orders),
            "REINDEX_TEST_COUNTED": str(self._counted),
            "REINDEX_TEST_REACHED": str(self._reached),
        }
        self.give(None)

    def give(self, boundary: Boundary | None) -> None:
        """From now on it counts anew, and breaks there."""
        order = {"number": str(next(_numbers)), **(boundary.order if boundary else {})}
        draft = self._orders.with_suffix(".new")
        draft.write_text(json.dumps(order))
        draft.rename(self._orders)

    def forget(self) -> None:
        """What was counted and reached so far."""
        self._counted.write_text("")
        self._reached.unlink(missing_ok=True)

    @property
    def reached(self) -> bool:
        """Has the moment come since `forget`?"""
        return self._reached.exists()

    @property
    def counts(self) -> Counter[str]:
        """Of requests and commits since `forget`."""
        return Counter(line.split()[0] for line in self._counted.read_text().splitlines())

    def close(self) -> None:
        self._temporary.cleanup()


def boundaries(counts: Counter[str], how: How = "kill", *, commits: bool = True) -> list[Boundary]:
    """Every boundary of an operation that makes so many requests and commits."""
    return [
        Boundary(what, side, number, how=how)
        for what in ("request", *(["commit"] if commits else []))
        for number in range(1, counts[what] + 1)
        for side in ("before", "after")
    ]
