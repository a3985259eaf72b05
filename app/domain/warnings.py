"""What a person should know before an index is reindexed (Kibana 8.18+, section 6.1)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from app.domain import index_settings


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
