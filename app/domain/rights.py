"""Rights in Elasticsearch: what the service's own user has to be allowed to do, and what for.

The one list: what is asked of the cluster, the roles in `ops/` and the table of `docs/rights.md`
are made of it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from app.domain.remedies import Setting

TASKS = ".tasks"
"""Where Elasticsearch keeps the results of ended tasks; a restricted index."""


class HeldOn(StrEnum):
    """On what a right is held, in words."""

    CLUSTER = "the cluster"
    INDICES = "every index that is rewritten, its new index, its kept copy, their aliases, `.rq-*`"
    TARGETS = "the new indices"
    RESULTS = "`.tasks`, a restricted index"


@dataclass(frozen=True)
class Right:
    """`privilege`: as Elasticsearch names it, or one of its actions where no named privilege is as
    narrow (7.17, 8.19 and 9.4 know all of them). `without`: what does not work where it is not
    held; empty: no index is taken without it.
    """

    privilege: str
    place: HeldOn
    purpose: str
    without: str = ""

    @property
    def needed(self) -> bool:
        return not self.without


_NO_REFERENCES = "a plan says that it does not know which {} name an index"

RIGHTS = (
    Right(
        "monitor",
        HeldOn.CLUSTER,
        "looks at indices, nodes, disks, shards, tasks, running snapshots and transforms",
    ),
    Right(
        "cancel_task",
        HeldOn.CLUSTER,
        "ends the copies that it has started: at a cancel, a pause, a stop, the end of the hours",
    ),
    Right(
        "cluster:admin/reindex/rethrottle",
        HeldOn.CLUSTER,
        "makes a running copy slower or faster",
    ),
    Right(
        "cluster:admin/settings/update",
        HeldOn.CLUSTER,
        "leaves the mark of its database in the cluster",
        "a database that was restored, or a second one at work, is not noticed",
    ),
    Right(
        "read_pipeline",
        HeldOn.CLUSTER,
        "a plan shows which ingest pipelines name an index",
        _NO_REFERENCES.format("pipelines"),
    ),
    Right(
        "cluster:admin/xpack/enrich/get",
        HeldOn.CLUSTER,
        "a plan shows which enrich policies name an index",
        _NO_REFERENCES.format("enrich policies"),
    ),
    Right(
        "indices:admin/index_template/get",
        HeldOn.CLUSTER,
        "a plan shows which index templates apply to a new index",
        _NO_REFERENCES.format("templates"),
    ),
    Right(
        "indices:admin/template/get",
        HeldOn.CLUSTER,
        "the same for templates of the older kind",
        _NO_REFERENCES.format("templates"),
    ),
    Right(
        "read_slm",
        HeldOn.CLUSTER,
        "waits for a snapshot that is due before it blocks writes",
        "such a snapshot is not waited for, and a swap may have to wait for it with writes blocked",
    ),
    Right(
        "monitor_snapshot",
        HeldOn.CLUSTER,
        f"sees in which snapshots an index is, where `{Setting.REQUIRE_SNAPSHOT}` asks for one",
        f"with `{Setting.REQUIRE_SNAPSHOT}` every index waits",
    ),
    Right(
        "read",
        HeldOn.INDICES,
        "copies documents, counts and compares them",
    ),
    Right(
        "manage",
        HeldOn.INDICES,
        "blocks writes, makes the new index and the kept copy, moves aliases, removes the old "
        "index, opens and closes",
    ),
    Right(
        "write",
        HeldOn.TARGETS,
        "writes the copy",
    ),
    Right(
        "delete",
        HeldOn.RESULTS,
        "removes the results of its copies once they are saved",
        "they stay there",
    ),
)

NAMES = {
    HeldOn.INDICES: ("*",),
    HeldOn.TARGETS: ("reindexed-v*", ".reindexed-v*"),
    HeldOn.RESULTS: (TASKS,),
}
"""In the roles, where it is not known which indices will be rewritten."""

FOR_OPERATORS = (
    "cluster:admin/autoscaling/",
    "cluster:admin/desired_nodes/",
    "cluster:admin/license/",
    "cluster:admin/repository/analyze",
    "cluster:admin/shutdown/",
    "cluster:admin/voting_config/",
    "cluster:admin/xpack/license/",
)
"""How actions begin that Elastic Cloud keeps to its operators (8.19, 9.4)."""


def privileges(place: HeldOn, *, needed: bool | None = None) -> list[str]:
    """Those of a place; all, or those that are needed, or those that are not."""
    found = (right for right in RIGHTS if right.place is place)
    return [one.privilege for one in found if needed is None or one.needed is needed]


def role(rights: Iterable[Right]) -> dict[str, Any]:
    """The body of `PUT /_security/role/…` that gives exactly these."""
    given = list(rights)
    indices: list[dict[str, Any]] = []
    for place, names in NAMES.items():
        held = [one.privilege for one in given if one.place is place]
        if held:
            indices.append({"names": list(names), "privileges": held})
            if place is HeldOn.RESULTS:
                indices[-1]["allow_restricted_indices"] = True
    cluster = [one.privilege for one in given if one.place is HeldOn.CLUSTER]
    return {"cluster": cluster, "indices": indices}


def on_elastic_cloud() -> list[Right]:
    """Those that are not for operators alone."""
    return [one for one in RIGHTS if not one.privilege.startswith(FOR_OPERATORS)]
