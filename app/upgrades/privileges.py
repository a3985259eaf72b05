"""What our own user must be allowed to do to reindex an index, and what it lacks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from app.domain import rights
from app.domain.errors import Failure
from app.domain.names import IndexName, source_name
from app.domain.rights import HeldOn, Right
from app.elastic.cluster import ClusterView
from app.elastic.security import PrivilegesOn
from app.upgrades.steps.identity import MARKERS

NEEDS_A_QUESTION = 100
"""So many needs are asked about at a time."""
_SOURCE = rights.privileges(HeldOn.INDICES, needed=True)
_TARGET = [*_SOURCE, *rights.privileges(HeldOn.TARGETS, needed=True)]
_ALIAS = ["manage"]


@dataclass(frozen=True)
class Need:
    """One index to be reindexed; the target takes over its `aliases`. `kept`: its kept copy."""

    index: IndexName
    target: IndexName
    aliases: Sequence[str] = ()
    kept: IndexName | None = None

    def read_from(self) -> list[str]:
        """The indices that are given back as they were, or kept."""
        return [self.index, *([self.kept] if self.kept else [])]

    def aliases_put(self, major: int) -> list[str]:
        """Aliases that are put on an index: Elasticsearch wants `manage` on their names, too.

        Among them is the name without an older prefix. Kibana does not ask for the others and is
        refused after the whole copy.
        """
        return [*self.without_prefix(major), f"{MARKERS}*", *self.aliases]

    def without_prefix(self, major: int) -> list[str]:
        """The name without the prefix of an older rewrite; none where it has none."""
        bare = source_name(self.index, major)
        return [bare] if bare.strip(".") and bare != self.index else []


async def missing(
    cluster: ClusterView, needs: Sequence[Need], major: int
) -> dict[IndexName, list[str]]:
    """What our user lacks for each index, in words; an index that lacks nothing is not a key.

    Only for a cluster with security.
    """
    lacking: dict[IndexName, list[str]] = {}
    for start in range(0, len(needs), NEEDS_A_QUESTION):
        part = needs[start : start + NEEDS_A_QUESTION]
        general, by_name = await cluster.security.lacking(
            rights.privileges(HeldOn.CLUSTER, needed=True),
            [
                PrivilegesOn(_once(name for need in part for name in need.read_from()), _SOURCE),
                PrivilegesOn(_once(need.target for need in part), _TARGET),
                PrivilegesOn(
                    _once(name for need in part for name in need.aliases_put(major)), _ALIAS
                ),
            ],
        )
        for need in part:
            names = [*need.read_from(), need.target, *need.aliases_put(major)]
            words = [f"{privilege} on the cluster" for privilege in general]
            words += [f"{', '.join(by_name[name])} on {name}" for name in names if name in by_name]
            if words:
                lacking[need.index] = words
    return lacking


async def missed(cluster: ClusterView) -> list[Right]:
    """The rights that our user lacks and that no index waits for. Only where there is security."""
    general, by_name = await cluster.security.lacking(
        rights.privileges(HeldOn.CLUSTER, needed=False),
        [PrivilegesOn([rights.TASKS], rights.privileges(HeldOn.RESULTS), restricted=True)],
    )
    absent = {*general, *by_name.get(rights.TASKS, ())}
    return [one for one in rights.RIGHTS if not one.needed and one.privilege in absent]


async def refuse_restriction(index: IndexName, cluster: ClusterView) -> None:
    """Raises `Failure` where our own user does not see the whole of `index`: the copy would not
    have the rest, and the counts of such a user agree."""
    if said := await cluster.security.restriction_on(index):
        raise Failure(
            "restricted_reading",
            f"The service's user sees only a part of {index}: document- or field-level security "
            "is set for it, and what it does not see would be lost. Use a user or key without it. "
            f"(Elasticsearch: {said})",
        )


def _once(names: Iterator[str]) -> list[str]:
    return list(dict.fromkeys(names))
