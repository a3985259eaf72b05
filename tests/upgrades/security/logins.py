"""Users of a cluster with security, and services that log in as them."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from testbed.relay import Relay
from tests.elasticsearch import Elastic
from tests.secrets_used import secret
from tests.service import Service, running_service

WORD = "a-password-of-our-user"
Grant = dict[str, Any]


def all_on(*names: str, **limits: Any) -> Grant:
    return {"names": names, "privileges": ["all"], **limits}


def manage_on(*names: str) -> Grant:
    return {"names": names, "privileges": ["manage"]}


TASKS: Grant = {"names": [".tasks"], "privileges": ["read"], "allow_restricted_indices": True}


class Login:
    """Starts services that log in as somebody; each has a database of its own."""

    def __init__(self, es: Elastic, relay: Relay, folder: Path) -> None:
        self._es = es
        self._relay = relay
        self._folder = folder
        self._services = 0

    def may(self, user: str, *indices: Grant, cluster: tuple[str, ...] = ("manage",)) -> None:
        """Makes a user who may do that, or changes what the user may do."""
        self._es.put(f"/_security/role/{user}", {"cluster": cluster, "indices": indices})
        if self._es.request("GET", f"/_security/user/{user}").status_code == 404:
            self._es.put(f"/_security/user/{user}", {"password": WORD, "roles": [user]})

    def key_of(self, user: str, **body: Any) -> str:
        """A new API key of that user."""
        granted = {"grant_type": "password", "username": user, "password": WORD}
        answer = self._es.post(
            "/_security/api_key/grant", {**granted, "api_key": {"name": "k", **body}}
        )
        return secret(answer["encoded"], "an API key")

    @asynccontextmanager
    async def as_user(
        self, user: str, password: str = WORD, **more: Any
    ) -> AsyncGenerator[Service]:
        settings: dict[str, Any] = {
            "elasticsearch_username": user,
            "elasticsearch_password": password,
            "reindex_synchronous_documents": 0,  # by tasks, so that a test can stop it
            **more,
        }
        async with running_service(self._relay.url, self._database(), **settings) as service:
            yield service

    @asynccontextmanager
    async def with_key(self, key: str) -> AsyncGenerator[Service]:
        settings = {"elasticsearch_apikey": key}
        async with running_service(self._relay.url, self._database(), **settings) as service:
            yield service

    @asynccontextmanager
    async def with_token(self, token: str) -> AsyncGenerator[Service]:
        """A service account's."""
        settings = {"elasticsearch_serviceaccounttoken": token}
        async with running_service(self._relay.url, self._database(), **settings) as service:
            yield service

    def _database(self) -> str:
        self._services += 1
        return f"sqlite:///{self._folder / f'{self._services}.db'}"


async def failed(service: Service, index: str, *words: str) -> None:
    operation = await service.ended(index)
    assert operation["status"] == 2, operation
    assert operation["lastCompletedStep"] == 0
    for word in words:
        assert word in operation["errorMessage"]
