"""Examples of what is sent and answered, as the API's document shows them.

The names tell one story: `logs-2019` is in the cluster, `logs-2020` is not.
"""

from __future__ import annotations

from typing import Any

from fastapi.openapi.models import Example

Json = dict[str, Any]

_QUEUED_AT = 1795482087131
_STARTED_AT = 1795482087169
_TASK = "D9V7-BJFSJCEU_fm3piclQ:137"


def operation(**changed: Any) -> Json:
    """A fresh operation on the wire; `changed` is what has become of it."""
    return {
        "indexName": "logs-2019",
        "newIndexName": "reindexed-v8-logs-2019",
        "status": 0,
        "lastCompletedStep": 0,
        "locked": None,
        "reindexTaskId": None,
        "reindexTaskPercComplete": None,
        "errorMessage": None,
        "runningReindexCount": None,
        **changed,
    }


def example(summary: str, value: Any) -> Example:
    return {"summary": summary, "value": value}


_WAITING = operation(reindexOptions={"queueSettings": {"queuedAt": _QUEUED_AT}})
_RUNNING = operation(
    lastCompletedStep=40,
    locked="2026-11-24T01:41:29+00:00",
    reindexTaskId=_TASK,
    reindexTaskPercComplete=0.37,
    reindexOptions={
        "openAndClose": False,
        "queueSettings": {"queuedAt": _QUEUED_AT, "startedAt": _STARTED_AT},
    },
    backupSettings={"index.number_of_replicas": "1", "index.refresh_interval": "30s"},
)
_COMPLETED = {
    **_RUNNING,
    "status": 1,
    "lastCompletedStep": 60,
    "locked": None,
    "reindexTaskPercComplete": 1.0,
}
_FAILED = {
    **_RUNNING,
    "status": 2,
    "locked": None,
    "reindexTaskPercComplete": 0.0,
    "errorMessage": "Reindexing failed: 1 documents or searches were refused, the first (odd) "
    "because of strict_dynamic_mapping_exception: [1:13] mapping set to strict, dynamic "
    "introduction of [unmapped] within [_doc] is not allowed",
}
_RENAMED = operation(newIndexName="logs-2019-v2")
_SECOND = {
    **_WAITING,
    "indexName": "logs-2021",
    "newIndexName": "reindexed-v8-logs-2021",
    "reindexOptions": {"queueSettings": {"queuedAt": _QUEUED_AT + 1}},
}
_META: Json = {
    "indexName": "logs-2019",
    "reindexName": "reindexed-v8-logs-2019",
    "aliases": ["logs"],
    "isReadonly": False,
    "isFrozen": False,
    "isInDataStream": False,
    "isFollowerIndex": False,
}
_WARNINGS: list[Json] = [
    {"warningType": "makeIndexReadonly", "flow": "readonly"},
    {"warningType": "replaceIndexWithAlias", "flow": "reindex"},
]


def _status(shown: Json | None) -> Json:
    known = {"warnings": _WARNINGS, "hasRequiredPrivileges": True, "meta": _META}
    return {"reindexOp": shown, **known} if shown else known


def _readiness(state: str, *operations: str) -> Json:
    return {
        "ready": True,
        "worker": {"state": state, "operations": list(operations), "error": None},
        "database": "ok",
        "elasticsearch": "ok",
    }


BATCH_BODIES: dict[str, Example] = {
    "names": example("Names only", {"indexNames": ["logs-2019", "logs-2020"]}),
    "indices": example(
        "Each index with its own options",
        {
            "indices": [
                {"indexName": "logs-2019"},
                {
                    "indexName": "logs-2021",
                    "newIndexName": "logs-2021-v2",
                    "reindexOptions": {"deleteOldIndex": False},
                    "settings": {"mode": "logsdb"},
                },
            ]
        },
    ),
}
REINDEX_BODIES: dict[str, Example] = {
    "renamed": example(
        "A name of one's own; the old index is kept",
        {
            "indexName": "logs-2019",
            "newIndexName": "logs-2019-v2",
            "reindexOptions": {"deleteOldIndex": False},
        },
    ),
    "mode": example(
        "In the queue, with another index mode",
        {
            "indexName": "logs-2019",
            "reindexOptions": {"enqueue": True, "deleteOldIndex": True},
            "settings": {"mode": "logsdb"},
        },
    ),
}
UPDATE_BODIES: dict[str, Example] = {
    "blockWrite": example("Add the write block", {"operations": ["blockWrite"]}),
}

ANSWERS: dict[str, Example] = {
    "batch": example(
        "One queued, one refused",
        {
            "enqueued": [_WAITING],
            "errors": [
                {
                    "indexName": "logs-2020",
                    "message": "Index logs-2020 does not exist in this cluster.",
                }
            ],
        },
    ),
    "queue": example("One running, one waiting", {"queue": [_RUNNING, _SECOND]}),
    "queue_empty": example("Nothing to do", {"queue": []}),
    "started": example("Started", operation()),
    "resumed": example(
        "Resumed where it was paused",
        {**_RUNNING, "locked": None, "reindexOptions": {"openAndClose": False}},
    ),
    "started_renamed": example("Started with a name of one's own", _RENAMED),
    "started_mode": example(
        "Queued, with another index mode",
        operation(
            reindexOptions={"queueSettings": {"queuedAt": _QUEUED_AT}, "deleteOldIndex": True},
            settings='{"mode": "logsdb"}',
        ),
    ),
    "status_running": example("While it is copied", _status(_RUNNING)),
    "status_completed": example(
        "After the swap: the name is an alias now, so there are no warnings",
        {
            "reindexOp": _COMPLETED,
            "hasRequiredPrivileges": True,
            "meta": {**_META, "aliases": []},
        },
    ),
    "status_failed": example("Failed; the index is as it was found", _status(_FAILED)),
    "status_none": example("Never reindexed", _status(None)),
    "status_away": example("While Elasticsearch is away", {"reindexOp": _WAITING}),
    "cancelled": example("Taken", {"acknowledged": True}),
    "alive": example("Alive", {"status": "ok"}),
    "ready": example("At work", _readiness("working", "0f0e6b2c8a5d4a3f9a7c1be2c55f6d10")),
    "ready_away": example(
        "Elasticsearch is away",
        {**_readiness("idle"), "elasticsearch": "no answer within 2 s"},
    ),
    "unready": example("The worker has stopped", {**_readiness("stopped"), "ready": False}),
}
"""By the name under which the document has them."""


def answers(description: str, *names: str, status: int = 200) -> dict[int | str, Json]:
    """What a route documents for an answer that is no error envelope.

    The examples are referred to, not put here: FastAPI takes every null out of what it is given
    for a route (0.165), and an operation has keys that are null.
    """
    examples = {name: {"$ref": f"#/components/examples/{name}"} for name in names}
    content = {"application/json": {"examples": examples}}
    return {status: {"description": description, "content": content}}
