"""The connection to a cluster: what is read, what is changed, and what is remembered of answers."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, TypedDict, TypeVar, cast
from urllib.parse import quote

from elastic_transport import ApiError, ApiResponse
from elasticsearch import AsyncElasticsearch

from app.domain.errors import AnswerMisread, ReindexQueueError
from app.domain.events import Note
from app.domain.names import IndexName
from app.elastic.errors import CLIENT_ERRORS, UNANSWERED, host_at_fault
from app.elastic.hosts import PULSE_SECONDS, Host, Hosts, InVain
from app.elastic.http import Credentials, CurrentTrust, Login, Node, PageSerializer, Serializer, Tls
from app.telemetry import Meters

T = TypeVar("T")
Request = Callable[[AsyncElasticsearch], Awaitable[ApiResponse[Any]]]
"""A request as a call of the client library, which is made of whichever host is asked."""

ORDINARY = "reindex-queue"
"""`X-Opaque-Id` of every call that is not a copy."""

READ_SECONDS = 30.0
CHANGE_SECONDS = 90.0

REMEMBERED_SECONDS = 5.0
"""So old may be what hardly changes: versions and security, which a restart of nodes changes, and
the disks. Small operations follow each other in a third of a second."""

MAX_PATH = 3_500
"""Characters of index names in a URL: Elasticsearch takes 4,096 bytes for the whole first line."""


class _Waits(TypedDict):
    master_timeout: str
    timeout: str


ACKNOWLEDGED: _Waits = {"master_timeout": "60s", "timeout": "60s"}
"""So long may a change wait for the master, and for the other nodes to have heard of it."""


def in_path(*names: str) -> str:
    return ",".join(quote(name, safe="") for name in names)


def chunks(names: Iterable[IndexName]) -> list[list[IndexName]]:
    """`names` in order, divided so that each part fits into one URL."""
    parts: list[list[IndexName]] = []
    room = 0
    for name in names:
        length = len(quote(name, safe="")) + 1
        if length > room:
            parts.append([])
            room = MAX_PATH
        parts[-1].append(name)
        room -= length
    return parts


def raw(
    method: str, path: str, query: Mapping[str, Any] | None = None, body: Any = None
) -> Request:
    """A request by its method and path, where the library's own method sends another one (8.19):

    - of `_tasks`, `_create_from` and `_ingest/_simulate` it makes a Python warning at each call,
      since they are technical previews; where warnings are errors, a change that was applied would
      look like a crash;
    - it sends `_create_from`, `_clone` and `_bulk` as PUT, while all that is known of them here was
      tried with POST;
    - it sends a `_count` without a query as POST, without a body and a content type of JSON;
    - its `_stats` has no `ignore_unavailable`, and its `_search` puts `size` into a body.
    """
    headers = {"accept": "application/json"}
    if body is not None:
        lines = isinstance(body, list)  # of a `_bulk`
        headers["content-type"] = "application/x-ndjson" if lines else "application/json"
    return lambda es: es.perform_request(method, path, params=query, headers=headers, body=body)


class Memory:
    """What was asked before, for those who need not know it better: answers by name, with the time
    of each. One for all views that share a connection."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[float, Any]] = {}

    async def recall(self, name: str, seconds: float, ask: Callable[[], Awaitable[T]]) -> T:
        """The answer that is at most `seconds` old (0: a fresh one); errors are not remembered."""
        known = self._known.get(name)
        if known and time.monotonic() - known[0] < seconds:
            return known[1]
        found = await ask()
        self._known[name] = time.monotonic(), found
        return found


class _Clients:
    """The client library's clients of one host, which repeat nothing by themselves: the health of
    hosts is not left to the library, nor is the login."""

    def __init__(
        self,
        url: str,
        login: Login,
        trust: CurrentTrust | None,
        seconds: tuple[float, float],
        meters: Meters,
    ) -> None:
        """`seconds`: until the answer to a read must be there, and that to a change."""
        read, change = seconds
        options: dict[str, Any] = {"node_class": Node, "max_retries": 0, "retry_on_status": ()}
        if url.startswith("https:"):  # unused: the node has `trust`. Else the library reads its own
            options["ssl_context"] = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        client = AsyncElasticsearch([url], serializer=Serializer(), **options)
        pages = AsyncElasticsearch([url], serializer=PageSerializer(), **options)
        self._opened = client, pages
        for node in (*client.transport.node_pool.all(), *pages.transport.node_pool.all()):
            if isinstance(node, Node):
                node.login = login.headers
                node.trust = trust or node.trust
                node.count = meters.asked
        self._pulse = client.options(request_timeout=PULSE_SECONDS)
        self.reader = client.options(request_timeout=read, opaque_id=ORDINARY)
        self.page_reader = pages.options(request_timeout=read, opaque_id=ORDINARY)
        self.changer = client.options(request_timeout=change, opaque_id=ORDINARY)

    async def pulse(self) -> bool | None:
        """None where the host does not answer at all, False where something before it does."""
        try:
            await self._pulse.info()
        except CLIENT_ERRORS as error:
            return None if isinstance(error, UNANSWERED) else not host_at_fault(error)
        return True

    async def close(self) -> None:
        await asyncio.gather(*(client.close() for client in self._opened))


