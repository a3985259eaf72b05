"""Real answers of which a single value is of another kind: trouble, and never a crash."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, cast

import pytest
from aiohttp import web

from app.domain import index_settings
from app.domain.errors import ClusterTrouble
from app.elastic.cluster import Cluster
from app.elastic.documents import EVERYTHING
from app.upgrades.classifier import Facts, refusal
from app.upgrades.proving.comparing import Measure, document_differences
from app.upgrades.steps.prepare import record
from app.upgrades.steps.target import target_differences
from testbed.relay import Relay, Seen
from tests.elastic.test_connection import A
from tests.elasticsearch import Elastic
from tests.upgrades.midway import filled

JSON = {"X-Elastic-Product": "Elasticsearch"}
STRANGE: list[Any] = [[], {}, "x", None, 10**30, [[]], {"a": {"a": 1}}]
Path = tuple[str | int, ...]


def paths(value: Any, path: Path = ()) -> Iterator[Path]:
    """The places of all values in a JSON value."""
    yield path
    entries: Any = ()
    if isinstance(value, dict):
        entries = cast(dict[str, Any], value).items()
    elif isinstance(value, list):
        entries = enumerate(cast(list[Any], value[:2]))
    for key, inner in entries:
        yield from paths(inner, (*path, key))


def replaced(value: Any, path: Path, by: Any) -> Any:
    """A copy of `value` with another value in that place."""
    if not path:
        return by
    copied: Any = json.loads(json.dumps(value))
    place = copied
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = by
    return copied


async def looked_over(cluster: Cluster) -> None:
    """`look`, and all that is read of it anywhere."""
    looked = await cluster.indices.look(A, mappings=True)
    if A not in looked:
        return
    state = looked[A]
    refusal(A, Facts(looked, {}, 8))
    target_differences(state, state, None)
    assert state.shards >= -1
    assert state.created_major >= -1
    assert (state.blocks, state.stamp, state.mode) is not None
    index_settings.lifecycle_settings(state.settings, state.rollovers)
    index_settings.copied(state.settings)


async def recorded(cluster: Cluster) -> None:
    looked = await cluster.indices.look(A)
    if A in looked:
        (await record(looked[A], cluster)).model_dump_json()


async def compared(cluster: Cluster) -> None:
    found = await cluster.documents.find(A, EVERYTHING, 10)
    document_differences(found.page, found.page, Measure(versions=True, vectors=True))


async def with_aliases(cluster: Cluster) -> None:
    for properties in (await cluster.aliases.properties(A)).values():
        properties.get("is_write_index")


async def with_stats(cluster: Cluster) -> None:
    for shard in (await cluster.shards.stats(A)).values():
        assert max(shard.documents, shard.max_seq_no, shard.size) < 2**63


async def with_tasks(cluster: Cluster) -> None:
    for task in await cluster.tasks.copies_running("rq:"):
        assert len(task.id) < 200


CALLS: dict[str, Callable[[Cluster], Awaitable[Any]]] = {
    "/_cluster/state": looked_over,
    "/_cluster/state/metadata/a[?]": recorded,
    "/a/_search": compared,
    "/a/_alias": with_aliases,
    "/a/_stats": with_stats,
    "/_tasks": with_tasks,
    "/_cluster/health/a": lambda c: c.shards.active_copies(A),
    "/a/_count": lambda c: c.documents.count(A),
    "/_nodes": lambda c: c.nodes.versions(),
    "/a/_refresh": lambda c: c.indices.refresh(A),
    "/a/_stats.*filter_path": lambda c: c.indices.sizes([A]),
    "/_nodes/data": lambda c: c.nodes.capacity(),
    "/_nodes/stats": lambda c: c.nodes.vitals(),
}
"""By the request whose answer is spoilt: what asks for it and looks at all of it."""


@pytest.mark.parametrize("path", CALLS)
async def test_a_value_of_another_kind_is_trouble_or_of_no_matter(
    cluster: Cluster, relay: Relay, es: Elastic, path: str
) -> None:
    aliases = {"also": {"filter": {"term": {"n": 1}}}}
    filled(es, "a", 3, aliases=aliases, settings={"number_of_replicas": 0})
    spoilt: list[bytes] = []
    real: list[Any] = []

    async def spoil(request: Seen) -> web.Response:
        if not spoilt:
            answer = await relay.forward(request)
            assert isinstance(answer.body, bytes)
            real.append(json.loads(answer.body))
            return answer
        return web.Response(body=spoilt[-1], content_type="application/json", headers=JSON)

    relay.when("*", f"^{path}", spoil, None)
    await CALLS[path](cluster)
    assert len(real) == 1
    for place in paths(real[0]):
        for strange in STRANGE:
            spoilt[:] = [json.dumps(replaced(real[0], place, strange)).encode()]
            try:
                await CALLS[path](cluster)
            except ClusterTrouble:
                continue
            except Exception as error:
                where = ".".join(map(str, place))
                raise AssertionError(f"{where} = {strange!r}: {error!r}") from error
