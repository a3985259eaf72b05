"""What our own user must be allowed to do to reindex an index, and what it lacks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from app.domain.errors import Failure
from app.domain.names import IndexName, source_name
from app.elastic.cluster import ClusterView
from app.upgrades.steps.identity import MARKERS

TASKS = ".tasks"
NEEDS_A_QUESTION = 100
"""So many needs are asked about at a time."""


@dataclass(frozen=True)
class Need:
    """One index to be reindexed; the target takes over its `aliases`. `kept`: its kept copy."""

    index: IndexName
    target: IndexName
    aliases: Sequence[str] = ()
    kept: IndexName | None = None

    def everything(self, major: int) -> list[str]:
        """Where Kibana asks for `all`: source, target, and the name without an older prefix."""
        bare = source_name(self.index, major)
        named = bare.strip(".") and bare != self.index
        kept = [self.kept] if self.kept else []
        return [self.index, self.target, *([bare] if named else []), *kept]

    def managed(self) -> list[str]:
        """Aliases that are put on an index: Elasticsearch wants `manage` on their names, too.

        Kibana does not ask for these and is refused after the whole copy.
        """
        return [f"{MARKERS}*", *self.aliases]


async def missing(
    cluster: ClusterView, needs: Sequence[Need], major: int
) -> dict[IndexName, list[str]]:
    """What our user lacks for each index, in words; an index that lacks nothing is not a key.

    Only for a cluster with security.
    """
    lacking: dict[IndexName, list[str]] = {}
    for start in range(0, len(needs), NEEDS_A_QUESTION):
        part = needs[start : start + NEEDS_A_QUESTION]
        general, by_name = await cluster.security.missing_privileges(
            everything=_once(name for need in part for name in need.everything(major)),
            readable=[TASKS],
            managed=_once(name for need in part for name in need.managed()),
        )
        for need in part:
            names = [*need.everything(major), TASKS, *need.managed()]
            words = [f"{privilege} on the cluster" for privilege in general]
            words += [f"{', '.join(by_name[name])} on {name}" for name in names if name in by_name]
            if words:
                lacking[need.index] = words
    return lacking


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
