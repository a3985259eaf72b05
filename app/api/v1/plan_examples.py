"""Examples of `/api/v1/plan` and `/api/v1/indices`, in the story of `app.api.examples`."""

from __future__ import annotations

from typing import Any

from fastapi.openapi.models import Example

from app.api.examples import example

_OUTDATED: dict[str, Any] = {
    "index": "logs-2019",
    "createdMajor": 7,
    "nextMajor": "refuses",
    "why": "made by Elasticsearch 7; Elasticsearch 9 does not open it",
    "newIndexName": "reindexed-v8-logs-2019",
    "blockers": [],
    "closed": False,
    "documents": 1_002_000,
    "primaryBytes": 291_504_128,
    "ownedBy": None,
}
_BACKING_INDEX: dict[str, Any] = {
    **_OUTDATED,
    "index": ".ds-metrics-2021.03.01-000001",
    "newIndexName": ".reindexed-v8-ds-metrics-2021.03.01-000001",
    "blockers": [
        {
            "code": "backing_index",
            "message": ".ds-metrics-2021.03.01-000001 belongs to the data stream metrics and "
            "cannot be replaced by an alias. Migrate the data stream with POST "
            "_migration/reindex (8.18 and newer).",
        }
    ],
}

_NO_PLAN: dict[str, Any] = {
    "index": ".ds-metrics-2021.03.01-000001",
    "kind": "backing_index",
    "why": "made by Elasticsearch 7; Elasticsearch 9 does not open it",
    "blockers": _BACKING_INDEX["blockers"],
    "missingPrivileges": [],
    "newIndexName": ".reindexed-v8-ds-metrics-2021.03.01-000001",
    "keepOldIndex": False,
    "proof": "sample",
    "fullProof": {"lowSeconds": 9.8, "highSeconds": 74.2},
    "mode": None,
    "references": [],
    "droppedSettings": [],
    "warnings": [],
    "documents": 1_002_000,
    "primaryBytes": 291_504_128,
    "shards": 1,
    "replicas": 1,
    "windows": 3,
    "duration": {"lowSeconds": 31.2, "highSeconds": 60.9},
    "writeBlock": {"lowSeconds": 31.0, "highSeconds": 60.5},
    "diskBytes": 583_008_256,
    "diskShortage": None,
    "missingSnapshot": None,
    "trial": None,
}
_PLAN: dict[str, Any] = {
    "indices": [
        {
            **_NO_PLAN,
            "index": "logs-2019",
            "kind": "index",
            "blockers": [],
            "newIndexName": "reindexed-v8-logs-2019",
            "references": [
                {
                    "kind": "alias",
                    "name": "logs",
                    "effect": "moves along; it is its write index, so writes stop for the whole "
                    "copy",
                }
            ],
            "droppedSettings": ["index.soft_deletes.enabled"],
            "trial": {"outcome": "fits", "text": ""},
        },
        _NO_PLAN,
    ],
    "ready": 1,
    "blocked": 1,
    "documents": 1_002_000,
    "primaryBytes": 291_504_128,
    "duration": {"lowSeconds": 31.2, "highSeconds": 60.9},
    "writeBlock": {"lowSeconds": 31.0, "highSeconds": 60.5},
    "disk": {
        "checked": True,
        "peakBytes": 583_008_256,
        "stayingBytes": 0,
        "roomBytes": 42_949_672_960,
        "shortage": None,
        "nodes": [
            {
                "name": "warm-1",
                "totalBytes": 107_374_182_400,
                "availableBytes": 59_055_800_320,
                "roomBytes": 42_949_672_960,
            }
        ],
    },
    "shards": {"peak": 2, "left": 618, "shortage": None},
    "notLookedFor": ["enrichPolicy", "transform"],
    "measured": 14,
}

PLAN_BODIES: dict[str, Example] = {
    "outdated": example("All that the next major version does not open", {"outdated": True}),
    "named": example(
        "One, its new index tried out", {"indices": [{"index": "logs-2019"}], "trial": True}
    ),
}

ANSWERS: dict[str, Example] = {
    "v1_plan": example("Two, one of which cannot be reindexed", _PLAN),
    "v1_indices": example(
        "Two that have to be reindexed, one of them otherwise",
        {
            "indices": [_BACKING_INDEX, _OUTDATED],
            "next": None,
            "counts": {"total": 214, "refused": 2, "blocked": 1, "readOnly": 0},
        },
    ),
}
