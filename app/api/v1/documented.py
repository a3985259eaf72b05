"""What the routes of `/api/v1` can answer, for the API's document."""

from __future__ import annotations

from app.api.documenting import Shown, answers, error_answers
from app.domain.errors import (
    AddressNotAllowed,
    CannotCancel,
    CannotRollBack,
    InvalidCursor,
    InvalidPace,
    InvalidToken,
    KeyReused,
    NoAge,
    SecretUnusable,
    TokenNameTaken,
    TooManyStreams,
    TooManyWebhooks,
    UnknownBatch,
    UnknownCluster,
    UnknownOperation,
    UnknownToken,
    UnknownWebhook,
    WebhookNameTaken,
    WrongState,
)
from app.domain.remedies import Command, Setting

_BAD_QUERY = Shown(400, "bad_request", "[request query.limit]: it must be at most 500")
_UNKNOWN = UnknownOperation("0b9d2f7c6e5a4d3c8b1a0f9e8d7c6b5b")

_BAD_BATCH = Shown(
    400, "bad_request", "[request body.indices]: expected value of type [array] but got [string]"
)

NEW_BATCH = answers("What was queued, in order, and what was not and why", "v1_new_batch") | (
    error_answers(_BAD_BATCH, KeyReused(), 403, 415, 426, 502, 503)
)
_NO_BATCH = UnknownBatch("5f0c1b2a3d4e5f60718293a4b5c6d7e9")
BATCH = answers("The batch", "v1_batch") | error_answers(_NO_BATCH, 503)
LIST = answers("A page of operations", "v1_operations") | error_answers(_BAD_QUERY, 503)
OPERATION = answers("The operation", "v1_operation", "v1_failed") | error_answers(_UNKNOWN, 503)
PLAN = answers("What would be done, and what stands in the way", "v1_plan") | error_answers(
    Shown(400, "bad_request", "[request body]: give either indices, or outdated true"),
    415,
    426,
    502,
    503,
)
INDICES = answers("Indices by name, and how many there are", "v1_indices") | error_answers(
    _BAD_QUERY, 426, 502, 503
)
_STREAM = {
    "schema": {"type": "string"},
    "example": "retry: 2000\nid: default:41,_service:2\n\n"
    'id: default:42,_service:2\ndata: {"number":42,"at":"2026-11-21T08:00:02.000Z",'
    '"who":"worker:host-1:4711","what":"completed","indexName":"logs-2019","text":"",'
    '"before":null,"after":null,"cluster":"default",'
    '"jobId":"0b9d2f7c6e5a4d3c8b1a0f9e8d7c6b5a",'
    '"batchId":"5f0c1b2a3d4e5f60718293a4b5c6d7e8"}\n\n'
    ": heartbeat\nid: default:42,_service:2\n\n",
}
_PAGE_OR_STREAM = answers("A page of events, or a stream of them", "v1_events", "v1_events_end")
_PAGE_OR_STREAM[200]["content"]["text/event-stream"] = _STREAM
EVENTS = _PAGE_OR_STREAM | error_answers(
    _BAD_QUERY,
    InvalidCursor(
        "yesterday is not a cursor of events. Take one from an answer: next, newest, or the id of "
        "a streamed event."
    ),
    UnknownCluster("west"),
    TooManyStreams(200),
    503,
)
WORKER = answers("The worker and what it does", "v1_worker") | error_answers(503)
SESSION = answers("Who asks, and until when", "v1_session") | error_answers(503)
TOKENS = answers("All tokens, without their secrets", "v1_tokens") | error_answers(503)
NEW_TOKEN = answers("The token, and its secret", "v1_new_token") | error_answers(
    TokenNameTaken("nightly"),
    InvalidToken("The token would have expired already. Choose a later time."),
    415,
    503,
)
REVOKED_TOKEN = answers("The token, revoked", "v1_revoked_token") | error_answers(
    UnknownToken("nightly"), 503
)
_NO_WEBHOOK = UnknownWebhook("chat")
_NOT_ALLOWED = AddressNotAllowed(
    "hooks.example leads to 10.0.0.5, which is not public. Such an address must be allowed by "
    "itself or by a network, not only by a name."
)
_NO_KEYS = SecretUnusable(
    "no_keys",
    f"No secret can be stored or read, since {Setting.SECRET_KEYS} is not set. Make a key with: "
    f"{Command.NEW_KEY}",
)
WEBHOOKS = answers("All webhooks, without their secrets", "v1_webhooks") | error_answers(503)
WEBHOOK = answers("The webhook", "v1_webhook") | error_answers(_NO_WEBHOOK, 503)
NEW_WEBHOOK = answers("The webhook, and its secret", "v1_new_webhook") | error_answers(
    _NOT_ALLOWED, _NO_KEYS, WebhookNameTaken("chat"), TooManyWebhooks(20), 415, 503
)
CHANGED_WEBHOOK = answers(
    "The webhook, and its new secret where it has one", "v1_changed_webhook", "v1_rotated_webhook"
) | error_answers(_NOT_ALLOWED, _NO_KEYS, _NO_WEBHOOK, 415, 503)
TESTED_WEBHOOK = answers("What came of it", "v1_tested_webhook", "v1_failed_webhook") | (
    error_answers(_NO_KEYS, _NO_WEBHOOK, 503)
)
DOCTOR = answers("What was looked at, and what was found", "v1_doctor")

