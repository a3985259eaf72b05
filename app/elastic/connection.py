"""Opening the connection to a cluster."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from elasticsearch import ApiError, AsyncElasticsearch

from app.domain.errors import AnswerMisread, ClusterRefused, ReindexQueueError
from app.elastic.hosts import PULSE_SECONDS, Host, Hosts, InVain
from app.elastic.memory import Memory
from app.elastic.node import Node
from app.elastic.serializer import PageSerializer, Serializer
from app.elastic.tls import Tls
from app.elastic.translation import CLIENT_ERRORS, UNANSWERED, host_at_fault

ORDINARY = "reindex-queue"
"""`X-Opaque-Id` of every call that is not a copy."""

READ_SECONDS = 30.0
CHANGE_SECONDS = 90.0
MASTER_TIMEOUT = "60s"


@dataclass(frozen=True)
class Credentials:
    """How to log in; empty for a cluster without security. Never shown in `repr`."""

    username: str | None = None
    password: str | None = field(default=None, repr=False)
    api_key: str | None = field(default=None, repr=False)
    service_token: str | None = field(default=None, repr=False)


class _Clients:
    """The client library's clients of one host; the health of hosts is not left to it."""

    def __init__(self, url: str, credentials: Credentials, tls: Tls) -> None:
        options: dict[str, Any] = tls.options() if url.startswith("https:") else {}
        if credentials.service_token:
            options["bearer_auth"] = credentials.service_token
        elif credentials.api_key:
            options["api_key"] = credentials.api_key
        elif credentials.username:
            options["basic_auth"] = (credentials.username, credentials.password or "")
        options |= {"node_class": Node, "opaque_id": ORDINARY}
        options |= {"max_retries": 0, "retry_on_status": ()}
        client = AsyncElasticsearch([url], serializer=Serializer(), **options)
        pages = AsyncElasticsearch([url], serializer=PageSerializer(), **options)
        self._opened = client, pages
        self._pulse = client.options(request_timeout=PULSE_SECONDS)
        self.reader = client.options(request_timeout=READ_SECONDS)
        self.page_reader = pages.options(request_timeout=READ_SECONDS)
        self.changer = client.options(request_timeout=CHANGE_SECONDS)

    async def pulse(self) -> bool | None:
        """None where the host does not answer at all, False where something before it does."""
        try:
            await self._pulse.perform_request("GET", "/", headers={"accept": "application/json"})
        except CLIENT_ERRORS as error:
            return None if isinstance(error, UNANSWERED) else not host_at_fault(error)
        return True

    async def close(self) -> None:
        await asyncio.gather(*(client.close() for client in self._opened))


class Connection:
    """Sends requests and turns every client error into a domain error."""

    def __init__(
        self, hosts: Sequence[str], credentials: Credentials, tls: Tls | None = None
    ) -> None:
        opened = {url: _Clients(url, credentials, tls or Tls()) for url in hosts}
        self._clients = {Host(url, clients.pulse): clients for url, clients in opened.items()}
        self._hosts = Hosts(list(self._clients))
        self.memory = Memory()

    async def close(self) -> None:
        await self._hosts.close()
        await asyncio.gather(*(clients.close() for clients in self._clients.values()))

    async def read(
        self, path: str, query: Mapping[str, Any] | None = None, body: Any = None
    ) -> dict[str, Any]:
        """A GET, or a POST that changes nothing where there is a body; repeated once if cut, on
        another host if there is one."""
        return await self._send(lambda c: c.reader, "POST" if body else "GET", path, query, body)

    async def read_page(self, path: str, query: Mapping[str, Any], body: Any) -> dict[str, Any]:
        """As `read`, of a search; each `_source` stays as its bytes, as `PageSerializer` says."""
        return await self._send(lambda c: c.page_reader, "POST", path, query, body)

    async def change(
        self,
        method: str,
        path: str,
        query: Mapping[str, Any] | None = None,
        body: Any = None,
        opaque_id: str | None = None,
        seconds: float = CHANGE_SECONDS,
    ) -> dict[str, Any]:
        """A request that changes the cluster. It is sent once: only where no connection came about
        is it given to another host. `seconds`: so long is its answer waited for."""

        def changer(clients: _Clients) -> AsyncElasticsearch:
            patient = clients.changer.options(request_timeout=seconds)
            return patient.options(opaque_id=opaque_id) if opaque_id else patient

        return await self._send(changer, method, path, query, body, changing=True)

    async def _send(
        self,
        choose: Callable[[_Clients], AsyncElasticsearch],
        method: str,
        path: str,
        query: Mapping[str, Any] | None,
        body: Any,
        *,
        changing: bool = False,
    ) -> dict[str, Any]:
        async def send(host: Host) -> dict[str, Any]:
            return await _send(choose(self._clients[host]), method, path, query, body)

        try:
            return await self._hosts.ask(send, changing=changing)
        except InVain as error:
            raise error.told() from error.errors[-1]


async def _send(
    client: AsyncElasticsearch, method: str, path: str, query: Mapping[str, Any] | None, body: Any
) -> dict[str, Any]:
    headers = {"accept": "application/json"}
    if body is not None:
        lines = isinstance(body, list)  # of a `_bulk`
        headers["content-type"] = "application/x-ndjson" if lines else "application/json"
    try:
        answer: Any = await client.perform_request(
            method, path, params=query, headers=headers, body=body
        )
    except ApiError as error:
        if (result := _result_of_copy(error)) is not None:
            return result
        raise
    received: Any = answer.body
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


def is_missing(error: ReindexQueueError, kind: str) -> bool:
    """True where Elasticsearch says that the thing asked for is not there."""
    return isinstance(error, ClusterRefused) and error.kind == kind
