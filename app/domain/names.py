"""Index names: what is a concrete name, and what a target is called."""

from __future__ import annotations

from typing import Any

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

from app.domain.errors import InvalidIndexName
from app.domain.texts import capped

MAX_BYTES = 255
"""Elasticsearch's limit for an index name, in UTF-8 bytes (7.17, 8.19, 9.4)."""

_FORBIDDEN = frozenset('\\/*?"<>| ,#:')


class IndexName(str):
    """A concrete index name; making one checks it, so no wildcard is ever the object of a change.

    The rules are Elasticsearch's own for creating an index: it takes characters that cannot be
    printed (7.17 every one that was tried, 8.19 and 9.4 still some), so whoever shows a name
    writes those out (`texts.printable`). Raises `InvalidIndexName`.
    """

    __slots__ = ()

    def __new__(cls, name: str) -> IndexName:
        fault = _fault(name)
        if fault:
            raise InvalidIndexName(f"[{capped(name, 101)}] is not the name of an index: {fault}.")
        return super().__new__(cls, name)

    @classmethod
    def __get_pydantic_core_schema__(cls, _type: Any, _handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(cls, core_schema.str_schema())


def _fault(name: str) -> str | None:
    """The first rule that `name` breaks, in words."""
    if not name:
        return "it is empty"
    if name in (".", "..", "_all"):
        return "this name means something else to Elasticsearch"
    if "\0" in name or any("\ud800" <= c <= "\udfff" for c in name):
        return "it contains NUL, or half a character, which no text of the database can"
    if found := sorted(_FORBIDDEN & set(name)):
        return f"it must not contain {' '.join('space' if c == ' ' else c for c in found)}"
    if name[0] in "-_+":
        return "it must not start with -, _ or +"
    if name != name.lower():
        return "it must be lower case"
    if len(name.encode()) > MAX_BYTES:
        return f"it is longer than {MAX_BYTES} bytes"
    return None


def source_name(name: str, major: int) -> str:
    """`name` without any `reindexed-v{major-1}-` (Kibana's rule: each of them, not anchored)."""
    dot, rest = (".", name[1:]) if name.startswith(".") else ("", name)
    return dot + rest.replace(f"reindexed-v{major - 1}-", "")


def target_name(name: IndexName, major: int) -> IndexName:
    """Where `name` is copied to in a cluster of `major`, by Kibana's rule.

    `foo` becomes `reindexed-v8-foo`, `.foo` becomes `.reindexed-v8-foo`, and the prefix of the
    major before is replaced, not stacked. Raises `InvalidIndexName` where the result is too long.
    """
    bare = source_name(name, major)
    prefix = f"reindexed-v{major}-"
    made = f".{prefix}{bare[1:]}" if bare.startswith(".") else prefix + bare
    if len(made.encode()) > MAX_BYTES:
        raise InvalidIndexName(
            f"The target {made[:60]}… of index {name[:60]}… would be longer than {MAX_BYTES} bytes."
        )
    return IndexName(made)
