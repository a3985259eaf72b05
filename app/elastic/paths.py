"""Index names in a URL."""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import quote

from app.domain.names import IndexName

MAX_PATH = 3_500
"""Characters of index names in a URL: Elasticsearch takes 4,096 bytes for the whole first line."""


def in_path(*names: str) -> str:
    return ",".join(quote(name, safe="") for name in names)


def chunks(names: Iterable[IndexName]) -> list[list[IndexName]]:
    """`names` in order, divided so that each part fits into one URL."""
    parts: list[list[IndexName]] = []
    room = 0
    for name in names:
        length = len(quote(name, safe="")) + 1
        if length > room:
            parts.append([])
            room = MAX_PATH
        parts[-1].append(name)
        room -= length
    return parts
