"""Which indices the next major version opens, and what a person should know before a reindex."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from app.domain import index_settings
from app.domain.formatting import capped


class Fate(StrEnum):
    """What the next major does with an index that stays as it is."""

    OPENS = "opens"
    READ_ONLY = "readOnly"
    REFUSES = "refuses"


def opens_mounted(major: int) -> bool:
    """True where the major after `major` opens every searchable snapshot: Elasticsearch's own list
    of what has to be reindexed leaves them out from 8.x on."""
    return major >= 8


def fate(created_major: int, major: int, *, read_only: bool, mounted: bool = False) -> Fate:
    """What the major after `major` does with an index that `created_major` made.

    `read_only`: it has the write block, and that is verified; such an index of the major before
    this one opens for reading on 9.0 and newer (7.17, 8.19, 9.4). `mounted`: it is a searchable
    snapshot.
    """
    if created_major >= major or (mounted and opens_mounted(major)):
        return Fate.OPENS
    kept = read_only and major >= 8 and created_major == major - 1
    return Fate.READ_ONLY if kept else Fate.REFUSES


def because(created_major: int, major: int, found: Fate) -> str:
    """The same as a sentence."""
    made, upcoming = f"made by Elasticsearch {created_major}", f"Elasticsearch {major + 1}"
    if found is Fate.OPENS:
        return f"{made}; {upcoming} opens it as it is"
    if found is Fate.READ_ONLY:
        return f"{made} and write-blocked; {upcoming} opens it for reading only"
    return f"{made}; {upcoming} does not open it"


def warnings_of(settings: Mapping[str, Any], major: int) -> list[dict[str, Any]]:
    """The warnings in Kibana's order; the two standing ones are always there."""
    warnings: list[dict[str, Any]] = [
        {"warningType": "makeIndexReadonly", "flow": "readonly"},
        {"warningType": "replaceIndexWithAlias", "flow": "reindex"},
    ]
    deprecated = index_settings.deprecated(settings)
    if deprecated and major == 8:
        meta = {"deprecatedSettings": deprecated}
        warnings.append({"warningType": "indexSetting", "flow": "all", "meta": meta})
    return warnings


UNTYPED = "_doc"
"""What the cluster calls the mapping of an index without a type of its own."""
LAST_WITH_TYPES = 7
_MOST_OF_A_NAME = 100


def type_lost(index: str, mapping_type: str, major: int) -> str | None:
    """That the new index has no mapping type of its own (Kibana 7.17 warns of it); None where it
    had none, or where nobody can name one any more (8.0 and newer)."""
    if mapping_type == UNTYPED or major > LAST_WITH_TYPES:
        return None
    shown = capped(mapping_type, _MOST_OF_A_NAME)
    return (
        f"The mapping type {shown} of {index} becomes {UNTYPED}: requests that name it in their "
        f"path have to use {UNTYPED}, which they can before, and searches by _type find nothing"
    )