_NO_PACE = InvalidPace("The hours 22:00-22:00 never open. For whole days write 00:00-24:00.")
_NO_RATE = Shown(
    400,
    "bad_request",
    "[request body.requestsPerSecond]: it must be at least 0.1",
)

PACE = answers("The pace", "v1_pace", "v1_pace_ill") | error_answers(503)
PACE_SET = answers("The pace, in force now", "v1_pace") | error_answers(_NO_RATE, _NO_PACE, 503)
STOPPED = answers("What stands still now", "v1_stopped") | error_answers(
    Shown(
        400,
        "bad_request",
        "[request body.reason]: expected value of type [string] but got [number]",
    ),
    503,
)
OF_BATCH = answers("Its pace", "v1_pace_of_batch") | error_answers(_NO_BATCH, 503)
OF_BATCH_SET = answers("Its pace, in force now", "v1_pace_of_batch") | error_answers(
    _NO_RATE, _NO_PACE, _NO_BATCH, 503
)
OF_OPERATION = answers("Its pace", "v1_pace_of_operation") | error_answers(_UNKNOWN, 503)
OF_OPERATION_SET = answers("Its pace, in force now", "v1_pace_of_operation") | error_answers(
    _NO_RATE, _NO_PACE, WrongState("The operation on logs-2019 has ended."), _UNKNOWN, 503
)

ADOPT = answers("What had kept this database, and what is revoked", "v1_adopted") | error_answers(
    Shown(400, "bad_request", "[request body.keepTokens]: it must be true or false"),
    WrongState("Nothing keeps this database from its work: it goes on already."),
    503,
)
ROTATED = answers("What became of the stored secrets", "v1_rotated") | error_answers(
    SecretUnusable(
        "no_keys",
        "No secret can be stored or read, since REINDEX_SECRET_KEYS is not set. Make a key with: "
        "reindex-queue keys new",
    ),
    503,
)
HISTORY = answers("How long history stays, and the last pruning", "v1_pruned") | error_answers(503)
PRUNE = answers("What the worker removes now", "v1_pruning") | error_answers(
    Shown(400, "bad_request", "[request body.days]: it must be at least 0"),
    NoAge(),
    WrongState("A pruning goes on already, asked for by service. Wait until it is done."),
    503,
)

CANCELLED = answers("The operation, on its way back", "v1_cancelling") | error_answers(
    CannotCancel("It is too late to cancel: logs-2019 is completed."), _UNKNOWN, 503
)
PAUSED = answers("The operation, put aside or soon", "v1_pausing", "v1_paused") | error_answers(
    WrongState("Only an operation that is going on can be paused; logs-2019 is completed."),
    _UNKNOWN,
    503,
)
RESUMED = answers("The operation, going on", "v1_running") | error_answers(
    WrongState("Only a paused operation can be resumed; logs-2019 is completed."), _UNKNOWN, 503
)
RETRIED = answers("The operation, or the one that follows it", "v1_holding") | error_answers(
    WrongState(
        "Only an operation that failed, was cancelled or waits for something can be tried again; "
        "logs-2019 is completed."
    ),
    _UNKNOWN,
    400,
    403,
    426,
    502,
    503,
)
_BAD_FORCE = Shown(400, "bad_request", "[request body.force]: it must be true or false")
ROLLED_BACK = answers("The operation, on its way back", "v1_rolling_back") | error_answers(
    _BAD_FORCE,
    CannotRollBack(
        "written_since",
        "Documents were written to reindexed-v8-logs-2019 since the swap, which the kept copy does "
        "not have: they would be lost. Send force true to roll back all the same.",
    ),
    CannotRollBack(
        "no_kept_copy",
        "The old index of logs-2019 was not kept: it was posted without keepOldIndex.",
    ),
    _UNKNOWN,
    415,
    426,
    502,
    503,
)

_EACH = "Every operation of the batch, and what became of it"
BATCH_CANCELLED = answers(_EACH, "v1_batch_cancelled") | error_answers(_NO_BATCH, 503)
BATCH_PAUSED = answers(_EACH, "v1_batch_paused") | error_answers(_NO_BATCH, 503)
BATCH_RESUMED = answers(_EACH, "v1_batch_resumed") | error_answers(_NO_BATCH, 503)
BATCH_RETRIED = answers(_EACH, "v1_batch_retried") | error_answers(_NO_BATCH, 403, 426, 502, 503)
BATCH_ROLLED_BACK = answers(_EACH, "v1_batch_rolled_back") | error_answers(
    _BAD_FORCE, _NO_BATCH, 415, 503
)
