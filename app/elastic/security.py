"""Security: whether there is any, what our own user may do, and whether it sees everything."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from app.domain.errors import ClusterRefused
from app.domain.names import IndexName
from app.elastic.callers import lacking, says_no_security
from app.elastic.connection import Connection
from app.elastic.errors import understanding

_NO_ALIAS = (
    "invalid_alias_name_exception",
    "cluster_block_exception",
    "index_not_found_exception",
)
"""How an alias is refused that can not be, to a user who sees the whole index."""


@dataclass(frozen=True)
class PrivilegesOn:
    """Privileges that are asked about, each on each of `names`. `restricted`: also where a name is
    one that is kept from ordinary roles."""

    names: Sequence[str]
    privileges: Sequence[str]
    restricted: bool = False

    def asked(self) -> dict[str, Any]:
        """As `_has_privileges` takes it."""
        found: dict[str, Any] = {"names": [*self.names], "privileges": [*self.privileges]}
        return found | ({"allow_restricted_indices": True} if self.restricted else {})


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
            if says_no_security(error):
                return False
            raise
        return True

    async def lacking(
        self, cluster: Sequence[str], indices: Sequence[PrivilegesOn]
    ) -> tuple[list[str], dict[str, list[str]]]:
        """What our own user lacks of these privileges: on the cluster, and by name of an index; in
        the order in which they were given."""
        asked = [one.asked() for one in indices if one.names]
        answer = await self._connection.read(
            lambda es: es.security.has_privileges(cluster=list(cluster), index=asked)
        )
        order = [*cluster, *(name for one in indices for name in one.privileges)]
        with understanding("our privileges"):
            general, by_index = lacking(answer)
        return _sorted(general, order), {
            index: _sorted(names, order) for index, names in by_index.items()
        }

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


def _sorted(names: Sequence[str], order: Sequence[str]) -> list[str]:
    places = {name: place for place, name in reversed([*enumerate(order)])}
    return sorted(names, key=lambda name: places.get(name, len(order)))
