"""Examples of `/api/v1` for the API's document, in the story of `app.api.examples`."""

from __future__ import annotations

from typing import Any

from fastapi.openapi.models import Example

from app.api.examples import example

_LIMIT: dict[str, Any] = {
    "requestsPerSecond": None,
    "windowsInFlight": 3,
    "closed": False,
    "until": None,
    "reason": "no rate limit, 3 windows at once (service)",
    "limits": [],
}
_RUNNING: dict[str, Any] = {
    "id": "0b9d2f7c6e5a4d3c8b1a0f9e8d7c6b5a",
    "indexName": "logs-2019",
    "newIndexName": "reindexed-v8-logs-2019",
    "state": "running",
    "step": "reindexStarted",
    "queued": True,
    "batchId": "5f0c1b2a3d4e5f60718293a4b5c6d7e8",
    "caller": "api:127.0.0.1",
    "keepsOldIndex": False,
    "keptCopy": None,
    "proofLevel": "sample",
    "mode": None,
    "cancelRequested": False,
    "pending": None,
    "writesBlocked": True,
    "writesBlockedSince": "2026-11-24T10:00:00.402Z",
    "hold": None,
    "error": None,
    "progress": {
        "fraction": 0.41,
        "documentsDone": 411_200,
        "documentsTotal": 1_002_000,
        "bytesDone": 119_630_271,
        "bytesTotal": 291_504_128,
        "windowsDone": 0,
        "windowsTotal": 3,
        "speed": 24_100.0,
        "overallSpeed": 23_800.0,
        "etaSeconds": 24.5,
        "etaLowSeconds": 18.9,
        "etaHighSeconds": 30.5,
    },
    "pace": _LIMIT,
    "queuedAt": "2026-11-24T10:00:00.123Z",
    "createdAt": "2026-11-24T10:00:00.123Z",
    "startedAt": "2026-11-24T10:00:00.151Z",
    "updatedAt": "2026-11-24T10:00:18.020Z",
    "endedAt": None,
}
_STILL: dict[str, Any] = {
    **_RUNNING["progress"],
    "speed": None,
    "etaSeconds": None,
    "etaLowSeconds": None,
    "etaHighSeconds": None,
}
"""Progress while nothing is copied."""
_COPIED: dict[str, Any] = {
    **_STILL,
    "fraction": 1.0,
    "documentsDone": 1_002_000,
    "bytesDone": 291_504_128,
    "windowsDone": 3,
}
_NEW: dict[str, Any] = {
    **_RUNNING,
    "state": "waiting",
    "step": "created",
    "writesBlocked": False,
    "progress": None,
    "startedAt": None,
    "updatedAt": "2026-11-24T10:00:00.123Z",
}
_HOLDING: dict[str, Any] = {
    **_RUNNING,
    "id": "7a6b5c4d3e2f10897a6b5c4d3e2f1089",
    "indexName": "logs-2020",
    "newIndexName": "reindexed-v8-logs-2020",
    "state": "holding",
    "step": "indexSettingsRestored",
    "hold": {
        "reason": "Elasticsearch cannot do it now (400 snapshot_in_progress_exception): …",
        "since": "2026-11-24T10:02:00.000Z",
        "attempts": 7,
        "nextAttemptAt": "2026-11-24T10:04:12.500Z",
    },
    "progress": _COPIED,
}
_COUNTS = {
    "waiting": 16,
    "running": 1,
    "holding": 0,
    "undoing": 0,
    "paused": 0,
    "completed": 3,
    "failed": 1,
    "cancelled": 0,
    "rolledBack": 0,
}
_KEPT: dict[str, Any] = {
    **_RUNNING,
    "id": "1c2d3e4f5a6b7c8d9e0f1a2b3c4d5e6f",
    "state": "completed",
    "step": "aliasCreated",
    "writesBlocked": False,
    "writesBlockedSince": None,
    "progress": _COPIED,
    "pace": None,
    "updatedAt": "2026-11-24T10:01:12.040Z",
    "endedAt": "2026-11-24T10:01:12.040Z",
    "keptCopy": {
        "index": "kept-logs-2019-1c2d3e4f",
        "state": "kept",
        "until": "2026-12-01T10:01:12.040Z",
    },
}
_REFUSED = {
    "index": "logs-2020",
    "code": "index_not_found",
    "message": "Index logs-2020 does not exist in this cluster.",
}
_BATCH: dict[str, Any] = {
    "id": "5f0c1b2a3d4e5f60718293a4b5c6d7e8",
    "caller": "api:127.0.0.1",
    "createdAt": "2026-11-24T10:00:00.123Z",
    "total": 20,
    "counts": {**_COUNTS, "waiting": 15},
    "progress": _RUNNING["progress"],
    "notCounted": 0,
    "refused": [_REFUSED],
}

