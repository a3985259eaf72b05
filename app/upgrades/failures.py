"""What a failure is told as: its class, and what to do about it. Pure: an error in, details out."""

from __future__ import annotations

from app.domain.errors import ClusterRefused, DocumentsDiffer, DocumentsRefused, Failure
from app.domain.failure import FailureClass, FailureDetails
from app.domain.operation import Operation
from app.domain.remedies import Setting

_CHANGED_MEANWHILE = (
    "Somebody changed {source} or {target} while it was reindexed. Find out who, then retry."
)
_LOOK_AT_BOTH = (
    "Look at the documents of {source} and {target}; a retry removes {target} and copies again."
)

_KNOWN: dict[str, tuple[FailureClass, str]] = {
    "copy_failed": (
        FailureClass.DOCUMENTS,
        "Mend or delete the documents that are named, or take off {source} the mapping or setting "
        "that refuses them, then retry. Until then {source} is as it was.",
    ),
    "document_too_heavy": (
        FailureClass.ELASTICSEARCH,
        "Give the nodes more heap or raise their indexing_pressure.memory.limit, then retry. Until "
        "then {source} is as it was.",
    ),
    "target_refused": (
        FailureClass.INDEX,
        "Take the mapping or setting that is named off {source} and retry, or fill a new index "
        "from where the data came from.",
    ),
    "target_of_streams": (
        FailureClass.NAME,
        "Narrow the pattern of the template that matches {target}, or post {index} with another "
        "newIndexName.",
    ),
    "target_differs": (
        FailureClass.INDEX,
        "Narrow the pattern of the index template that matches {target}, or take the setting that "
        "is named off {source}, then retry.",
    ),
    "alias_filter": (
        FailureClass.INDEX,
        "Give the alias that is named another filter, or take it off {source}, then retry.",
    ),
    "target_taken": (
        FailureClass.NAME,
        "Remove or rename what has the name {target}, or choose another name, then retry.",
    ),
    "kept_name_taken": (
        FailureClass.NAME,
        "Remove or rename the index that has the name of the kept copy, then retry.",
    ),
    "name_taken": (
        FailureClass.NAME,
        "Decide which index is to have the name {index}: the documents are in {target}, too.",
    ),
    "name_gone": (FailureClass.NAME, "Give {source} the alias {index} again, then retry."),
    "source_missing": (
        FailureClass.INTERFERENCE,
        "{target} was kept, if it was made: it may be the only copy, and may not be complete.",
    ),
    "source_replaced": (
        FailureClass.INTERFERENCE,
        "Retry to reindex the index that is there now. {target} was kept, if it was made: it has "
        "documents of the one before, perhaps not all.",
    ),
    "source_closed": (FailureClass.INTERFERENCE, "Open {source}, then retry."),
    "source_changed": (FailureClass.INTERFERENCE, _CHANGED_MEANWHILE),
    "write_block_lifted": (FailureClass.INTERFERENCE, _CHANGED_MEANWHILE),
    "target_missing": (FailureClass.INTERFERENCE, _CHANGED_MEANWHILE),
    "target_changed": (FailureClass.INTERFERENCE, _CHANGED_MEANWHILE),
    "fields_added": (
        FailureClass.INDEX,
        'Say in the mapping of {source} what goes without saying, PUT {source}/_mapping {{"dynamic"'
        ": true}}, then retry: its fields stay as they are then.",
    ),
    "target_replaced": (
        FailureClass.INTERFERENCE,
        "Look at {target}, which was left alone: a copy task that still wrote makes a deleted "
        "index again. Remove or rename it, then retry.",
    ),
    "documents_differ": (FailureClass.PROOF, _LOOK_AT_BOTH),
    "kept_copy_differs": (FailureClass.PROOF, "Retry; {source} is as it was."),
    "index_not_allowed": (
        FailureClass.PRIVILEGES,
        "Post {index} as somebody who may work on {source} and {target}.",
    ),
    "missing_privileges": (
        FailureClass.PRIVILEGES,
        "Grant the service's user the privileges that are named, then retry.",
    ),
    "security_exception": (
        FailureClass.PRIVILEGES,
        "Grant the service's user what Elasticsearch says it lacks, then retry.",
    ),
    "restricted_reading": (
        FailureClass.PRIVILEGES,
        "Give the service a user or key without document- or field-level security, then retry.",
    ),
    "answer_misread": (
        FailureClass.UNEXPECTED,
        "Report it, with the versions of Elasticsearch and Reindex Queue, or try a newer Reindex "
        "Queue. {source} is as it was, and a retry does no harm.",
    ),
    "answer_too_large": (
        FailureClass.INDEX,
        "Have less compared (proof: count) if it is documents that are too large, and retry; else "
        "report it. {source} is as it was.",
    ),
    "search_refused": (
        FailureClass.ELASTICSEARCH,
        "Mend what the shard says, then retry. {source} is as it was.",
    ),
    "no_answer": (
        FailureClass.ELASTICSEARCH,
        "Look into Elasticsearch's log, and at what lies between it and this service, for why it "
        "closes the connection; then retry. {source} is as it was.",
    ),
    "not_seen": (
        FailureClass.ELASTICSEARCH,
        "Find out why Elasticsearch accepts the change and does not make it, or who takes it back "
        "at once, then retry. {source} is as it was.",
    ),
    "hours_too_short": (
        FailureClass.PACE,
        f"Widen the hours, raise the pace, or set {Setting.HOURS_END} to finish or hold, then "
        "retry. {source} is as it was.",
    ),
    "task_cancelled": (FailureClass.CANCELLED, "Retry when it suits."),
    "unexpected": (
        FailureClass.UNEXPECTED,
        "Report it with the lines of the service's log around it. A retry does no harm.",
    ),
}
_OF_ELASTICSEARCH = (
    FailureClass.ELASTICSEARCH,
    "Mend what Elasticsearch says, then retry. {source} is as it was.",
)
_OF_THE_INDEX = (FailureClass.INDEX, "Do what the message says, then post the index again.")


def failure_details(operation: Operation, error: Failure, step: str) -> FailureDetails:
    """`step`: the phase in which `error` was met."""
    rest = _OF_ELASTICSEARCH if isinstance(error, ClusterRefused) else _OF_THE_INDEX
    kind, remedy = _KNOWN.get(error.code, rest)
    names = isinstance(error, DocumentsRefused | DocumentsDiffer)
    return FailureDetails(
        kind=kind,
        step=step,
        remedy=remedy.format(
            index=operation.index_name,
            source=operation.source_name,
            target=operation.new_index_name,
        ),
        documents=list(error.documents) if names else [],
        counts=error.counts if names else {},
    ).bounded()
