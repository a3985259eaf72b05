"""Reach: which indices somebody may work on, by patterns of their concrete names."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from app.domain.errors import InvalidIndexName, OutOfReach
from app.domain.formatting import capped
from app.domain.names import IndexName

ANY = "*"


class NamesIndices(Protocol):
    """What an operation, or one that is wanted, says of its indices."""

    @property
    def index_name(self) -> IndexName: ...

    @property
    def source_name(self) -> IndexName: ...

    @property
    def new_index_name(self) -> IndexName: ...


@dataclass(frozen=True)
class Reach:
    """`patterns`: a name is within reach where one of them fits; None: every name is.

    `*` stands for any characters, also for none, and also for a dot at the beginning. Nothing else
    in a pattern means anything but itself.
    """

    patterns: tuple[str, ...] | None = None

    @classmethod
    def of(cls, patterns: Iterable[str] | None) -> Reach:
        return cls(None if patterns is None else tuple(patterns))

    @property
    def limited(self) -> bool:
        return self.patterns is not None

    def covers(self, *names: str) -> bool:
        """True where all of these concrete names are within reach."""
        patterns = self.patterns
        if patterns is None:
            return True
        return all(any(_fits(name, pattern) for pattern in patterns) for name in names)

    def covers_pair(self, pair: NamesIndices) -> bool:
        """True where source and target are: the name that was posted, and the index behind it."""
        return self.covers(pair.index_name, pair.source_name, pair.new_index_name)

    def shown(self, names: Iterable[str]) -> str:
        """These concrete names in words; those beyond reach are not named."""
        names = list(names)
        seen = [name for name in names if self.covers(name)]
        hidden = len(names) - len(seen)
        others = [] if not hidden else ["another index" if hidden == 1 else "other indices"]
        return ", ".join([*seen, *others])

    def require(self, *names: str) -> None:
        """Raises `OutOfReach` with the first name that is not within reach."""
        for name in names:
            if not self.covers(name):
                raise OutOfReach(name)


EVERYTHING = Reach()


def checked_pattern(text: str) -> str:
    """`text`, where it can fit a name at all. Raises `InvalidIndexName`."""
    try:
        IndexName(text.replace(ANY, "a"))
    except InvalidIndexName:
        raise InvalidIndexName(
            f"[{capped(text, 101)}] fits the name of no index: write a name in lower case, with "
            f"{ANY} for any characters."
        ) from None
    return text


def _fits(name: str, pattern: str) -> bool:
    """In one pass, however many stars there are: a regular expression might go back for hours."""
    first, *rest = pattern.split(ANY)
    if not rest:
        return name == pattern
    *middle, last = rest
    end = len(name) - len(last)
    place = len(first)
    if place > end or not name.startswith(first) or not name.endswith(last):
        return False
    for piece in middle:
        found = name.find(piece, place, end)
        if found < 0:
            return False
        place = found + len(piece)
    return True
