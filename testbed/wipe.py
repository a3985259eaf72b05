"""Bringing a test cluster back to the state of a new one, in a few quick requests."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import quote

import httpx

from testbed.errors import TestbedError

_COPY_ACTIONS = "*reindex,*byquery"
_STATE_FIELDS = ",".join(
    (
        "metadata.indices.*.state",
        "metadata.templates",
        "metadata.index_template.index_template.*._meta.managed",
        "metadata.index_template.index_template.*.index_patterns",
        "metadata.component_template.component_template.*._meta.managed",
        "metadata.component_template.component_template.*.template",
        "metadata.ingest.pipeline",
        "metadata.repositories.*.type",
    )
)

_NAMES_PER_REQUEST = 3000  # bytes; the server takes 4096 in a request line
_RESULT_PATIENCE = 0.5  # seconds

Json = dict[str, Any]


def wipe(client: httpx.Client) -> None:
    """Remove all that tests may have left: see the steps. `client` has the server's address.

    What Elasticsearch installs by itself (it carries `_meta.managed`) stays. Raises TestbedError
    if something cannot be removed.
    """
    _reset_settings(client)
    _cancel_copies(client)
    client.delete("/_search/scroll/_all")
    metadata: Json = _get(client, "/_cluster/state/metadata", filter_path=_STATE_FIELDS).get(
        "metadata", {}
    )
    for repository in metadata.get("repositories", {}):
        _delete(client, f"/_snapshot/{repository}/*")
        _delete(client, f"/_snapshot/{repository}")
    for names in _portions(metadata.get("indices", {})):
        _delete_indices(client, names)
    for path in _leftovers(metadata):
        _delete(client, path)


def _reset_settings(client: httpx.Client) -> None:
    settings = _get(client, "/_cluster/settings", flat_settings="true")
    for kind in ("persistent", "transient"):
        for block in (name for name in settings[kind] if name.startswith("cluster.blocks.")):
            # a blocked cluster takes no request but one that ends this block and nothing else
            _checked(client.put("/_cluster/settings", json={kind: {block: None}}))
    nulls = {kind: dict.fromkeys(settings[kind]) for kind in ("persistent", "transient")}
    if any(nulls.values()):
        _checked(client.put("/_cluster/settings", json=nulls))


def _cancel_copies(client: httpx.Client) -> None:
    """Cancel running copies, wait for their end and for results that are still to be stored."""
    cancelled = _checked(
        client.post(
            "/_tasks/_cancel",
            params={"actions": _COPY_ACTIONS, "wait_for_completion": "true"},
            timeout=30,
        )
    ).json()
    deadline = time.monotonic() + _RESULT_PATIENCE
    for node in cancelled.get("nodes", {}).values():
        for task in node["tasks"]:
            # A task is gone before its result is written; only those not waited for have one.
            while time.monotonic() < deadline:
                if client.get(f"/.tasks/_doc/{task}").status_code == 200:
                    break
                time.sleep(0.02)


def _delete_indices(client: httpx.Client, names: str) -> None:
    path = f"/{names}?expand_wildcards=all&ignore_unavailable=true"
    if client.delete(path).status_code == 200:
        return
    blocks = dict.fromkeys(("read_only", "read_only_allow_delete", "metadata", "read", "write"))
    _checked(client.put(f"/{names}/_settings", json={"index": {"blocks": blocks}}))
    _delete(client, path)


def _leftovers(metadata: Json) -> Iterator[str]:
    """The paths of templates and pipelines that a test made; index templates come first."""
    for kind, path in (("index_template", "_index_template"), ("component_template",) * 2):
        for name, template in metadata.get(kind, {}).get(kind, {}).items():
            if not template.get("_meta", {}).get("managed"):
                yield f"/{path if path[0] == '_' else '_' + path}/{name}"
    for name in metadata.get("templates", {}):
        yield f"/_template/{name}"
    for pipeline in metadata.get("ingest", {}).get("pipeline", []):
        if not pipeline["config"].get("_meta", {}).get("managed"):
            yield f"/_ingest/pipeline/{pipeline['id']}"


def _portions(names: Iterable[str]) -> Iterator[str]:
    """The names joined by commas, in portions that fit into a request line."""
    portion = ""
    for name in (quote(name, safe="") for name in names):
        if portion and len(portion) + len(name) > _NAMES_PER_REQUEST:
            yield portion
            portion = ""
        portion = f"{portion},{name}" if portion else name
    if portion:
        yield portion


def _get(client: httpx.Client, path: str, **parameters: str) -> Json:
    return _checked(client.get(path, params=parameters)).json()


def _delete(client: httpx.Client, path: str) -> None:
    response = client.delete(path, timeout=30)
    if response.status_code != 404:
        _checked(response)


def _checked(response: httpx.Response) -> httpx.Response:
    if response.is_error:
        raise TestbedError(f"The cluster cannot be wiped: {response.url}: {response.text[:1000]}")
    return response
