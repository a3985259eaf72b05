"""What a webhook is told of an event: nothing that a document, an index or a person said."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, cast

from pydantic import BaseModel, ConfigDict

from app.domain.failure import FailureClass
from app.domain.holds import HoldCause

TEST = "test"
"""In the place of the kind of an event: what is sent when somebody tests a webhook."""
_TEST_SENTENCE = "This is a test of the webhook. Nothing has happened."


class Announcement(BaseModel):
    """`class_`: of a failure its `FailureClass`, of a hold its `HoldCause`, else None. `sentence`:
    what that class means, else None. `number`, `cluster` and `job` None: it is about none."""

    model_config = ConfigDict(frozen=True)

    number: int | None = None
    kind: str
    at: datetime
    cluster: str | None = None
    job_id: str | None = None
    job_kind: str | None = None
    class_: str | None = None
    sentence: str | None = None

    @property
    def body(self) -> bytes:
        """As JSON."""
        job = None if self.job_id is None else {"id": self.job_id, "kind": self.job_kind}
        at = self.at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        fields = {
            "number": self.number,
            "kind": self.kind,
            "at": at,
            "cluster": self.cluster,
            "job": job,
            "class": self.class_,
            "sentence": self.sentence,
        }
        return json.dumps(fields, separators=(",", ":")).encode()


def announced_test(at: datetime) -> Announcement:
    return Announcement(kind=TEST, at=at, sentence=_TEST_SENTENCE)


def class_and_sentence(after: Any) -> tuple[str | None, str | None]:
    """Of what an event left: where that names a cause or a class of ours, it and what it means."""
    if not isinstance(after, Mapping):
        return None, None
    named = cast(Mapping[str, Any], after)
    cause, kind = named.get("cause"), named.get("class")
    if cause in [*HoldCause]:
        return cause, _HOLDS[HoldCause(cause)]
    if kind in [*FailureClass]:
        return kind, _FAILURES[FailureClass(kind)]
    return None, None


_FAILURES = {
    FailureClass.DOCUMENTS: "The new index does not take some of the documents.",
    FailureClass.INDEX: "A mapping, a setting or an alias of the index does not suit a new one.",
    FailureClass.NAME: "A name that is needed belongs to something else.",
    FailureClass.INTERFERENCE: "Somebody changed one of the two indices meanwhile.",
    FailureClass.PRIVILEGES: "The service's own user lacks a privilege.",
    FailureClass.PROOF: "The copy could not be proven complete. Both indices are kept.",
    FailureClass.PACE: "The pace that was set does not let it get on.",
    FailureClass.ELASTICSEARCH: "Elasticsearch could not do what was needed.",
    FailureClass.CANCELLED: "A person cancelled its copy task.",
    FailureClass.UNEXPECTED: "Something happened that nobody expected.",
}
_HOLDS = {
    HoldCause.STOPPED: "Copies are stopped by a person, or the hours for copies are over.",
    HoldCause.HOURS_TOO_SHORT: "It waits for the next hours, since it would not end in these.",
    HoldCause.RESTING: "It had kept writes blocked for long, and rests before it begins again.",
    HoldCause.SNAPSHOT: "It waits for a snapshot.",
    HoldCause.NO_SNAPSHOT: "The index is in no snapshot that is as new as the settings want.",
    HoldCause.NOT_ALLOCATED: "No node may have a shard of the new index.",
    HoldCause.CLUSTER_STRAINED: "The health gate lets nothing start while the cluster is strained.",
    HoldCause.ROLE_RENEWED: "The service does not know for the moment whether it is the worker.",
    HoldCause.CLUSTER_UNREACHABLE: "Elasticsearch cannot be reached.",
    HoldCause.CLUSTER_BUSY: "Elasticsearch cannot do it now.",
    HoldCause.CREDENTIALS_REFUSED: "Elasticsearch refuses the login of the service.",
    HoldCause.NOT_ELASTICSEARCH: "Something before Elasticsearch answers in its place.",
    HoldCause.OTHER_CLUSTER: "Another cluster answers than the one that the database is about.",
    HoldCause.OTHER_DATABASE: "Another database works on the cluster, or a newer copy of this one.",
    HoldCause.INDEX_IN_USE: "Another job uses an index that this one needs for itself.",
    HoldCause.UNKNOWN_POSITION: "Another release has begun it, and knows how it goes on.",
    HoldCause.MIXED_VERSIONS: "The nodes of the cluster have different major versions.",
    HoldCause.DISK_SPACE: "There is no room on the disks of the cluster.",
    HoldCause.SHARDS_AWAY: "A primary shard that is needed is not active.",
    HoldCause.COPIES_AWAY: "Fewer shard copies are active than the old index had.",
    HoldCause.TARGET_LOST: "A primary shard of the new index is lost.",
    HoldCause.COPY_RUNS_AGAIN: "A part of the copy rests before it runs again.",
    HoldCause.TASK_RUNNING: "A copy task has not ended yet.",
    HoldCause.TIDYING_REFUSED: "Elasticsearch refuses what is to be done after the swap.",
    HoldCause.RESTORE_REFUSED: "Elasticsearch refuses to give the index back as it was found.",
    HoldCause.UNDO_REFUSED: "Elasticsearch refuses to remove what the operation made.",
    HoldCause.NOT_SEEN: "A change was accepted, and is not in the cluster state.",
    HoldCause.ANSWER_MISREAD: "An answer of Elasticsearch cannot be understood.",
    HoldCause.ANSWER_TOO_LARGE: "An answer of Elasticsearch is too large.",
    HoldCause.SEARCH_REFUSED: "A search fails on a shard.",
    HoldCause.NO_ANSWER: "Elasticsearch closes the connection at one request.",
    HoldCause.CRASHED: "Something happened that nobody expected. The log of the service has it.",
}
