"""Who else in the cluster names an index: what can be asked cheaply, where the cluster has it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from app.domain.errors import ClusterRefused
from app.domain.names import IndexName
from app.domain.texts import capped
from app.elastic.connection import Connection
from app.elastic.paths import chunks, in_path
from app.elastic.translation import NOTHING_THERE, understanding

Documents = Mapping[str, Any]

_CLASS = re.compile(r"\b(?:[a-z_0-9]+\.)+[A-Z]\w*: ")
"""The name of a Java class before what it says."""
_MOST_OF_A_FAULT = 300


class ReferringView:
    """A part of `ClusterView`. Every method raises `ClusterRefused` where the cluster lacks the
    module, or our user the privilege."""

    _connection: Connection

    async def aliases_of(self, names: Sequence[IndexName]) -> dict[str, dict[str, Any]]:
        """By index: its aliases with their properties. A metadata block refuses all of them."""
        found: dict[str, dict[str, Any]] = {}
        for part in chunks(names):
            answer = await self._connection.read(
                f"/{in_path(*part)}/_alias",
                {"expand_wildcards": "all", "ignore_unavailable": "true"},
            )
            found |= {
                index: dict(entry["aliases"])
                for index, entry in answer.items()
                if "aliases" in entry
            }
        return found

    async def query_fault(self, index: IndexName, query: Any) -> str | None:
        """Why the running version does not take `query` for an open index, or None."""
        answer = await self._connection.read(
            f"/{in_path(index)}/_validate/query", {"explain": "true"}, {"query": query}
        )
        with understanding(f"a query of {index}"):
            if answer["valid"] is not False:
                return None
            told = [answer, *answer.get("explanations", ())]
            errors = [one["error"] for one in told if isinstance(one.get("error"), str)]
        return capped(_CLASS.sub("", errors[0]), _MOST_OF_A_FAULT) if errors else None

    async def ingest_pipelines(self) -> Documents:
        """By name, as they are stored. Where there is none, 7.17 answers with 404 and `{}`."""
        try:
            return await self._connection.read("/_ingest/pipeline")
        except ClusterRefused as error:
            if error.kind == NOTHING_THERE:
                return {}
            raise

    async def enrich_policies(self) -> Documents:
        """By name: the indices it reads."""
        answer = await self._connection.read("/_enrich/policy")
        return {
            str(config["name"]): config.get("indices")
            for policy in answer.get("policies", ())
            for config in policy.get("config", {}).values()
        }

    async def transforms(self) -> Documents:
        """By id: the indices it reads and the one it writes."""
        answer = await self._connection.read(
            "/_transform", {"size": "1000", "filter_path": "transforms.id,transforms.*.index"}
        )
        return {
            str(t["id"]): [t.get("source"), t.get("dest")] for t in answer.get("transforms", ())
        }

    async def index_templates(self) -> dict[str, list[str]]:
        """The index patterns of every template by name, composable and legacy ones."""
        composable = await self._connection.read(
            "/_index_template",
            {"filter_path": "index_templates.name,index_templates.index_template.index_patterns"},
        )
        legacy = await self._connection.read("/_template", {"filter_path": "*.index_patterns"})
        found = {str(name): list(entry["index_patterns"]) for name, entry in legacy.items()}
        for entry in composable.get("index_templates", ()):
            found[str(entry["name"])] = list(entry["index_template"]["index_patterns"])
        return found