_DETAILS: dict[str, Any] = {
    **_RUNNING,
    "failure": None,
    "proving": None,
    "proof": None,
    "windows": [
        {
            "number": 0,
            "shard": 0,
            "fromSeqNo": None,
            "toSeqNo": 334_001,
            "state": "running",
            "documents": 334_000,
            "seen": 120_000,
            "batch": 2_000,
            "attempt": 1,
            "taskId": "D9V7-BJFSJCEU_fm3piclQ:137",
            "startedAt": "2026-11-24T10:00:01.000Z",
            "endedAt": None,
        }
    ],
    "events": [
        {
            "number": 41,
            "at": "2026-11-24T10:00:00.151Z",
            "who": "worker:host:7",
            "what": "started",
            "indexName": "logs-2019",
            "text": "",
            "before": None,
            "after": None,
        }
    ],
}
_MESSAGE = (
    "Reindexing failed: 2 documents or searches were refused, the first (17) because of "
    "document_parsing_exception: [1:9] failed to parse field [size] of type [long]"
)
_FAILED: dict[str, Any] = {
    **_DETAILS,
    "state": "failed",
    "writesBlocked": False,
    "writesBlockedSince": None,
    "progress": _STILL,
    "pace": None,
    "updatedAt": "2026-11-24T10:00:19.004Z",
    "endedAt": "2026-11-24T10:00:19.004Z",
    "error": {"code": "copy_failed", "message": _MESSAGE},
    "failure": {
        "class": "documents",
        "step": "copy",
        "message": _MESSAGE,
        "remedy": "Mend or delete the documents that are named, or take off logs-2019 the mapping "
        "or setting that refuses them, then retry. Until then logs-2019 is as it was.",
        "documents": [
            {
                "id": "17",
                "type": "document_parsing_exception",
                "reason": "[1:9] failed to parse field [size] of type [long]",
            },
            {
                "id": "93",
                "type": "document_parsing_exception",
                "reason": "[1:9] failed to parse field [size] of type [long]",
            },
        ],
        "counts": {"document_parsing_exception": 2},
    },
}


def _steered(outcome: str, reason: str | None = None, **changed: Any) -> dict[str, Any]:
    return {
        "id": _RUNNING["id"],
        "indexName": "logs-2019",
        "state": "running",
        "pending": None,
        "writesBlocked": True,
        "outcome": outcome,
        "reason": reason,
        "followedBy": None,
        **changed,
    }


def _batch(*operations: dict[str, Any]) -> dict[str, Any]:
    verdicts = ("changed", "unchanged", "tooLate", "refused")
    outcomes = [operation["outcome"] for operation in operations]
    counts = {verdict: outcomes.count(verdict) for verdict in verdicts}
    return {"id": _BATCH["id"], "counts": counts, "operations": list(operations)}


