"""One cluster, subject by subject: what is looked at, what may be done there, and what only the
worker may change."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from app.domain.errors import ClusterRefused
from app.domain.events import Note
from app.elastic.connection import ChangingCalls, Connection
from app.elastic.documents import DocumentsView
from app.elastic.errors import NOTHING_THERE
from app.elastic.indices import Aliases, AliasesView, Indices, IndicesView
from app.elastic.marks import Marks, MarksView
from app.elastic.nodes import NodesView
from app.elastic.security import SecurityView
from app.elastic.shards import ShardsView
from app.elastic.snapshots import SnapshotsView
from app.elastic.tasks import Tasks, TasksView

Definitions = Mapping[str, Any]


class ReferencesView:
    """Every method raises `ClusterRefused` where the cluster lacks the module, or our user the
    privilege."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def ingest_pipelines(self) -> Definitions:
        """By name, as they are stored. Where there is none, 7.17 answers with 404 and `{}`."""
        try:
            return await self._connection.read(lambda es: es.ingest.get_pipeline())
        except ClusterRefused as error:
            if error.kind == NOTHING_THERE:
                return {}
            raise

    async def enrich_policies(self) -> Definitions:
        """By name: the indices it reads."""
        answer = await self._connection.read(lambda es: es.enrich.get_policy())
        return {
            str(config["name"]): config.get("indices")
            for policy in answer.get("policies", ())
            for config in policy.get("config", {}).values()
        }

    async def transforms(self) -> Definitions:
        """By id: the indices it reads and the one it writes."""
        answer = await self._connection.read(
            lambda es: es.transform.get_transform(
                size=1000, filter_path="transforms.id,transforms.*.index"
            )
        )
        return {
            str(t["id"]): [t.get("source"), t.get("dest")] for t in answer.get("transforms", ())
        }

    async def index_templates(self) -> dict[str, list[str]]:
        """The index patterns of every template by name, composable and legacy ones."""
        wanted = "index_templates.name,index_templates.index_template.index_patterns"
        composable = await self._connection.read(
            lambda es: es.indices.get_index_template(filter_path=wanted)
        )
        legacy = await self._connection.read(
            lambda es: es.indices.get_template(filter_path="*.index_patterns")
        )
        found = {str(name): list(entry["index_patterns"]) for name, entry in legacy.items()}
        for entry in composable.get("index_templates", ()):
            found[str(entry["name"])] = list(entry["index_template"]["index_patterns"])
        return found


@dataclass(frozen=True)
class ClusterView:
    """Looks at a cluster; nothing of it changes anything."""

    nodes: NodesView
    security: SecurityView
    indices: IndicesView
    aliases: AliasesView
    shards: ShardsView
    documents: DocumentsView
    tasks: TasksView
    snapshots: SnapshotsView
    references: ReferencesView
    marks: MarksView

    @staticmethod
    def of(connection: Connection) -> ClusterView:
        return ClusterView(
            nodes=NodesView(connection),
            security=SecurityView(connection),
            indices=IndicesView(connection),
            aliases=AliasesView(connection),
            shards=ShardsView(connection),
            documents=DocumentsView(connection),
            tasks=TasksView(connection),
            snapshots=SnapshotsView(connection),
            references=ReferencesView(connection),
            marks=MarksView(connection),
        )


@dataclass(frozen=True)
class Cluster(ClusterView):
    """Looks at a cluster and changes it, for the worker. It may stand wherever a `ClusterView`
    does; the four subjects of which something can be changed are those that change it."""

    indices: Indices
    aliases: Aliases
    tasks: Tasks
    marks: Marks
    changes: ChangingCalls

    @staticmethod
    def for_worker(connection: Connection, permit: Callable[[], None]) -> Cluster:
        """`permit` is asked before every change, and raises where none may be sent any more."""
        view, changes = ClusterView.of(connection), ChangingCalls(connection, permit)
        return Cluster(
            nodes=view.nodes,
            security=view.security,
            indices=Indices(connection, changes),
            aliases=Aliases(connection, changes),
            shards=view.shards,
            documents=view.documents,
            tasks=Tasks(connection, changes),
            snapshots=view.snapshots,
            references=view.references,
            marks=Marks(connection, changes),
            changes=changes,
        )

    def take_notes(self) -> list[Note]:
        """The changes noted since the last call, in order."""
        return self.changes.take_notes()
