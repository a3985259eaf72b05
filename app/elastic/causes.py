"""What an error of Elasticsearch's is really about: its innermost cause.

A search that failed on its shards is told as `search_phase_execution_exception`, "all shards
failed" or "Partial shards failure", whatever they met; that is in `failed_shards` or `caused_by`,
in errors of tasks as in answers (7.17, 8.19, 9.4).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from app.domain.texts import capped

MOST_OF_A_TYPE, MOST_OF_A_REASON = 100, 1_500
"""Characters of Elasticsearch's error type and reason."""
DEEPEST = 12
_INSIDE = ("failed_shards", "reason", "caused_by", "root_cause")


@dataclass(frozen=True)
class Cause:
    """An error by its type, with its reason."""

    kind: str
    reason: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.reason}"


def innermost(error: Any, depth: int = DEEPEST) -> Cause | None:
    """The cause that has no other inside of it; of several shards that of the first."""
    if isinstance(error, list):
        found = (innermost(one, depth) for one in cast(list[Any], error)[:10])
        return next((cause for cause in found if cause), None)
    if not isinstance(error, Mapping) or depth == 0:
        return None
    parts = cast(Mapping[str, Any], error)
    for key in _INSIDE:
        if cause := innermost(parts.get(key), depth - 1):
            return cause
    return _own(parts)


def _own(parts: Mapping[str, Any]) -> Cause | None:
    kind = parts.get("type")
    if not isinstance(kind, str):
        return None
    reason = parts.get("reason")
    told = reason if isinstance(reason, str) and reason else "no reason given"
    return Cause(capped(kind, MOST_OF_A_TYPE), capped(told, MOST_OF_A_REASON))


def error_types(error: Any, depth: int = DEEPEST) -> list[str]:
    """The types of an error and of what is inside of it, its own first."""
    if isinstance(error, list):
        found = [kind for one in cast(list[Any], error)[:10] for kind in error_types(one, depth)]
        return list(dict.fromkeys(found))
    if not isinstance(error, Mapping) or depth == 0:
        return []
    parts = cast(Mapping[str, Any], error)
    own = [capped(kind, MOST_OF_A_TYPE)] if isinstance(kind := parts.get("type"), str) else []
    inside = [error_types(parts.get(key), depth - 1) for key in reversed(_INSIDE)]
    return list(dict.fromkeys([*own, *(kind for kinds in inside for kind in kinds)]))