_OVER = {"id": _HOLDING["id"], "indexName": "logs-2020", "state": "completed"}
_COMPLETED: dict[str, Any] = {**_OVER, "writesBlocked": False}
_WORKER: dict[str, Any] = {
    "state": "working",
    "error": None,
    "role": {"holder": "host:7", "mine": True},
    "waitsFor": None,
    "queueLength": 17,
    "counts": _COUNTS,
    "head": _RUNNING,
    "inHand": [_RUNNING],
    "pace": _LIMIT,
    "elasticsearch": {"reachable": True, "versions": ["8.19.8"], "error": None},
    "database": "sqlite",
    "version": "0.1.0",
}
_WRONG: dict[str, Any] = {
    "healthy": False,
    "version": "0.1.0",
    "checks": [
        {
            "name": "elasticsearch",
            "verdict": "wrong",
            "finding": "Elasticsearch cannot be reached: http://localhost:9200: no connection "
            "within 5 s. Check that it runs and that ELASTICSEARCH_HOSTS names it.",
            "remedy": "Queued operations wait for it and go on by themselves.",
        },
        {"name": "database", "verdict": "ok", "finding": "sqlite answers", "remedy": None},
    ],
}

BATCH_BODIES: dict[str, Example] = {
    "names": example("As the settings say", {"indices": [{"index": "logs-2019"}]}),
    "kept": example(
        "Kept for a rollback, one of them proven to the last document",
        {
            "indices": [{"index": "logs-2019"}, {"index": "logs-2021", "proof": "full"}],
            "keepOldIndex": True,
        },
    ),
    "slow": example(
        "Slowly",
        {"indices": [{"index": "logs-2019"}], "pace": {"requestsPerSecond": 500}},
    ),
}
ROLLBACK_BODIES: dict[str, Example] = {
    "careful": example("Unless documents were written since", {"force": False}),
    "forced": example("Whatever was written since", {"force": True}),
}
PACE_BODIES: dict[str, Example] = {
    "slow": example("500 documents a second", {"requestsPerSecond": 500}),
    "nights": example(
        "At night and on weekends, two tasks at a time",
        {
            "windowsInFlight": 2,
            "hours": [
                {"from": "22:00", "to": "06:00", "zone": "Europe/Berlin"},
                {"from": "00:00", "to": "24:00", "zone": "Europe/Berlin", "days": ["sat", "sun"]},
            ],
        },
    ),
    "free": example("No limit of documents a second", {"requestsPerSecond": None}),
}
STOP_BODIES: dict[str, Example] = {
    "reason": example("With a reason", {"reason": "search is slow, ask Ada"}),
}
_HEALTHY = {"windowsInFlight": None, "cause": "", "since": None, "blind": None}
_PACE: dict[str, Any] = {
    "scope": "service",
    "requestsPerSecond": 500.0,
    "windowsInFlight": 2,
    "hours": [{"from": "22:00", "to": "06:00", "zone": "Europe/Berlin", "days": None}],
    "stored": True,
    "inForce": {
        **_LIMIT,
        "requestsPerSecond": 500.0,
        "windowsInFlight": 2,
        "until": "2026-11-25T05:00:00.000Z",
        "reason": "at most 500 documents a second (service), 2 windows at once (service), hours: "
        "22:00-06:00 Europe/Berlin (service), until 2026-11-25 05:00 UTC",
        "limits": [
            "at most 500 documents a second (service)",
            "2 windows at once (service)",
            "hours: 22:00-06:00 Europe/Berlin (service), until 2026-11-25 05:00 UTC",
        ],
    },
    "stopped": None,
    "health": _HEALTHY,
}
_ILL: dict[str, Any] = {
    **_PACE,
    "requestsPerSecond": None,
    "hours": None,
    "inForce": {
        **_LIMIT,
        "windowsInFlight": 1,
        "reason": "no rate limit, 1 window at once (health gate: es-2 rejected 12 writes)",
        "limits": ["1 window at once (health gate: es-2 rejected 12 writes)"],
    },
    "health": {
        "windowsInFlight": 1,
        "cause": "es-2 rejected 12 writes",
        "since": "2026-11-24T10:00:15.000Z",
        "blind": None,
    },
}
_STOPPED: dict[str, Any] = {
    **_ILL,
    "inForce": {
        **_LIMIT,
        "closed": True,
        "reason": "stopped by api:127.0.0.1 at 2026-11-24 10:00 UTC: search is slow, ask Ada",
        "limits": ["stopped by api:127.0.0.1 at 2026-11-24 10:00 UTC: search is slow, ask Ada"],
    },
    "stopped": {
        "by": "api:127.0.0.1",
        "at": "2026-11-24T10:00:18.000Z",
        "reason": "search is slow, ask Ada",
        "blockedIndices": ["logs-2019"],
    },
    "health": _HEALTHY,
}

