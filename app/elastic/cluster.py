"""One cluster, subject by subject: what is looked at, and what only the worker may change."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from app.domain.events import Note
from app.elastic.aliases import Aliases, AliasesView
from app.elastic.connection import Changes, Connection
from app.elastic.documents import DocumentsView
from app.elastic.indices import Indices, IndicesView
from app.elastic.nodes import NodesView
from app.elastic.references import ReferencesView
from app.elastic.security import SecurityView
from app.elastic.shards import ShardsView
from app.elastic.snapshots import SnapshotsView
from app.elastic.tasks import Tasks, TasksView


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
        )


@dataclass(frozen=True)
class Cluster(ClusterView):
    """Looks at a cluster and changes it, for the worker. It may stand wherever a `ClusterView`
    does; the three subjects of which something can be changed are those that change it."""

    indices: Indices
    aliases: Aliases
    tasks: Tasks
    changes: Changes

    @staticmethod
    def for_worker(connection: Connection, permit: Callable[[], None]) -> Cluster:
        """`permit` is asked before every change, and raises where none may be sent any more."""
        view, changes = ClusterView.of(connection), Changes(connection, permit)
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
            changes=changes,
        )

    def take_notes(self) -> list[Note]:
        """The changes noted since the last call, in order."""
        return self.changes.take_notes()
