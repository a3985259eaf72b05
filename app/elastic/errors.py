"""What went wrong: an error of the client library, or in an answer, becomes one of the domain here.

Elasticsearch's error type counts first, then the status. A search that failed on its shards is told
as `search_phase_execution_exception`, "all shards failed" or "Partial shards failure", whatever
they met; that is in `failed_shards` or `caused_by`, in errors of tasks as in answers (7.17, 8.19,
9.4). What answers in Elasticsearch's place is named, with what to do about it.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, cast

from elastic_transport import (
    ApiError,
    ApiResponseMeta,
    ConnectionError,
    ConnectionTimeout,
    SerializationError,
    TlsError,
    TransportError,
)

from app.domain.errors import (
    AnswerMisread,
    AnswerTooLarge,
    ClusterBusy,
    ClusterForbids,
    ClusterRefused,
    ClusterTrouble,
    ClusterUnreachable,
    CredentialsRefused,
    NotAnswered,
    NotElasticsearch,
    ReindexQueueError,
    SearchRefused,
)
from app.domain.formatting import capped, printable
from app.elastic.http import PRODUCT, Foreign, NotSent, TooLarge, Unanswered
from app.elastic.quoting import without_values

CLIENT_ERRORS = (ApiError, TransportError)
UNANSWERED = (ConnectionError, ConnectionTimeout)

_PASSING = frozenset(
    {
        "already_closed_exception",
        "circuit_breaking_exception",
        "connect_transport_exception",
        "coordination_state_rejected_exception",
        "es_rejected_execution_exception",
        "failed_to_commit_cluster_state_exception",
        "illegal_index_shard_state_exception",
        "index_primary_shard_not_allocated_exception",
        "master_not_discovered_exception",
        "no_shard_available_action_exception",
        "node_closed_exception",
        "node_disconnected_exception",
        "node_not_connected_exception",
        "not_master_exception",
        "process_cluster_event_timeout_exception",
        "receive_timeout_transport_exception",
        "snapshot_in_progress_exception",
        "timeout_exception",
        "too_many_scroll_contexts_exception",
        "unavailable_shards_exception",
    }
)
"""Error types that pass by themselves, whatever status they come with (7.17, 8.19, 9.4)."""

_OF_ONE_NODE = frozenset({"master_not_discovered_exception", "node_closed_exception"})

MOST_OF_A_FAULT = 500
"""Characters of what a broken connection says."""

NOTHING_THERE = "nothing_there"
"""Our type for a 404 of Elasticsearch that names no error."""

OF_SHARDS = "search_phase_execution_exception"
"""What a search is told that failed on its shards, whatever they met."""

_SHARD_LIMIT = re.compile(r"this action would add \[\d+\]")
_CLUSTER_BLOCK = re.compile(r"\[\w+/\d+/cluster ")

MOST_OF_A_TYPE, MOST_OF_A_REASON = 100, 1_500
"""Characters of Elasticsearch's error type and reason."""
DEEPEST = 12
_INSIDE = ("failed_shards", "reason", "caused_by", "root_cause")

_TITLE = re.compile(r"<title[^>]*>(.*?)</title>", re.IGNORECASE | re.DOTALL)
_LOOKED_AT = 20_000
_WHERE = "The address in ELASTICSEARCH_HOSTS"


@dataclass(frozen=True)
class Cause:
    """An error by its type, with its reason."""

    kind: str
    reason: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.reason}"


def innermost(error: Any, depth: int = DEEPEST) -> Cause | None:
    """The cause that has no other inside of it; of several shards that of the first."""
    if isinstance(error, list):
        found = (innermost(one, depth) for one in cast(list[Any], error)[:10])
        return next((cause for cause in found if cause), None)
    if not isinstance(error, Mapping) or depth == 0:
        return None
    parts = cast(Mapping[str, Any], error)
    for key in _INSIDE:
        if cause := innermost(parts.get(key), depth - 1):
            return cause
    return _own(parts)


def _own(parts: Mapping[str, Any]) -> Cause | None:
    kind = parts.get("type")
    if not isinstance(kind, str):
        return None
    reason = parts.get("reason")
    told = reason if isinstance(reason, str) and reason else "no reason given"
    return Cause(capped(kind, MOST_OF_A_TYPE), capped(told, MOST_OF_A_REASON))


def error_types(error: Any, depth: int = DEEPEST) -> list[str]:
    """The types of an error and of what is inside of it, its own first."""
    if isinstance(error, list):
        found = [kind for one in cast(list[Any], error)[:10] for kind in error_types(one, depth)]
        return list(dict.fromkeys(found))
    if not isinstance(error, Mapping) or depth == 0:
        return []
    parts = cast(Mapping[str, Any], error)
    own = [capped(kind, MOST_OF_A_TYPE)] if isinstance(kind := parts.get("type"), str) else []
    inside = [error_types(parts.get(key), depth - 1) for key in reversed(_INSIDE)]
    return list(dict.fromkeys([*own, *(kind for kinds in inside for kind in kinds)]))


