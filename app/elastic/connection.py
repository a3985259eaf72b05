"""Opening the connection to a cluster."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from elasticsearch import ApiError, AsyncElasticsearch

from app.domain.errors import ClusterRefused, NotElasticsearch, ReindexQueueError
from app.elastic.memory import Memory
from app.elastic.node import Node
from app.elastic.serializer import PageSerializer, Serializer
from app.elastic.tls import Tls
from app.elastic.translation import CLIENT_ERRORS, to_domain

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


class Connection:
    """Sends requests and turns every client error into a domain error."""

    def __init__(
        self, hosts: Sequence[str], credentials: Credentials, tls: Tls | None = None
    ) -> None:
        secure = any(host.startswith("https:") for host in hosts)
        options: dict[str, Any] = (tls or Tls()).options() if secure else {}
        if credentials.service_token:
            options["bearer_auth"] = credentials.service_token
        elif credentials.api_key:
            options["api_key"] = credentials.api_key
        elif credentials.username:
            options["basic_auth"] = (credentials.username, credentials.password or "")
        options |= {"node_class": Node, "opaque_id": ORDINARY, "retry_on_status": ()}
        client = AsyncElasticsearch(list(hosts), serializer=Serializer(), **options)
        pages = AsyncElasticsearch(list(hosts), serializer=PageSerializer(), **options)
        self._clients = client, pages
        self._reader = client.options(max_retries=1, request_timeout=READ_SECONDS)
        self._page_reader = pages.options(max_retries=1, request_timeout=READ_SECONDS)
        self._changer = client.options(max_retries=0, request_timeout=CHANGE_SECONDS)
        self.memory = Memory()

    async def close(self) -> None:
        await asyncio.gather(*(client.close() for client in self._clients))

    async def read(
        self, path: str, query: Mapping[str, Any] | None = None, body: Any = None
    ) -> dict[str, Any]:
        """A GET, or a POST that changes nothing where there is a body; repeated once if cut."""
        return await _send(self._reader, "POST" if body else "GET", path, query, body)

    async def read_page(self, path: str, query: Mapping[str, Any], body: Any) -> dict[str, Any]:
        """As `read`, of a search; each `_source` stays as its bytes, as `PageSerializer` says."""
        return await _send(self._page_reader, "POST", path, query, body)

    async def change(
        self,
        method: str,
        path: str,
        query: Mapping[str, Any] | None = None,
        body: Any = None,
        opaque_id: str | None = None,
    ) -> dict[str, Any]:
        """A request that changes the cluster: sent once, never repeated by the client."""
        client = self._changer.options(opaque_id=opaque_id) if opaque_id else self._changer
        return await _send(client, method, path, query, body)


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
    except CLIENT_ERRORS as error:
        if (result := _result_of_copy(error)) is not None:
            return result
        raise to_domain(error) from error
    received: Any = answer.body
    if not isinstance(received, dict):
        raise NotElasticsearch(
            "The address in ELASTICSEARCH_HOSTS gave an answer that is not Elasticsearch's; "
            "is a proxy or a login page in between?"
        )
    return cast(dict[str, Any], received)


def _result_of_copy(error: Exception) -> dict[str, Any] | None:
    """A `_reindex` that was waited for ends with the status of its worst failure, but its result is
    whole all the same (7.17, 8.19, 9.4)."""
    found: Any = error.body if isinstance(error, ApiError) else None
    if not isinstance(found, dict):
        return None
    body = cast(dict[str, Any], found)
    return body if {"failures", "total", "timed_out"} <= body.keys() else None


def is_missing(error: ReindexQueueError, kind: str) -> bool:
    """True where Elasticsearch says that the thing asked for is not there."""
    return isinstance(error, ClusterRefused) and error.kind == kind
