"""What the API's document says of the routes' bodies and answers.

The examples are data: `examples/*.json`, a file a subject, each with the examples of `bodies` (by
the body's name, then by the example's) and of `answers` (by the name under which the document has
them). They tell one story: `logs-2019` is in the cluster, `logs-2020` is not.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fastapi.openapi.models import Example

from app.api.errors import CRASH, MEDIA_TYPE, TOO_LARGE, attributes_of, envelope, http_status_of
from app.domain.errors import (
    ClusterRefused,
    ClusterUnreachable,
    IndexNotFound,
    MissingPrivileges,
    MixedVersions,
    ReindexQueueError,
    StoreUnavailable,
    TargetExists,
)
from app.wire.kibana import ErrorEnvelope

Answers = dict[int | str, dict[str, Any]]
"""By status, as FastAPI's `responses` takes it."""

_FILES = Path(__file__).with_name("examples")
_SUBJECTS = (
    "kibana",
    "health",
    "v1_batches",
    "v1_operations",
    "v1_pace",
    "v1_history",
    "v1_worker",
    "v1_plan",
    "v1_events",
    "v1_session",
    "v1_tokens",
    "v1_adoption",
    "v1_keys",
    "v1_webhooks",
)

_TEXTS = {
    400: "The request cannot be done as asked",
    401: "Nobody has logged in",
    403: "The service's own user or the caller may not do it, or a page of another address asks",
    404: "There is no such index or operation",
    409: "The target exists, or another operation is in the way",
    413: "The body is too large",
    415: "The body is not sent as application/json",
    426: "The nodes have different major versions",
    429: "Too many logins have failed",
    500: "A fault of this service; its log says more",
    502: "Elasticsearch refused a question or a change",
    503: "It cannot be done now: Elasticsearch or the database is away, or no worker took it",
}


def _read() -> tuple[dict[str, dict[str, Example]], dict[str, Example]]:
    bodies: dict[str, dict[str, Example]] = {}
    answers: dict[str, Example] = {}
    for subject in _SUBJECTS:
        found = json.loads((_FILES / f"{subject}.json").read_text(encoding="utf-8"))
        bodies |= found["bodies"]
        answers |= found["answers"]
    return bodies, answers


BODIES, ANSWERS = _read()
"""The examples of bodies by the body's name, and those of answers by their own."""


def answers(description: str, *names: str, status: int = 200) -> Answers:
    """What a route documents for an answer that is no error envelope. `names`: of its examples.

    The examples are referred to, not put here: FastAPI takes every null out of what it is given
    for a route (0.165), and an operation has keys that are null.
    """
    examples = {name: {"$ref": f"#/components/examples/{name}"} for name in names}
    content = {"application/json": {"examples": examples}}
    return {status: {"description": description, "content": content}}


def plain_answer(description: str, examples: Mapping[str, str]) -> Answers:
    """What a route documents for an answer that is no JSON; `examples` by media type."""
    content = {
        kind: {"schema": {"type": "string"}, "example": text} for kind, text in examples.items()
    }
    return {200: {"description": description, "content": content}}


@dataclass(frozen=True)
class Shown:
    """An error as it leaves the service. `code` names the example."""

    status: int
    code: str
    message: str
    attributes: dict[str, Any] | None = None

    @classmethod
    def of(cls, error: ReindexQueueError, path: str = "") -> Shown:
        """`path`: of the route that answers it, where families of routes differ."""
        return cls(http_status_of(error, path), error.code, error.message, attributes_of(error))

    @property
    def example(self) -> Example:
        value = envelope(self.status, self.message, self.attributes)
        return {"summary": self.code.replace("_", " ").capitalize(), "value": value}


def error_answers(*errors: int | ReindexQueueError | Shown) -> Answers:
    """What a route documents for the errors it can answer: each status with examples.

    A number stands for the usual errors of that status.
    """
    documented: Answers = {}
    for shown in (one for given in errors for one in _shown(given)):
        if shown.status not in documented:
            documented[shown.status] = _documented(shown.status)
        examples = documented[shown.status]["content"]["application/json"]["examples"]
        examples[shown.code] = shown.example
    return documented


def _shown(given: int | ReindexQueueError | Shown) -> list[Shown]:
    if isinstance(given, int):
        return _USUAL[given]
    return [given if isinstance(given, Shown) else Shown.of(given)]


def _documented(status: int) -> dict[str, Any]:
    return {
        "model": ErrorEnvelope,
        "description": _TEXTS[status],
        "content": {"application/json": {"examples": {}}},
    }


BAD_NAME = Shown(
    400, "invalid_index_name", "[logs-*] is not the name of an index: it must not contain *."
)
_USUAL = {
    400: [BAD_NAME],
    403: [Shown.of(MissingPrivileges("logs-2019", None, ()))],
    404: [Shown.of(IndexNotFound("logs-2020"))],
    409: [Shown.of(TargetExists("reindexed-v8-logs-2019"))],
    413: [Shown(413, "too_large", TOO_LARGE)],
    415: [Shown(415, "media_type", MEDIA_TYPE)],
    426: [Shown.of(MixedVersions())],
    500: [Shown(500, "internal", CRASH)],
    502: [
        Shown.of(ClusterRefused("illegal_argument_exception", "Failed to parse value [seven]", 400))
    ],
    503: [
        Shown.of(
            ClusterUnreachable(
                "Elasticsearch cannot be reached: http://localhost:9200: no connection "
                "within 5 s. Check that it runs and that ELASTICSEARCH_HOSTS names it."
            )
        ),
        Shown.of(StoreUnavailable("The database does not answer: connection refused")),
    ],
}
"""The examples of a status where a route names none of its own."""
