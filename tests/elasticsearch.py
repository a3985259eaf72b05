"""A plain client of the real Elasticsearch for tests: to set things up, and to look afterwards."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote

import httpx

Document = tuple[str, str | None, Any]
"""`_id`, `_routing`, `_source`."""


class Elastic:
    """`es.put("/index", {...})` and the like answer the JSON body and fail on any error status."""

    def __init__(self, url: str, auth: tuple[str, str] | None = None) -> None:
        self.url = url
        self._client = httpx.Client(
            base_url=url,
            auth=auth,
            timeout=60,
            trust_env=False,
            verify=url.startswith("https:"),  # the authorities take a while to read
        )

    def __enter__(self) -> Elastic:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def request(self, method: str, path: str, body: Any = None) -> httpx.Response:
        """As it comes, errors too."""
        return self._client.request(method, path, json=body)

    def get(self, path: str, body: Any = None) -> Any:
        return self._sure("GET", path, body)

    def put(self, path: str, body: Any = None) -> Any:
        return self._sure("PUT", path, body)

    def put_as_it_is(
        self, path: str, content: str | bytes, content_type: str = "application/json"
    ) -> None:
        """Sends what Python would not write so."""
        headers = {"content-type": content_type}
        answer = self._client.put(path, content=content, headers=headers)
        assert answer.is_success, answer.text

    def post(self, path: str, body: Any = None) -> Any:
        return self._sure("POST", path, body)

    def delete(self, path: str) -> Any:
        return self._sure("DELETE", path, None)

    def _sure(self, method: str, path: str, body: Any) -> Any:
        response = self.request(method, path, body)
        assert response.is_success, f"{method} {path}: {response.text}"
        return response.json()

    def bulk(self, index: str, documents: Iterable[Mapping[str, Any]], **action: Any) -> None:
        """Indexes documents with ids `0`, `1`, …, and refreshes. `action` goes into every line."""
        lines: list[str] = []
        for number, document in enumerate(documents):
            lines += [json.dumps({"index": {"_id": str(number), **action}}), json.dumps(document)]
        answer = self._client.post(
            f"/{quote(index, safe='')}/_bulk?refresh=true",
            content="\n".join(lines) + "\n",
            headers={"content-type": "application/x-ndjson"},
        )
        assert answer.is_success, answer.text
        assert not answer.json()["errors"], answer.text[:2000]

    def fill_with_refused(self, index: str, settings: Mapping[str, Any] | None = None) -> None:
        """An index with a document that a copy of it is refused for: its value was let pass when it
        came, and would not be now."""
        lenient = {"properties": {"n": {"type": "long", "ignore_malformed": True}}}
        self.put(f"/{index}", {**(settings or {}), "mappings": lenient})
        self.bulk(index, [{"n": "many"}])
        self.let_malformed_pass(index, passes=False)

    def let_malformed_pass(self, index: str, *, passes: bool) -> None:
        """What is to become of such a value from now on."""
        field = {"type": "long", "ignore_malformed": passes}
        self.put(f"/{index}/_mapping", {"properties": {"n": field}})

    def documents(self, index: str) -> list[Document]:
        """Every document, in order of `_id` and routing (up to 10,000)."""
        self.request("POST", f"/{index}/_refresh")
        answer = self.post(
            f"/{index}/_search", {"size": 10_000, "query": {"match_all": {}}, "version": True}
        )
        assert answer["_shards"]["failed"] == 0
        hits = answer["hits"]["hits"]
        assert len(hits) == answer["hits"]["total"]["value"]
        found = [(hit["_id"], hit.get("_routing"), hit["_source"]) for hit in hits]
        return sorted(found, key=lambda d: (d[0], d[1] or ""))

    def indices(self) -> set[str]:
        """Every index but Elasticsearch's own `.tasks`; hidden, closed and blocked ones, too."""
        state = self.get("/_cluster/state/metadata?filter_path=metadata.indices.*.state")
        return state.get("metadata", {}).get("indices", {}).keys() - {".tasks"}

    def aliases(self, index: str) -> dict[str, Any]:
        """The aliases of an index (by its own name or an alias of it), with their properties."""
        answer = self.get(f"/{index}/_alias?expand_wildcards=all")
        (entry,) = answer.values()
        return entry["aliases"]

    def settings(self, index: str) -> dict[str, Any]:
        """Flat settings of an index."""
        (entry,) = self.get(f"/{index}/_settings?flat_settings=true&expand_wildcards=all").values()
        return entry["settings"]

    def blocks(self, index: str) -> dict[str, str]:
        """The `index.blocks.*` that are on, read where even a metadata block lets one look."""
        state = self.get(f"/_cluster/state/metadata/{index}?flat_settings=true")
        (entry,) = state["metadata"]["indices"].values()
        return {
            key: value
            for key, value in entry["settings"].items()
            if key.startswith("index.blocks.") and value == "true"
        }

    def is_closed(self, index: str) -> bool:
        state = self.get(f"/_cluster/state/metadata/{index}?expand_wildcards=all")
        (entry,) = state["metadata"]["indices"].values()
        return entry["state"] == "close"

    def copy_tasks(self) -> list[dict[str, Any]]:
        """Running `_reindex` tasks."""
        return self.get("/_tasks?actions=*reindex&detailed=true&group_by=none").get("tasks", [])
