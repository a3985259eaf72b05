"""The documents of an index: how many, where they lie, and what they are, byte for byte.

A search puts each `_source` into its answer as it was sent, and Elasticsearch takes more than JSON
is: comments, also an open one at the end, a byte order mark, UTF-16, UTF-8 that is none, any
nesting (7.17), 1,000 levels (8.19, 9.4). All of that is copied as it is. Where such a document ends
is not to be seen by reading it, so each gets a mark behind it: the name of the query that found it,
which comes after `_source` in a hit (7.17, 8.19, 9.4). The name is made for one request, so no
document has it.

Having Elasticsearch write `_source` anew (by filtering it, or as CBOR) would be no way: that rounds
numbers, and a deep document ends the node (7.17) or the connection (8.19, 9.4).
"""

from __future__ import annotations

import json
import math
import re
import secrets
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

import orjson
from msgspec import Raw

from app.domain.errors import ClusterBusy
from app.domain.failure import FailedDocument
from app.domain.formatting import capped
from app.domain.names import IndexName
from app.elastic.answers import MOST, Document, Documents, Shards, integer, mapping
from app.elastic.connection import Connection, in_path, raw
from app.elastic.errors import shards_failed, understanding
from app.elastic.http import Unparsed
from app.elastic.quoting import without_values

EVERYTHING: dict[str, Any] = {"match_all": {}}
PATIENT = "60s"
"""In the place of the cluster's `search.default_search_timeout`, which may be too short."""
WITH_VECTORS = {"exclude_vectors": False}
"""9.2 and newer leave vectors out of `_source` unless asked; older ones do not know the option."""

_FIRST_HIT, _SOURCE = b'"hits":[', b',"_source":'

_CLASS = re.compile(r"\b(?:[a-z_0-9]+\.)+[A-Z]\w*: ")
"""The name of a Java class before what it says."""
_MOST_OF_A_FAULT = 300


class DocumentsView:
    """Looks at documents. Every method raises `ClusterTrouble` where waiting may help."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._odd: set[IndexName] = set()

    async def count(self, index: IndexName) -> tuple[int, Shards]:
        """Documents a search sees (nested children do not count), and the shards that answered.

        Raises `ClusterTrouble` where one failed.
        """
        answer = await self._connection.read(raw("GET", f"/{in_path(index)}/_count"))
        with understanding(f"the documents of {index}"):
            _whole(answer, index)
            return integer(answer["count"]), Shards.of(answer)

    async def find(
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
            return Documents(found, integer(hits["total"]["value"]), shards)

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
        if index not in self._odd:
            answer = await self._searched(index, {**wanted, "query": query}, shard)
            if not isinstance(answer, Unparsed):
                return answer
        name = _new_name()
        answer = await self._searched(index, {**wanted, "query": _named(query, name)}, shard)
        if isinstance(answer, Unparsed):
            with understanding(f"the documents of {index}"):
                answer = _unframed(answer.data, name)
            self._odd.add(index)
        return answer

    async def _searched(
        self, index: IndexName, body: dict[str, Any], shard: int | None
    ) -> dict[str, Any]:
        return await self._connection.read_page(
            lambda es: es.search(
                index=index,
                body=body,
                allow_partial_search_results=False,
                request_cache=False,
                preference=_only(shard),
            )
        )

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
        answer = await self._connection.read(
            raw("POST", "/_ingest/_simulate", body={"docs": lines})
        )
        with understanding(f"documents tried on {index}"):
            found = [mapping(one["doc"]) for one in cast(list[dict[str, Any]], answer["docs"])]
            return [
                FailedDocument.of(str(one["_id"]), str(error["type"]), str(error.get("reason")))
                for one in found
                if (error := mapping(without_values(one.get("error", {}))))
            ]

    async def percentiles_of_seq_no(
        self, index: IndexName, shard: int | None, percents: Sequence[float]
    ) -> list[float]:
        """Estimated sequence numbers below which that share of the documents of a shard, or of all
        shards, lie."""
        cut = {"percentiles": {"field": "_seq_no", "percents": list(percents)}}
        answer = await self._connection.read(
            lambda es: es.search(
                index=index,
                request_cache=False,
                preference=_only(shard),
                size=0,
                timeout=PATIENT,
                track_total_hits=False,
                aggs={"cut": cut},
            )
        )
        with understanding(f"the sequence numbers of {index}"):
            _whole(answer, index)
            values = cast(dict[str, float | None], answer["aggregations"]["cut"]["values"])
            found = [float(value) for value in values.values() if value is not None]
            return [value for value in found if not math.isnan(value) and abs(value) <= MOST]

    async def search_seconds(self, index: IndexName) -> float:
        """How long a plain search of that index or alias takes, by Elasticsearch's own `took`.

        That counts the wait for a search thread as well, but nothing of this service. Raises any
        domain error of the cluster's.
        """
        query = {"size": "10", "request_cache": "false"}
        answer = await self._connection.read(raw("GET", f"/{in_path(index)}/_search", query))
        with understanding(f"a search of {index}"):
            return integer(answer["took"]) / 1000

    async def query_fault(self, index: IndexName, query: Any) -> str | None:
        """Why the running version does not take `query` for an open index, or None."""
        answer = await self._connection.read(
            lambda es: es.indices.validate_query(index=index, explain=True, query=query)
        )
        with understanding(f"a query of {index}"):
            if answer["valid"] is not False:
                return None
            told = [answer, *answer.get("explanations", ())]
            errors = [one["error"] for one in told if isinstance(one.get("error"), str)]
        return capped(_CLASS.sub("", errors[0]), _MOST_OF_A_FAULT) if errors else None


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
        integer(hit["_version"]),
        bytes(source) if isinstance(source, Raw) else json.dumps(source).encode(),
    )


def _only(shard: int | None) -> str | None:
    return None if shard is None else f"_shards:{shard}"


def _new_name() -> str:
    """For one request."""
    return f"rq-{secrets.token_hex(16)}"


def _named(query: Mapping[str, Any], name: str) -> dict[str, Any]:
    """`query`, whose hits carry `name` behind their `_source`."""
    return {"bool": {"must": [query], "_name": name}}


def _unframed(data: bytes, name: str) -> dict[str, Any]:
    """The answer to a search by a query of that name, each `_source` as its bytes.

    Raises `ValueError` where it is not one.
    """
    *hits, tail = data.split(b',"matched_queries":["' + name.encode() + b'"]}')
    if not hits:
        return _object(data)
    head, found, hits[0] = hits[0].partition(_FIRST_HIT)
    if not found:
        raise ValueError("a search without hits")
    answer = _object(head + _FIRST_HIT + tail)
    answer["hits"]["hits"] = list(_documents(hits))
    return answer


def _documents(hits: list[bytes]) -> Iterator[dict[str, Any]]:
    """A quote inside of a string is escaped, so the first `_source` is the hit's own."""
    for hit in hits:
        about, found, source = hit.removeprefix(b",").partition(_SOURCE)
        document = _object(about + b"}")
        yield {**document, "_source": Raw(source)} if found else document


def _object(data: bytes) -> dict[str, Any]:
    found = orjson.loads(data)
    if not isinstance(found, dict):
        raise ValueError("not an object")
    return cast(dict[str, Any], found)