ANSWERS: dict[str, Example] = {
    "v1_operations": example(
        "A page of many",
        {"operations": [_RUNNING, _HOLDING], "next": "1795514400124", "counts": _COUNTS},
    ),
    "v1_new_batch": example(
        "One of two", {"id": _BATCH["id"], "operations": [_NEW], "refused": [_REFUSED]}
    ),
    "v1_batch": example("Under way", _BATCH),
    "v1_rolling_back": example(
        "Taken: it goes back",
        {**_KEPT, "state": "undoing", "pending": "rollingBack", "pace": _LIMIT},
    ),
    "v1_operation": example("While it is copied", _DETAILS),
    "v1_running": example("While it is copied", _RUNNING),
    "v1_holding": example("While it waits for a snapshot to end", _HOLDING),
    "v1_failed": example("Failed", _FAILED),
    "v1_cancelling": example(
        "Taken: it goes back", {**_RUNNING, "cancelRequested": True, "pending": "cancelling"}
    ),
    "v1_paused": example(
        "Put aside",
        {**_RUNNING, "state": "paused", "writesBlocked": False, "progress": _STILL},
    ),
    "v1_pausing": example("Taken: put aside soon", {**_RUNNING, "pending": "pausing"}),
    "v1_batch_cancelled": example(
        "One goes back, one has its new name already",
        _batch(
            _steered("changed", pending="cancelling"),
            _steered("tooLate", "It is too late to cancel: logs-2020 is completed.", **_COMPLETED),
        ),
    ),
    "v1_batch_paused": example(
        "One is put aside soon, one was never begun",
        _batch(
            _steered("changed", pending="pausing"),
            _steered("changed", **{**_COMPLETED, "state": "paused"}),
        ),
    ),
    "v1_batch_resumed": example(
        "One goes on",
        _batch(
            _steered("changed"),
            _steered(
                "unchanged",
                "Only a paused operation can be resumed; logs-2020 is completed.",
                **_COMPLETED,
            ),
        ),
    ),
    "v1_batch_retried": example(
        "One is queued anew",
        _batch(
            _steered("changed", state="failed", writesBlocked=False, followedBy=_KEPT["id"]),
        ),
    ),
    "v1_batch_rolled_back": example(
        "One goes back to its old index, one was not kept",
        _batch(
            _steered("changed", state="undoing", pending="rollingBack", writesBlocked=False),
            _steered(
                "refused",
                "The old index of logs-2020 was not kept: it was posted without keepOldIndex.",
                **_COMPLETED,
            ),
        ),
    ),
    "v1_pace": example("Slowly, at night", _PACE),
    "v1_pace_ill": example("While the cluster is strained", _ILL),
    "v1_pace_of_batch": example("Of a batch", {**_PACE, "scope": "batch"}),
    "v1_pace_of_operation": example("Of an operation", {**_PACE, "scope": "operation"}),
    "v1_stopped": example("Everything stands still", _STOPPED),
    "v1_worker": example("At work", _WORKER),
    "v1_doctor": example("Elasticsearch is away", _WRONG),
}
