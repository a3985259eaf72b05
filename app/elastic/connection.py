"""Opening the connection to a cluster."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, cast

from elasticsearch import ApiError, AsyncElasticsearch, AuthenticationException

from app.domain.errors import AnswerMisread, ClusterRefused, ReindexQueueError
from app.elastic.hosts import PULSE_SECONDS, Host, Hosts, InVain
from app.elastic.login import Credentials, Login
from app.elastic.memory import Memory
from app.elastic.node import Node
from app.elastic.serializer import PageSerializer, Serializer
from app.elastic.tls import CurrentTrust, Tls
from app.elastic.translation import CLIENT_ERRORS, UNANSWERED, host_at_fault

__all__ = ["Connection", "Credentials"]

ORDINARY = "reindex-queue"
"""`X-Opaque-Id` of every call that is not a copy."""

READ_SECONDS = 30.0
CHANGE_SECONDS = 90.0
MASTER_TIMEOUT = "60s"


class _Clients:
    """The client library's clients of one host. The health of hosts and the login are not left to
    it: it would send no password beyond ASCII."""

    def __init__(self, url: str, login: Login, trust: CurrentTrust | None, read: float) -> None:
        options: dict[str, Any] = {"node_class": Node, "max_retries": 0, "retry_on_status": ()}
        client = AsyncElasticsearch([url], serializer=Serializer(), **options)
        pages = AsyncElasticsearch([url], serializer=PageSerializer(), **options)
        self._opened = client, pages
        for node in (*client.transport.node_pool.all(), *pages.transport.node_pool.all()):
            if trust and isinstance(node, Node):
                node.trust = trust
        self._login = login
        self._pulse = client.options(request_timeout=PULSE_SECONDS)
        self.reader = client.options(request_timeout=read)
        self.page_reader = pages.options(request_timeout=read)
        self.changer = client

    async def pulse(self) -> bool | None:
        """None where the host does not answer at all, False where something before it does."""
        try:
            headers = {**self._login.headers(), "accept": "application/json"}
            await self._pulse.perform_request("GET", "/", headers=headers)
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
    ) -> None:
        self._login = Login(credentials)
        secure = any(url.startswith("https:") for url in hosts)
        trust = CurrentTrust(tls or Tls()) if secure else None
        opened = {url: _Clients(url, self._login, trust, read_seconds) for url in hosts}
        self._clients = {Host(url, clients.pulse): clients for url, clients in opened.items()}
        self._hosts = Hosts(list(self._clients))
        self.change_seconds = max(CHANGE_SECONDS, read_seconds)
        self.memory = Memory()

    @property
    def hosts(self) -> int:
        """How many there are."""
        return len(self._clients)

    async def close(self) -> None:
        await self._hosts.close()
        await asyncio.gather(*(clients.close() for clients in self._clients.values()))

    async def read(
        self,
        path: str,
        query: Mapping[str, Any] | None = None,
        body: Any = None,
        opaque_id: str | None = None,
    ) -> dict[str, Any]:
        """A GET, or a POST that changes nothing where there is a body; repeated once if cut, on
        another host if there is one."""
        verb = "POST" if body else "GET"
        return await self._send(lambda c: c.reader, verb, path, query, body, opaque_id or ORDINARY)

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
    ) -> dict[str, Any]:
        """A request that changes the cluster. It is sent once: only where no connection came about
        is it given to another host, and where its login was refused it goes with a new one.
        """

        def changer(clients: _Clients) -> AsyncElasticsearch:
            return clients.changer.options(request_timeout=self.change_seconds)

        return await self._send(
            changer, method, path, query, body, opaque_id or ORDINARY, changing=True
        )

    async def _send(
        self,
        choose: Callable[[_Clients], AsyncElasticsearch],
        method: str,
        path: str,
        query: Mapping[str, Any] | None,
        body: Any,
        opaque_id: str = ORDINARY,
        *,
        changing: bool = False,
    ) -> dict[str, Any]:
        async def send(host: Host) -> dict[str, Any]:
            client, headers = choose(self._clients[host]), self._login.headers()
            request = partial(_send, client, method, path, query, body, opaque_id)
            try:
                return await request(headers)
            except AuthenticationException:
                if (renewed := self._login.headers()) == headers:
                    raise
                return await request(renewed)

        try:
            return await self._hosts.ask(send, changing=changing)
        except InVain as error:
            raise error.told() from error.errors[-1]


async def _send(
    client: AsyncElasticsearch,
    method: str,
    path: str,
    query: Mapping[str, Any] | None,
    body: Any,
    opaque_id: str,
    login: Mapping[str, str],
) -> dict[str, Any]:
    headers = {**login, "accept": "application/json", "x-opaque-id": opaque_id}
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
