"""Events: what happened, of a closed list of kinds, each with a text beside it."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from pydantic import BaseModel, ConfigDict


class EventKind(StrEnum):
    """What an event is about: `what` on the wire. docs/events.md explains each for people.

    A release may add kinds; it never renames one, for scripts look for them.
    """

    # an operation: asked for, begun, ended
    QUEUED = "queued"
    STARTED = "started"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    ROLLED_BACK = "rolled back"
    # what a person asks of it
    CANCEL_REQUESTED = "cancel requested"
    CANCELLING = "cancelling"
    PAUSE_REQUESTED = "pause requested"
    PAUSE_TAKEN_BACK = "pause taken back"
    PAUSING = "pausing"
    PAUSED = "paused"
    RESUMED = "resumed"
    RETRY_REQUESTED = "retry requested"
    TRIED_AGAIN = "tried again"
    ROLLBACK_REQUESTED = "rollback requested"
    ROLLBACK_CANCELLED = "rollback cancelled"
    ROLLBACK_REFUSED = "rollback refused"
    # small jobs, whose clients wait
    BLOCK_WRITE_REQUESTED = "blockWrite requested"
    TRIAL_REQUESTED = "trial requested"
    # where it waits, goes on, turns back
    HOLDS = "holds"
    GOES_ON = "goes on"
    TURNED_BACK = "turned back"
    UNDO_GIVEN_UP = "undo given up"
    PARKING = "parking"
    PARKED = "parked"
    GIVING_BACK = "giving back"
    GIVEN_BACK = "given back"
    WRITES_BLOCKED_FOR_LONG = "writes blocked for long"
    WARNING = "warning"
    # the copy and its proof
    WINDOW_CUT = "window cut"
    WINDOW_RUNS_AGAIN = "window runs again"
    COPY_STOPS = "copy stops"
    COPY_BEGINS_ANEW = "copy begins anew"
    PROOF_CHOSEN = "proof chosen"
    PROOF_GOES_ON_ONE_BY_ONE = "proof goes on one by one"
    PROOF_BEGINS_ANEW = "proof begins anew"
    PROVEN = "proven"
    SWAP_FOUND_DONE = "swap found done"
    NAME_GIVEN_BACK = "name given back"
    OLD_INDEX_KEPT = "old index kept"
    KEPT_COPY_GONE = "kept copy gone"
    KEPT_COPY_STAYS = "kept copy stays"
    COPY_KEPT = "copy kept"
    # what was changed in the cluster
    TARGET_CREATED = "target created"
    TARGET_KEPT = "target kept"
    WRITE_BLOCK_ADDED = "write block added"
    WRITE_BLOCK_KEPT = "write block kept"
    SETTINGS_CHANGED = "settings changed"
    MAPPING_CHANGED = "mapping changed"
    INDEX_OPENED = "index opened"
    INDEX_CLOSED = "index closed"
    INDEX_REMOVED = "index removed"
    OLD_INDEX_CLONED = "old index cloned"
    ALIASES_MOVED = "aliases moved"
    ALIASES_REMOVED = "aliases removed"
    MARKER_PUT_ON = "marker put on"
    MARKER_LEFT = "marker left"
    DOCUMENTS_COPIED = "documents copied"
    COPY_TASK_STARTED = "copy task started"
    COPY_TASK_THROTTLED = "copy task throttled"
    COPY_TASK_CANCELLED = "copy task cancelled"
    # the service and the cluster as a whole
    PACE_CHANGED = "pace changed"
    HEALTH_GATE = "health gate"
    EVERYTHING_STOPPED = "everything stopped"
    EVERYTHING_GOES_ON = "everything goes on"
    CLUSTER_CHANGED = "cluster changed"
    CLUSTER_MARKED = "cluster marked"
    OTHER_DATABASE_FOUND = "other database found"
    DATABASE_ADOPTED = "database adopted"
    PRUNING_REQUESTED = "pruning requested"
    PRUNED = "pruned"
    TOKEN_CREATED = "token created"  # noqa: S105 - no secret
    TOKEN_REVOKED = "token revoked"  # noqa: S105 - no secret
    KEYS_ROTATED = "keys rotated"
    WEBHOOK_CREATED = "webhook created"
    WEBHOOK_CHANGED = "webhook changed"
    WEBHOOK_DELETED = "webhook deleted"
    WEBHOOK_SWITCHED_OFF = "webhook switched off"


AUDIT = frozenset(
    {
        EventKind.QUEUED,
        EventKind.COMPLETED,
        EventKind.FAILED,
        EventKind.CANCELLED,
        EventKind.ROLLED_BACK,
        EventKind.CANCEL_REQUESTED,
        EventKind.PAUSE_REQUESTED,
        EventKind.PAUSE_TAKEN_BACK,
        EventKind.PAUSED,
        EventKind.RESUMED,
        EventKind.RETRY_REQUESTED,
        EventKind.ROLLBACK_REQUESTED,
        EventKind.ROLLBACK_CANCELLED,
        EventKind.ROLLBACK_REFUSED,
        EventKind.BLOCK_WRITE_REQUESTED,
        EventKind.TRIAL_REQUESTED,
        EventKind.PROVEN,
        EventKind.NAME_GIVEN_BACK,
        EventKind.KEPT_COPY_GONE,
        EventKind.TARGET_CREATED,
        EventKind.TARGET_KEPT,
        EventKind.WRITE_BLOCK_ADDED,
        EventKind.WRITE_BLOCK_KEPT,
        EventKind.SETTINGS_CHANGED,
        EventKind.MAPPING_CHANGED,
        EventKind.INDEX_OPENED,
        EventKind.INDEX_CLOSED,
        EventKind.INDEX_REMOVED,
        EventKind.OLD_INDEX_CLONED,
        EventKind.ALIASES_MOVED,
        EventKind.ALIASES_REMOVED,
        EventKind.MARKER_PUT_ON,
        EventKind.MARKER_LEFT,
        EventKind.PACE_CHANGED,
        EventKind.EVERYTHING_STOPPED,
        EventKind.EVERYTHING_GOES_ON,
        EventKind.CLUSTER_CHANGED,
        EventKind.CLUSTER_MARKED,
        EventKind.OTHER_DATABASE_FOUND,
        EventKind.DATABASE_ADOPTED,
        EventKind.PRUNING_REQUESTED,
        EventKind.PRUNED,
        EventKind.TOKEN_CREATED,
        EventKind.TOKEN_REVOKED,
        EventKind.KEYS_ROTATED,
        EventKind.WEBHOOK_CREATED,
        EventKind.WEBHOOK_CHANGED,
        EventKind.WEBHOOK_DELETED,
        EventKind.WEBHOOK_SWITCHED_OFF,
    }
)
"""Who asked for what, what became of it, and what was changed in the cluster: these stay longer
than the operations that they are about."""


class Note(BaseModel):
    """Something worth an event. `before` and `after` show a change to the cluster."""

    model_config = ConfigDict(frozen=True)

    what: EventKind
    index: str | None = None
    text: str = ""
    before: Any = None
    after: Any = None
