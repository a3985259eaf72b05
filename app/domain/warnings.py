"""What a person should know before an index is reindexed (Kibana 8.18+, section 6.1)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from app.domain import index_settings
from app.domain.texts import capped


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
