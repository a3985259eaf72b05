"""What our own user may do, and whether the cluster asks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from app.domain.errors import ClusterRefused
from app.domain.names import IndexName
from app.elastic.connection import Connection
from app.elastic.errors import understanding

_NO_ALIAS = (
    "invalid_alias_name_exception",
    "cluster_block_exception",
    "index_not_found_exception",
)
"""How an alias is refused that can not be, to a user who sees the whole index."""


class SecurityView:
    """Every method raises `ClusterTrouble` where waiting may help."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def is_on(self, remembered: float = 0.0) -> bool:
        """False where the cluster has no security, or it is switched off; at most `remembered`
        seconds old."""
        return await self._connection.memory.recall("security", remembered, self._ask_security)

    async def _ask_security(self) -> bool:
        """By something that every user may do: `_xpack` is refused to one without `monitor`."""
        try:
            await self._connection.read(lambda es: es.security.authenticate())
        except ClusterRefused as error:
            absent = error.kind == "error" and error.http_status in (400, 405)  # no such route
            if absent or "ecurity must be explicitly enabled" in error.reason:  # 7.x by default
                return False
            raise
        return True

    async def missing_privileges(
        self, *, everything: Sequence[str], readable: Sequence[str], managed: Sequence[str]
    ) -> tuple[list[str], dict[str, list[str]]]:
        """What our own user lacks: cluster privileges, and index privileges by name.

        Of the cluster it is `manage`; `all` on the first names, `read` and `manage` on the others.
        """
        asked: list[dict[str, Any]] = [
            {"names": everything, "privileges": ["all"], "allow_restricted_indices": True},
            {"names": readable, "privileges": ["read"]},
            {"names": managed, "privileges": ["manage"]},
        ]
        wanted = [entry for entry in asked if entry["names"]]
        answer = await self._connection.read(
            lambda es: es.security.has_privileges(cluster=["manage"], index=wanted)
        )
        with understanding("our privileges"):
            lacking = [name for name, held in answer["cluster"].items() if not held]
            by_index = {
                index: [privilege for privilege, held in privileges.items() if not held]
                for index, privileges in cast(dict[str, dict[str, bool]], answer["index"]).items()
            }
        return lacking, {index: lacks for index, lacks in by_index.items() if lacks}

    async def restriction_on(self, index: IndexName) -> str | None:
        """Elasticsearch's word that our user has document- or field-level security on `index`.

        `_has_privileges` says yes to everything all the same, while documents and fields are
        missing from every answer; `_security/user/_privileges` is refused to an API key with
        roles of its own, and does not show those of its owner (8.19). But an alias is refused to
        such a user before anything else, so one is asked for that can not be: the index's own
        name (8.19, 9.4).
        """
        actions = [{"add": {"index": index, "alias": index}}]
        try:
            await self._connection.read(lambda es: es.indices.update_aliases(actions=actions))
        except ClusterRefused as error:
            if error.kind == "security_exception" and error.http_status == 400:
                return error.reason
            if error.kind not in _NO_ALIAS:
                raise
        return None
