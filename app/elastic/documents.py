"""Looking at the documents of an index: how many, where they lie, and what they are."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any, cast

from msgspec import Raw

from app.domain.errors import ClusterBusy
from app.domain.failure import FailedDocument
from app.domain.names import IndexName
from app.elastic.answers import MOST, Document, Documents, Shards, mapping, whole
from app.elastic.connection import Connection
from app.elastic.framing import named, new_name, unframed
from app.elastic.paths import in_path
from app.elastic.serializer import Unparsed
from app.elastic.translation import shards_failed, understanding

EVERYTHING: dict[str, Any] = {"match_all": {}}
PATIENT = "60s"
"""In the place of the cluster's `search.default_search_timeout`, which may be too short."""
WITH_VECTORS = {"exclude_vectors": False}
"""9.2 and newer leave vectors out of `_source` unless asked; older ones do not know the option."""


class DocumentView:
    """Every method raises `ClusterTrouble` where waiting may help."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._odd: set[IndexName] = set()

    async def count(self, index: IndexName) -> tuple[int, Shards]:
        """Documents a search sees (nested children do not count), and the shards that answered.

        Raises `ClusterTrouble` where one failed.
        """
        answer = await self._connection.read(f"/{in_path(index)}/_count")
        with understanding(f"the documents of {index}"):
            _whole(answer, index)
            return whole(answer["count"]), Shards.of(answer)

    async def documents(
        self,
        index: IndexName,
        query: Mapping[str, Any],
        size: int,
        shard: int | None = None,
        *,
        with_vectors: bool = False,
    ) -> Documents:
        """The first `size` documents that `query` finds, in no order, and how many there are.

        Raises `ClusterTrouble` where a shard did not answer.
        """
        wanted = {
            "size": size,
            "timeout": PATIENT,
            "version": True,
            "track_total_hits": True,
            "_source": WITH_VECTORS if with_vectors else True,
        }
        answer = await self._page(index, query, wanted, shard)
        with understanding(f"the documents of {index}"):
            shards = _whole(answer, index)
            if answer["timed_out"]:
                raise ClusterBusy(f"A search of {index} timed out.")
            hits = answer["hits"]
            found = [_document(hit) for hit in cast(list[dict[str, Any]], hits["hits"])]
            return Documents(found, whole(hits["total"]["value"]), shards)

    async def _page(
        self,
        index: IndexName,
        query: Mapping[str, Any],
        wanted: Mapping[str, Any],
        shard: int | None,
    ) -> dict[str, Any]:
        """The answer to a search, each `_source` as its bytes.

        Where a document makes it no JSON, it is asked for once more in a way that shows where each
        document ends; so is all else of that index, for it has more of the kind.
        """
        path = f"/{in_path(index)}/_search"
        params = {"allow_partial_search_results": "false", "request_cache": "false"}
        if shard is not None:
            params["preference"] = f"_shards:{shard}"
        if index not in self._odd:
            answer = await self._connection.read_page(path, params, {**wanted, "query": query})
            if not isinstance(answer, Unparsed):
                return answer
        name = new_name()
        body = {**wanted, "query": named(query, name)}
        answer = await self._connection.read_page(path, params, body)
        if isinstance(answer, Unparsed):
            with understanding(f"the documents of {index}"):
                answer = unframed(answer.data, name)
            self._odd.add(index)
        return answer

    async def refusals(
        self, index: IndexName, documents: Sequence[Document]
    ) -> list[FailedDocument]:
        """Which of `documents` the index would refuse now; nothing is written (8.12 and newer).

        Their routing is not looked at. One that cannot be read as JSON is passed over.
        """
        lines = [
            {"_index": index, "_id": document.id, "_source": tree}
            for document in documents
            if (tree := _tree(document.source)) is not None
        ]
        answer = await self._connection.read("/_ingest/_simulate", None, {"docs": lines})
        with understanding(f"documents tried on {index}"):
            found = [mapping(one["doc"]) for one in cast(list[dict[str, Any]], answer["docs"])]
            return [
                FailedDocument.of(str(one["_id"]), str(error["type"]), str(error.get("reason")))
                for one in found
                if (error := mapping(one.get("error", {})))
            ]

    async def percentiles_of_seq_no(
        self, index: IndexName, shard: int | None, percents: Sequence[float]
    ) -> list[float]:
        """Estimated sequence numbers below which that share of the documents of a shard, or of all
        shards, lie."""
        params = {"request_cache": "false"}
        if shard is not None:
            params["preference"] = f"_shards:{shard}"
        answer = await self._connection.read(
            f"/{in_path(index)}/_search",
            params,
            {
                "size": 0,
                "timeout": PATIENT,
                "track_total_hits": False,
                "aggs": {"cut": {"percentiles": {"field": "_seq_no", "percents": list(percents)}}},
            },
        )
        with understanding(f"the sequence numbers of {index}"):
            _whole(answer, index)
            values = cast(dict[str, float | None], answer["aggregations"]["cut"]["values"])
            found = [float(value) for value in values.values() if value is not None]
            return [value for value in found if not math.isnan(value) and abs(value) <= MOST]


def _tree(source: bytes) -> Any:
    try:
        return json.loads(source)
    except (ValueError, RecursionError):
        return None


def _whole(answer: Mapping[str, Any], index: IndexName) -> Shards:
    """The shards of an answer to a search. Raises `ClusterTrouble` where one of them failed."""
    shards = Shards.of(answer)
    if shards.failed:
        raise shards_failed(f"A shard of {index}", answer["_shards"].get("failures"))
    return shards


def _document(hit: Mapping[str, Any]) -> Document:
    routing, source = hit.get("_routing"), hit.get("_source")
    return Document(
        str(hit["_id"]),
        None if routing is None else str(routing),
        whole(hit["_version"]),
        bytes(source) if isinstance(source, Raw) else json.dumps(source).encode(),
    )