def _lifted_by_an_operator(kind: str | None, reason: str) -> bool:
    """True for what stands in the way of the whole cluster, not of this index.

    `cluster.max_shards_per_node` is reached (400), or the cluster itself is blocked (403; told as
    `index [x] blocked by: [FORBIDDEN/6/cluster read-only (api)]`).
    """
    if kind == "cluster_block_exception":
        return bool(_CLUSTER_BLOCK.search(reason))
    return kind == "validation_exception" and bool(_SHARD_LIMIT.search(reason))


def shards_failed(what: str, failures: Any) -> ClusterTrouble:
    """What a partial answer is: `failures` of its `_shards`, by the innermost cause.

    What passes is waited for; of anything else nobody knows that it will.
    """
    cause = innermost(without_values(failures))
    if cause is None:
        return ClusterBusy(f"{what} does not answer searches now.")
    text = f"{what} did not answer a search: {cause}"
    if _PASSING.isdisjoint(error_types(failures)):
        return SearchRefused(text)
    return ClusterBusy(text)


def passes_by_itself(kind: str) -> bool:
    """True for an error type that waiting mends."""
    return kind in _PASSING


@contextmanager
def understanding(what: str) -> Generator[None]:
    """Around the reading of an answer, which is Elasticsearch's by its product header.

    Raises `AnswerMisread` where it lacks what this service knows Elasticsearch to tell.
    """
    try:
        yield
    except (AttributeError, LookupError, OverflowError, TypeError, ValueError) as error:
        found = capped(f"{type(error).__name__}: {error}", MOST_OF_A_FAULT)
        raise AnswerMisread(
            f"Elasticsearch's answer about {what} is not what this service understands ({found})."
        ) from error


def host_at_fault(error: Exception | None) -> bool:
    """True for an answer that says of its host, not of the cluster, that it does not do its work:
    a proxy's own 502, 503 or 504, a node that stops or knows no master (7.17, 8.19, 9.4)."""
    if not isinstance(error, ApiError):
        return False
    kind, _ = _kind_and_reason(error.body)
    return error.meta.status in (502, 503, 504) if kind is None else kind in _OF_ONE_NODE


def to_domain(tried: Sequence[tuple[str, Exception]]) -> ReindexQueueError:
    """The domain's word for what the client raised: addresses in the order in which they were
    asked, each with its error."""
    told = _told(tried)
    if isinstance(told, ClusterTrouble):
        told.not_done = _not_done([error for _, error in tried])
    return told


def _not_done(errors: Sequence[Exception]) -> bool:
    """True where no connection came about, or Elasticsearch itself has said no."""
    *before, last = errors
    if isinstance(last, ApiError):
        kind, _ = _kind_and_reason(last.body)
        refused = last.meta.status == 401 or kind not in (None, "error")
    else:
        refused = isinstance(last, NotSent)
    return refused and all(isinstance(error, NotSent) for error in before)


def _told(tried: Sequence[tuple[str, Exception]]) -> ReindexQueueError:
    url, error = tried[-1]
    if isinstance(error, Foreign):
        return not_elasticsearch(error.meta, error.content.decode(errors="replace"))
    if isinstance(error, ApiError):
        return _of_answer(error)
    if isinstance(error, SerializationError):
        found = capped(str(error.errors[0]) if error.errors else error.message, MOST_OF_A_FAULT)
        return AnswerMisread(
            f"Elasticsearch gave an answer that is not JSON that this service can read ({found})."
        )
    if isinstance(error, TooLarge):
        return AnswerTooLarge(error.message)
    others = [one for one in tried if one[0] != url and isinstance(one[1], UNANSWERED)]
    if others:
        return _unreachable("; ".join(f"{u}: {_reason(e)}" for u, e in (*others, tried[-1])))
    return _of_connection(url, error)


def _of_connection(url: str, error: Exception) -> ReindexQueueError:
    reason = _reason(error)
    if isinstance(error, ConnectionTimeout):
        return ClusterUnreachable(f"Elasticsearch did not answer in time ({url}: {reason}).")
    if isinstance(error, TlsError):
        return ClusterUnreachable(
            f"The secure connection to Elasticsearch at {url} failed: {reason}"
        )
    if isinstance(error, ConnectionError):
        kind = NotAnswered if isinstance(error, Unanswered) else ClusterUnreachable
        return _unreachable(f"{url}: {reason}", kind)
    return ClusterUnreachable(f"The request to Elasticsearch at {url} failed: {reason}")


def _unreachable(
    why: str, kind: type[ClusterUnreachable] = ClusterUnreachable
) -> ClusterUnreachable:
    return kind(
        f"Elasticsearch cannot be reached: {why}. Check that it runs and that "
        "ELASTICSEARCH_HOSTS names it."
    )


def _reason(error: Exception) -> str:
    text = error.message if isinstance(error, TransportError) else str(error)
    return capped(text, MOST_OF_A_FAULT).replace(" ssl:default", "").rstrip(".")


