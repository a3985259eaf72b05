"""What a cluster says of a caller, asked with the caller's own credentials and nothing of ours."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from app.domain.errors import (
    ClusterForbids,
    ClusterRefused,
    CredentialsRefused,
    LoginForbidden,
    LoginRefused,
    NobodyToAsk,
)
from app.elastic.connection import Connection, Request
from app.elastic.errors import understanding

ANONYMOUS = "anonymous"
"""How Elasticsearch has logged somebody in who brought nothing that it reads as a login, where it
lets such people in (`authentication_type`; 8.19, 9.4)."""

Lacking = tuple[list[str], dict[str, list[str]]]
"""Privileges that are missing: of the cluster, and by the name of each index."""


@dataclass(frozen=True)
class Known:
    """Somebody whom the cluster knows. `username`: of an API key, its name. `privileges`: of the
    cluster privileges that were asked for, those that they have."""

    realm: str
    username: str
    privileges: frozenset[str]


class CallersView:
    """`connection` must have no login of its own, no headers, and no certificate of ours.

    Every method raises `LoginRefused` where Elasticsearch does not accept the credentials, the
    value of an `Authorization` header, `LoginForbidden` where they may not ask, `NobodyToAsk` where
    the cluster has no security, and `ClusterTrouble` where waiting may help.
    """

    def __init__(self, connection: Connection, cluster: str) -> None:
        self._connection = connection
        self._cluster = cluster

    async def identify(self, credentials: str, privileges: Sequence[str]) -> Known:
        """Who comes with them, and which of these cluster privileges they have."""
        told = await self._ask(credentials, lambda es: es.security.authenticate())
        with understanding("who the caller is"):
            if told.get("authentication_type") == ANONYMOUS:
                raise LoginRefused(self._cluster)
            realm = str(told["authentication_realm"]["name"])
            key = cast(dict[str, Any] | None, told.get("api_key"))
            name = key.get("name") or key["id"] if key else told["username"]
        lacks, _ = await self.lacks(credentials, cluster=privileges)
        return Known(realm, str(name), frozenset(privileges) - frozenset(lacks))

    async def lacks(
        self,
        credentials: str,
        *,
        cluster: Sequence[str] = (),
        indices: Mapping[str, Sequence[str]] | None = None,
    ) -> Lacking:
        """What they lack of these privileges; `indices`: names by privilege."""
        asked = [
            {"names": names, "privileges": [privilege], "allow_restricted_indices": True}
            for privilege, names in (indices or {}).items()
            if names
        ]
        answer = await self._ask(
            credentials, lambda es: es.security.has_privileges(cluster=list(cluster), index=asked)
        )
        with understanding("the caller's privileges"):
            return lacking(answer)

    async def readable(self, credentials: str, names: Collection[str]) -> frozenset[str]:
        """Those of these indices whose documents they may read."""
        if not names:
            return frozenset()
        _, lacks = await self.lacks(credentials, indices={"read": sorted(names)})
        return frozenset(names) - lacks.keys()

    async def _ask(self, credentials: str, request: Request) -> dict[str, Any]:
        headers = {"authorization": credentials}
        try:
            return await self._connection.read(lambda es: request(es.options(headers=headers)))
        except CredentialsRefused:
            raise LoginRefused(self._cluster) from None
        except ClusterRefused as error:
            if says_no_security(error):
                raise NobodyToAsk(self._cluster) from None
            if isinstance(error, ClusterForbids):
                raise LoginForbidden(self._cluster, error.reason.rstrip(".")) from None
            raise


def says_no_security(error: ClusterRefused) -> bool:
    """True of the answer to a question about users where there is no security: no such route (400
    or 405; 7.17 without the module, 8.19, 9.4), or it is off, as it is by default in 7.x."""
    absent = error.kind == "error" and error.http_status in (400, 405)
    return absent or "ecurity must be explicitly enabled" in error.reason


def lacking(answer: Mapping[str, Any]) -> Lacking:
    """From the answer of `_has_privileges`; an index that lacks nothing is not a key."""
    general = [name for name, held in answer["cluster"].items() if not held]
    by_index = {
        index: [privilege for privilege, held in privileges.items() if not held]
        for index, privileges in cast(dict[str, dict[str, bool]], answer["index"]).items()
    }
    return general, {index: lacks for index, lacks in by_index.items() if lacks}
