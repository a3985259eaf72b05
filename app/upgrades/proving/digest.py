"""One number for any many documents, the same in whatever order they are read. Pure.

Two indices with equal numbers have equal documents: the chance that different ones agree is about
1 in 2⁵¹² (nobody who makes documents gains by making them so, so the sum need not resist that).
Numbers that differ prove nothing: the same JSON can be written in two ways.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b

from app.elastic.answers import Document
from app.upgrades.proving.comparing import Measure

_MODULUS = 1 << 512


def added(digest: str, documents: Iterable[Document], shard: int, measure: Measure) -> str:
    """`digest` (hex) with `documents` of `shard` added: what `comparing.differences` looks at."""
    total = int(digest, 16)
    for document in documents:
        version = document.version if measure.versions else None
        one = blake2b(repr((shard, document.id, document.routing, version)).encode())
        one.update(document.source)
        total += int.from_bytes(one.digest())
    return f"{total % _MODULUS:x}"
