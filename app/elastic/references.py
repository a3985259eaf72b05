"""What in the cluster may name an index: pipelines, policies, transforms, templates."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from app.domain.errors import ClusterRefused
from app.elastic.connection import Connection
from app.elastic.errors import NOTHING_THERE

Documents = Mapping[str, Any]


class ReferencesView:
    """Every method raises `ClusterRefused` where the cluster lacks the module, or our user the
    privilege."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def ingest_pipelines(self) -> Documents:
        """By name, as they are stored. Where there is none, 7.17 answers with 404 and `{}`."""
        try:
            return await self._connection.read(lambda es: es.ingest.get_pipeline())
        except ClusterRefused as error:
            if error.kind == NOTHING_THERE:
                return {}
            raise

    async def enrich_policies(self) -> Documents:
        """By name: the indices it reads."""
        answer = await self._connection.read(lambda es: es.enrich.get_policy())
        return {
            str(config["name"]): config.get("indices")
            for policy in answer.get("policies", ())
            for config in policy.get("config", {}).values()
        }

    async def transforms(self) -> Documents:
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