class Connection:
    """Sends requests and turns every client error into a domain error."""

    def __init__(
        self,
        hosts: Sequence[str],
        credentials: Credentials | Callable[[], Credentials],
        tls: Tls | None = None,
        read_seconds: float = READ_SECONDS,
        meters: Meters | None = None,
    ) -> None:
        self.change_seconds = max(CHANGE_SECONDS, read_seconds)
        seconds, meters = (read_seconds, self.change_seconds), meters or Meters()
        self.memory = Memory()
        login, secure = Login(credentials), any(url.startswith("https:") for url in hosts)
        trust = CurrentTrust(tls or Tls()) if secure else None
        opened = [(url, _Clients(url, login, trust, seconds, meters)) for url in hosts]
        self._clients = {Host(url, clients.pulse): clients for url, clients in opened}
        self._hosts = Hosts(list(self._clients))

    @property
    def hosts(self) -> int:
        """How many there are."""
        return len(self._clients)

    async def close(self) -> None:
        await self._hosts.close()
        await asyncio.gather(*(clients.close() for clients in self._clients.values()))

    async def read(self, request: Request, opaque_id: str = ORDINARY) -> dict[str, Any]:
        """The answer to a request that changes nothing; repeated once if cut, on another host if
        there is one."""
        return await self._send(lambda clients: clients.reader, request, opaque_id)

    async def read_page(self, request: Request) -> dict[str, Any]:
        """As `read`, of a search; each `_source` stays as its bytes, as `PageSerializer` says."""
        return await self._send(lambda clients: clients.page_reader, request)

    async def change(self, request: Request, opaque_id: str = ORDINARY) -> dict[str, Any]:
        """The answer to a request that changes the cluster. It is sent once: only where no
        connection came about is it given to another host, and where its login was refused it goes
        with a new one.
        """
        return await self._send(lambda clients: clients.changer, request, opaque_id, changing=True)

    async def _send(
        self,
        choose: Callable[[_Clients], AsyncElasticsearch],
        request: Request,
        opaque_id: str = ORDINARY,
        *,
        changing: bool = False,
    ) -> dict[str, Any]:
        async def send(host: Host) -> dict[str, Any]:
            client = choose(self._clients[host])
            named = client if opaque_id == ORDINARY else client.options(opaque_id=opaque_id)
            return await _answer(request(named))

        try:
            return await self._hosts.ask(send, changing=changing)
        except InVain as error:
            raise error.told() from error.errors[-1]


class ChangingCalls:
    """Sends what changes the cluster, and notes each change for the event log.

    `permit` is asked before every change and raises where the worker is not the worker any more:
    an owner that slept through its lease must not send what it had in mind.
    """

    def __init__(self, connection: Connection, permit: Callable[[], None]) -> None:
        self._connection = connection
        self._permit = permit
        self._notes: list[Note] = []

    async def send(self, note: Note, request: Request, opaque_id: str = ORDINARY) -> dict[str, Any]:
        """The answer. One that did not come, or is an error, is noted as not confirmed."""
        self._permit()
        try:
            answer = await self._connection.change(request, opaque_id)
        except ReindexQueueError as error:
            text = f"not confirmed: {error.message}"
            self._notes.append(note.model_copy(update={"text": text}))
            raise
        self._notes.append(note)
        return answer

    def note(self, note: Note) -> None:
        """Notes a change that was seen before it was answered."""
        self._notes.append(note)

    def take_notes(self) -> list[Note]:
        """The changes noted since the last call, in order."""
        notes, self._notes = self._notes, []
        return notes


async def _answer(asked: Awaitable[ApiResponse[Any]]) -> dict[str, Any]:
    try:
        received: Any = (await asked).body
    except ApiError as error:
        if (result := _result_of_copy(error)) is not None:
            return result
        raise
    if not isinstance(received, dict):
        raise AnswerMisread(
            "Elasticsearch gave an answer that is not a JSON object, which this service does not "
            "understand."
        )
    return cast(dict[str, Any], received)


def _result_of_copy(error: ApiError) -> dict[str, Any] | None:
    """A `_reindex` that was waited for ends with the status of its worst failure, but its result is
    whole all the same (7.17, 8.19, 9.4)."""
    found: Any = error.body
    if not isinstance(found, dict):
        return None
    body = cast(dict[str, Any], found)
    return body if {"failures", "total", "timed_out"} <= body.keys() else None
