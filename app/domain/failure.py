"""Why an operation failed, for programs: class, step, what to do, and the documents refused."""

from __future__ import annotations

import json
from collections.abc import Iterable
from enum import StrEnum

from pydantic import BaseModel, ConfigDict

from app.domain.formatting import capped

MOST_BYTES = 16_384
"""Of the details as JSON in the database, whatever Elasticsearch says."""
MOST_DOCUMENTS = 10
MOST_TYPES = 20
OTHER_TYPES = "other"
_ID, _TYPE, _REASON = 512, 100, 500
"""Characters. An `_id` has at most 512 bytes (7.17, 8.19, 9.4)."""


class FailureClass(StrEnum):
    """What kind of trouble it is, and so who can mend it."""

    DOCUMENTS = "documents"
    INDEX = "index"
    NAME = "name"
    INTERFERENCE = "interference"
    PRIVILEGES = "privileges"
    PROOF = "proof"
    PACE = "pace"
    ELASTICSEARCH = "elasticsearch"
    CANCELLED = "cancelled"
    UNEXPECTED = "unexpected"


class FailedDocument(BaseModel):
    """A document that Elasticsearch refused, by its error `type`, or one that the proof found
    `missing`, or that it `differs`; `id` None: a search failed. Nothing of what it says is here."""

    model_config = ConfigDict(frozen=True)

    id: str | None
    type: str
    reason: str
    routing: str | None = None

    @classmethod
    def of(
        cls, document_id: str | None, kind: str, reason: str, routing: str | None = None
    ) -> FailedDocument:
        """With everything cut to a length that can be stored and shown."""
        return cls(
            id=None if document_id is None else capped(document_id, _ID),
            type=capped(kind, _TYPE),
            reason=capped(reason, _REASON),
            routing=None if routing is None else capped(routing, _ID),
        )


class FailureDetails(BaseModel):
    """`step`: the entry of the machine that failed; `remedy`: what to do next, in words.

    `documents`: the first that were refused, or that differ; `counts`: how many by their types, in
    the batch at which the copy stopped, or among those that were compared. Ids stand nowhere else,
    so that they can be kept from who may only look.
    """

    model_config = ConfigDict(frozen=True)

    kind: FailureClass
    step: str
    remedy: str
    documents: list[FailedDocument] = []
    counts: dict[str, int] = {}

    def bounded(self) -> FailureDetails:
        """With as many of the documents as fit into `MOST_BYTES` of JSON."""
        bounded = self.model_copy(update={"documents": self.documents[:MOST_DOCUMENTS]})
        while bounded.documents and len(json.dumps(bounded.model_dump(mode="json"))) > MOST_BYTES:
            bounded = bounded.model_copy(update={"documents": bounded.documents[:-1]})
        return bounded


def counted(types: Iterable[str]) -> dict[str, int]:
    """How often each error type is there, the most frequent first; rare ones are added up."""
    numbers: dict[str, int] = {}
    for kind in types:
        shown = capped(kind, _TYPE)
        numbers[shown] = numbers.get(shown, 0) + 1
    ranked = sorted(numbers.items(), key=lambda item: -item[1])
    rest = sum(number for _, number in ranked[MOST_TYPES:])
    return dict(ranked[:MOST_TYPES]) | ({OTHER_TYPES: rest} if rest else {})
