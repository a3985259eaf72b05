"""The mark of the database that works on a cluster, as a setting of the cluster."""

from __future__ import annotations

from typing import Any, cast

from app.domain.events import EventKind, Note
from app.domain.ownership import Mark
from app.elastic.connection import ACKNOWLEDGED, ChangingCalls, Connection

KEY = "cluster.metadata.reindex_queue"
"""Elasticsearch takes any key below `cluster.metadata.`, and does nothing with it (7.17 to 9.4). To
read it takes the privilege `monitor`, to write it `manage` (8.19, 9.4)."""


class MarksView:
    """Raises `ClusterTrouble` where waiting may help, `ClusterRefused` where our user may not."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def seen(self, cluster_id: str) -> Mark | None:
        """The mark that is there for the cluster under that name; None: none, or what is no mark.
        So two services that are meant to work on one cluster side by side give it two names."""
        wanted = f"persistent.{KEY}"
        found: Any = await self._connection.read(
            lambda es: es.cluster.get_settings(filter_path=wanted)
        )
        for part in ("persistent", *KEY.split("."), _part(cluster_id)):
            found = cast(dict[str, Any], found).get(part) if isinstance(found, dict) else None
        return Mark.read(cast(dict[str, Any], found)) if isinstance(found, dict) else None


class Marks(MarksView):
    """Raises `LeaseLost`, too."""

    def __init__(self, connection: Connection, changes: ChangingCalls) -> None:
        super().__init__(connection)
        self._changes = changes

    async def leave(self, cluster_id: str, mark: Mark) -> None:
        """Writes it in the place of any other. All of its parts are one change of the cluster."""
        values = {key: str(value) for key, value in mark.model_dump().items()}
        note = Note(what=EventKind.CLUSTER_MARKED, after=mark.model_dump())
        await self._changes.send(
            note,
            lambda es: es.cluster.put_settings(
                persistent={f"{KEY}.{_part(cluster_id)}": values},
                master_timeout=ACKNOWLEDGED["master_timeout"],
            ),
        )


def _part(cluster_id: str) -> str:
    """`cluster_id` as a part of a setting's key, in which only these characters are taken."""
    return "".join(
        one if one.isascii() and (one.isalnum() or one == "-") else f"_{ord(one):x}_"
        for one in cluster_id
    )