def _of_answer(error: ApiError) -> ReindexQueueError:
    status = error.meta.status
    kind, reason = _kind_and_reason(error.body)
    if 300 <= status < 400 or (status in (401, 407) and kind != "security_exception"):
        return not_elasticsearch(error.meta, error.body)
    if status == 401:
        return CredentialsRefused(
            "Elasticsearch refused this service's credentials (401). Check ELASTICSEARCH_USERNAME "
            "and ELASTICSEARCH_PASSWORD, or ELASTICSEARCH_APIKEY."
        )
    kinds = error_types(error.body.get("error")) if kind == OF_SHARDS else [kind]
    passing = not _PASSING.isdisjoint(kinds) or status in (429, 503)
    if passing or _lifted_by_an_operator(kind, reason):
        return ClusterBusy(
            f"Elasticsearch cannot do it now ({status} {kind or 'no type'}): {reason}"
        )
    if kind is None and status >= 500:
        return ClusterUnreachable(f"Something before Elasticsearch answered with {status}.")
    if kind is None and error.meta.headers.get(PRODUCT) == "Elasticsearch":
        return _of_bare_answer(status)
    if kind is None:
        return not_elasticsearch(error.meta, error.body)
    refused = ClusterForbids if status == 403 else ClusterRefused
    return refused(kind, reason, status, [one for one in kinds if one])


def _of_bare_answer(status: int) -> ReindexQueueError:
    """Elasticsearch's own, by its product header, but without an error. 404 says that there is
    nothing of what was asked for (7.17 of ingest pipelines, with `{}`)."""
    if status == 404:
        return ClusterRefused(NOTHING_THERE, "there is nothing of the kind", status)
    return AnswerMisread(
        f"Elasticsearch answered with {status} and names no error, which this service does not "
        "understand."
    )


def _kind_and_reason(body: Any) -> tuple[str | None, str]:
    """Elasticsearch's error type and reason; type None where the answer is not its own."""
    error = cast(Mapping[str, Any], body).get("error") if isinstance(body, Mapping) else None
    if isinstance(error, Mapping):
        error = cast(Mapping[str, Any], error)
        kind = capped(str(error.get("type", "unknown")), MOST_OF_A_TYPE)
        inside = innermost(without_values(error)) if kind == OF_SHARDS else None
        if inside and inside.kind != kind:
            return kind, str(inside)
        return kind, capped(str(error.get("reason") or "no reason given"), MOST_OF_A_REASON)
    if isinstance(error, str):  # the alias API and unknown routes answer with a bare sentence
        return "error", capped(error, MOST_OF_A_REASON)
    return None, "no reason given"


def is_missing(error: ReindexQueueError, kind: str) -> bool:
    """True where Elasticsearch says that the thing asked for is not there."""
    return isinstance(error, ClusterRefused) and error.kind == kind


def not_elasticsearch(meta: ApiResponseMeta, body: Any) -> NotElasticsearch:
    """What to say of an answer of that status, whose body is not one of Elasticsearch's."""
    return NotElasticsearch(_sentence(meta, body))


def _sentence(meta: ApiResponseMeta, body: Any) -> str:
    if 300 <= meta.status < 400:
        return (
            f"{_WHERE} answered with a redirect ({meta.status}), which is not followed: name the "
            "cluster's own address."
        )
    if meta.status in (401, 407):
        return (
            f"{_WHERE} leads to a proxy that wants a login of its own ({meta.status}{_realm(meta)})"
            "; Elasticsearch was not asked. Let the service pass there, name the cluster's own "
            "address, or send what the proxy wants with ELASTICSEARCH_CUSTOMHEADERS."
        )
    if page := _page(meta, body):
        return (
            f"{_WHERE} answered with {meta.status}, but not as Elasticsearch does: {page} came. Is "
            "it the login page of a proxy in between? Let the service pass there, or name the "
            "cluster's own address."
        )
    if 200 <= meta.status < 300:
        return (
            f"{_WHERE} answers, but not as Elasticsearch does: the header X-Elastic-Product is "
            "missing. A proxy in between has to let it pass; or it is no Elasticsearch of 7.14 or "
            "newer."
        )
    return f"{_WHERE} answered with {meta.status}, but not as Elasticsearch does."


def _realm(meta: ApiResponseMeta) -> str:
    """As the proxy names itself."""
    asked = meta.headers.get("www-authenticate") or meta.headers.get("proxy-authenticate") or ""
    return f", {printable(capped(asked, 100))}" if asked else ""


def _page(meta: ApiResponseMeta, body: Any) -> str | None:
    """A web page in words; None where it is none."""
    text = body if isinstance(body, str) else ""
    if "html" not in (meta.mimetype or "") and not text.lstrip()[:15].lower().startswith(
        ("<!doctype html", "<html")
    ):
        return None
    found = _TITLE.search(text[:_LOOKED_AT])
    title = " ".join(found.group(1).split()) if found else ""
    return f"a web page (“{printable(capped(title, 100))}”)" if title else "a web page"
