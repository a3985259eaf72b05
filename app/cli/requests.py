"""The requests behind the commands, and how they are written with curl."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode, urlsplit, urlunsplit

from app.domain.job import Action, State

KIBANA = "/api/upgrade_assistant/reindex"
HEADERS = {"kbn-xsrf": "true"}
"""Services may be set to demand it of changing requests; it does no harm to others."""
PACE = "/api/v1/pace"
PRUNE = "/api/v1/prune"
EVENTS = "/api/v1/events"
EVENT_STREAM = "text/event-stream"
MOST_AN_ARGUMENT = 100_000
"""Characters; a single argument of a command may have 131,072 bytes on Linux."""


@dataclass(frozen=True)
class Call:
    """One request to the service. `body` is sent as JSON; `headers` beside those that every request
    has."""

    method: str
    path: str
    query: Sequence[tuple[str, str]] = ()
    body: Any = None
    headers: Sequence[tuple[str, str]] = ()

    @property
    def target(self) -> str:
        """Path and query, quoted."""
        return self.path + (f"?{urlencode(self.query)}" if self.query else "")


def batch_path(batch_id: str) -> str:
    return f"/api/v1/batches/{quote(batch_id, safe='')}"


def operation_path(operation_id: str) -> str:
    return f"/api/v1/operations/{quote(operation_id, safe='')}"


def batch(names: Sequence[str]) -> Call:
    return Call("POST", f"{KIBANA}/batch", body={"indexNames": list(names)})


def batch_report(batch_id: str) -> Call:
    return Call("GET", batch_path(batch_id))


def cancel(index: str) -> Call:
    return Call("POST", f"{KIBANA}/{quote(index, safe='')}/cancel")


def operations(
    states: Iterable[State] = (),
    *,
    limit: int,
    index: str | None = None,
    batch_id: str | None = None,
    after: str | None = None,
    newest_first: bool = False,
    counts: bool = False,
) -> Call:
    query = [("state", state.value) for state in states]
    query += [("index", index)] if index is not None else []
    query += [("batch", batch_id)] if batch_id is not None else []
    query += [("order", "desc")] if newest_first else []
    query += [("counts", "true")] if counts else []
    query += [("limit", str(limit))]
    query += [("after", after)] if after is not None else []
    return Call("GET", "/api/v1/operations", query)


def newest_of(index: str) -> Call:
    return operations(index=index, limit=1, newest_first=True)


def operation(operation_id: str) -> Call:
    return Call("GET", operation_path(operation_id))


def steer(action: Action, operation_id: str, body: Any = None) -> Call:
    return Call("POST", f"{operation_path(operation_id)}/{action}", body=body)


def steer_batch(action: Action, batch_id: str, body: Any = None) -> Call:
    return Call("POST", f"{batch_path(batch_id)}/{action}", body=body)


def outdated(after: str | None = None) -> Call:
    query = [("needs", "reindex"), *([("after", after)] if after is not None else [])]
    return Call("GET", "/api/v1/indices", query)


def plan(names: Sequence[str], *, trial: bool) -> Call:
    """Without names: of all that the next major version does not open."""
    body: dict[str, Any] = {"indices": [{"index": name} for name in names]}
    if not names:
        body = {"outdated": True}
    return Call("POST", "/api/v1/plan", body=body | ({"trial": True} if trial else {}))


@dataclass(frozen=True)
class EventsWanted:
    """Which events are asked for: of a batch, of these kinds; None, or no kind: whichever."""

    batch_id: str | None = None
    kinds: Sequence[str] = ()

    @property
    def query(self) -> list[tuple[str, str]]:
        batch = [("batch", self.batch_id)] if self.batch_id is not None else []
        return [*batch, *(("kind", kind) for kind in self.kinds)]


def events(
    wanted: EventsWanted, *, limit: int, after: str | None = None, newest_first: bool = False
) -> Call:
    query = wanted.query + ([("order", "desc")] if newest_first else []) + [("limit", str(limit))]
    query += [("after", after)] if after is not None else []
    return Call("GET", EVENTS, query)


def event_stream(wanted: EventsWanted, last_id: str | None = None) -> Call:
    headers = [("accept", EVENT_STREAM)]
    headers += [("last-event-id", last_id)] if last_id is not None else []
    return Call("GET", EVENTS, wanted.query, headers=headers)


def worker() -> Call:
    return Call("GET", "/api/v1/worker")


def doctor() -> Call:
    return Call("GET", "/api/v1/doctor")


def prune(days: float | None) -> Call:
    """`days` None: as the service's settings say."""
    return Call("POST", PRUNE, body={} if days is None else {"days": days})


def last_pruning() -> Call:
    return Call("GET", PRUNE)


def adopt(*, keep_tokens: bool) -> Call:
    return Call("POST", "/api/v1/worker/adopt", body={"keepTokens": keep_tokens})


def rotate_keys() -> Call:
    return Call("POST", "/api/v1/keys/rotate")


def curl(url: str, request: Call, login: str = "") -> str:
    """The same request as a line for a shell; a long body comes as a here-document.

    `login`: words for the shell that log in. A password in `url` is left out: curl asks for it.
    """
    parts = urlsplit(url)
    plain = urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
    words = ["-u", parts.username] if parts.username else []
    if request.method != "GET":
        words += ["-X", request.method]
        words += [w for key, value in HEADERS.items() for w in ("-H", f"{key}: {value}")]
    words += [w for key, value in request.headers for w in ("-H", f"{key}: {value}")]
    words += ["-N"] if ("accept", EVENT_STREAM) in request.headers else []
    words.append(plain.rstrip("/") + request.target)
    start = " ".join(["curl", "-sS", *([login] if login and not parts.username else [])])
    if request.body is None:
        return f"{start} {shlex.join(words)}"
    body = json.dumps(request.body, ensure_ascii=False)
    words += ["-H", "content-type: application/json"]
    if len(body) <= MOST_AN_ARGUMENT:
        return f"{start} {shlex.join([*words, '-d', body])}"
    return f"{start} {shlex.join(words)} --data-binary @- <<'END'\n{body}\nEND"
