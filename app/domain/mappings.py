"""What is in a mapping."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any


def has_type(mappings: Mapping[str, Any], kinds: Collection[str]) -> bool:
    """True where a field, at any depth, has one of these types."""
    waiting = [mappings]
    while waiting:
        tree = waiting.pop()
        kind = tree.get("type")
        if isinstance(kind, str) and kind in kinds:
            return True
        waiting += [value for value in tree.values() if isinstance(value, Mapping)]
    return False
