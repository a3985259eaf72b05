"""What a caller with a login of the cluster must be allowed to do there, and what they lack."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TypeVar

from app.domain.errors import CallerLacksPrivileges
from app.domain.names import IndexName
from app.domain.operation import Operation
from app.elastic.callers import CallersView
from app.elastic.cluster import ClusterView
from app.upgrades.privileges import NEEDS_A_QUESTION, Need
from app.upgrades.steps.identity import named

K = TypeVar("K", bound=str)
MANAGE = "manage"


class CallerPrivileges:
    """Asks the cluster with the caller's own credentials, and what Kibana asks: `manage` on the
    cluster; `all` on source and target, and on the aliases that the target gets. Not for `.tasks`,
    which Kibana 8.19 asks for and its newest release does not: our own user sees to tasks.

    `credentials` None: the caller has none, and so nothing is asked. Every method raises
    `LoginRefused`, `LoginForbidden`, `NobodyToAsk`, `ClusterTrouble`, and `MixedVersions`.
    """

    def __init__(
        self, callers: CallersView, cluster: ClusterView, one_major: Callable[[], Awaitable[int]]
    ) -> None:
        """`one_major`: answers the cluster's major."""
        self._callers = callers
        self._cluster = cluster
        self._one_major = one_major

    async def missing(self, needs: Mapping[K, Need], credentials: str | None) -> dict[K, list[str]]:
        """What they lack for each, in words; what lacks nothing is not a key."""
        if credentials is None or not needs:
            return {}
        major, keys, found = await self._one_major(), [*needs], dict[K, list[str]]()
        for start in range(0, len(keys), NEEDS_A_QUESTION):
            names = {
                key: _names(needs[key], major) for key in keys[start : start + NEEDS_A_QUESTION]
            }
            everything = list(dict.fromkeys(name for some in names.values() for name in some))
            general, by_index = await self._callers.lacks(
                credentials, cluster=[MANAGE], indices={"all": everything}
            )
            for key, some in names.items():
                words = [f"{privilege} on the cluster" for privilege in general]
                words += [f"all on {name}" for name in some if name in by_index]
                if words:
                    found[key] = words
        return found

    async def missing_of(
        self, operations: Sequence[Operation], credentials: str | None
    ) -> dict[str, list[str]]:
        """The same for operations that there are, by their ids."""
        if credentials is None or not operations:
            return {}
        names = [name for one in operations for name in (one.source_name, one.new_index_name)]
        looked = await self._cluster.indices.look_at_all(names)
        needs: dict[str, Need] = {}
        for one in operations:
            recorded = one.source.aliases if one.source else ()
            holders = (looked.get(one.source_name), looked.get(one.new_index_name))
            now = [alias for state in holders if state for alias in state.aliases]
            aliases = [*recorded, *now, one.index_name]
            needs[one.id] = Need(one.source_name, one.new_index_name, aliases)
        return await self.missing(needs, credentials)

    async def require(self, operation: Operation, credentials: str | None) -> None:
        """Raises `CallerLacksPrivileges` where they may not rewrite, or roll back, its index."""
        for missing in (await self.missing_of([operation], credentials)).values():
            raise CallerLacksPrivileges(operation.index_name, missing)

    async def require_block(self, name: IndexName, credentials: str | None) -> None:
        """Raises `CallerLacksPrivileges` where they may not block the writes to it: Elasticsearch
        wants `manage` on the index."""
        if credentials is None:
            return
        _, lacks = await self._callers.lacks(credentials, indices={MANAGE: [name]})
        if lacks:
            raise CallerLacksPrivileges(name, [f"{MANAGE} on {name}"], "block writes to")


def _names(need: Need, major: int) -> list[str]:
    """Where `all` is asked for, each once. Not the kept copy, which is ours to make and remove."""
    aliases = named(need.aliases)
    every = (need.index, need.target, *need.without_prefix(major), *aliases)
    return list(dict.fromkeys(name for name in every if name != need.kept))
