"""Every kind of index comes out as it went in."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from tests.conditions import eventually
from tests.e2e.new_indices import make_logs, make_metrics
from tests.elasticsearch import Elastic
from tests.service import Service
from tests.upgrades.portrait import contents, made_anew


async def reindexed(service: Service, es: Elastic, name: str, target: str = "") -> str:
    """Sends one index through and checks that it comes out as it was; answers the target's name."""
    target = target or f"reindexed-v8-{name}"
    documents, make = contents(es, name), made_anew(es, name)
    await service.post_batch(name)
    await service.completed(name)
    assert es.indices() == {target}
    assert contents(es, name) == documents
    assert made_anew(es, target) == make
    return target


async def test_an_empty_index_is_done_without_a_copy_task(service: Service, es: Elastic) -> None:
    es.put("/empty", {"mappings": {"properties": {"n": {"type": "short"}}}})
    await reindexed(service, es, "empty")
    operation = await service.operation("empty")
    assert operation["reindexTaskPercComplete"] == 1
    assert operation["reindexTaskId"] is None


async def test_every_property_of_every_alias_moves_to_the_target(
    service: Service, es: Elastic
) -> None:
    properties: dict[str, dict[str, Any]] = {
        "bare": {},
        "filtered": {"filter": {"term": {"n": 1}}},
        "routed": {"routing": "r"},
        "routed-apart": {"index_routing": "a", "search_routing": "a,b"},
        "written": {"is_write_index": True},
        "not-written": {"is_write_index": False},
        "unseen": {"is_hidden": True},
    }
    es.put("/aliased", {"aliases": properties})
    es.put("/neighbour", {"aliases": {"written": {}, "bare": {}}})
    es.bulk("aliased", [{"n": n} for n in range(3)])
    before = es.aliases("aliased")
    assert before.keys() == properties.keys()

    await service.post_batch("aliased")
    await service.completed("aliased")

    assert es.aliases("reindexed-v8-aliased") == {**before, "aliased": {"is_hidden": False}}
    assert es.aliases("neighbour") == {"written": {}, "bare": {}}
    assert es.get("/filtered/_count")["count"] == 1
    assert es.post("/written/_doc", {"n": 9})["_index"] == "reindexed-v8-aliased"


async def test_one_id_under_two_routings_stays_two_documents(service: Service, es: Elastic) -> None:
    es.put("/routed", {"settings": {"number_of_shards": 3, "number_of_routing_shards": 6}})
    for routing in ("a", "b", "c", "d", "e"):
        es.bulk("routed", [{"from": routing, "n": n} for n in range(9)], routing=routing)
    ids = [document.id for document in contents(es, "routed")]
    assert len(ids) > len(set(ids)) == 9

    target = await reindexed(service, es, "routed")

    for document in contents(es, target):  # found where its routing says, not by a search only
        path = f"/routed/_doc/{document.id}?routing={document.routing}"
        assert es.get(path)["_source"] == document.source
    state = es.get(f"/_cluster/state/metadata/{target}")["metadata"]["indices"][target]
    assert state["routing_num_shards"] == 6


async def test_many_shards_some_of_them_empty(service: Service, es: Elastic) -> None:
    es.put("/sparse", {"settings": {"number_of_shards": 12, "number_of_replicas": 0}})
    es.bulk("sparse", [{"n": n} for n in range(7)])
    counts = es.get("/sparse/_stats/docs?level=shards")["indices"]["sparse"]["shards"].values()
    assert 0 in [copy["docs"]["count"] for (copy,) in counts]
    await reindexed(service, es, "sparse")


async def test_documents_keep_their_versions_after_updates_and_deletes(
    service: Service, es: Elastic
) -> None:
    es.put("/changed", {"settings": {"number_of_replicas": 0}})
    es.bulk("changed", [{"n": n} for n in range(30)])
    es.bulk("changed", [{"n": -n} for n in range(10)])
    for number in range(5, 25, 2):
        es.delete(f"/changed/_doc/{number}")
    es.put("/changed/_doc/x?version=77&version_type=external", {"n": "77"})
    versions = {document.version for document in contents(es, "changed")}
    assert versions == {1, 2, 77}
    await reindexed(service, es, "changed")


async def test_nested_and_joined_documents(service: Service, es: Elastic) -> None:
    properties = {
        "rows": {"type": "nested"},
        "kind": {"type": "join", "relations": {"question": "answer"}},
    }
    es.put("/kin", {"settings": {"number_of_shards": 2}, "mappings": {"properties": properties}})
    for n in range(12):
        rows = [{"a": i} for i in range(n)]
        es.put(f"/kin/_doc/q{n}?routing=r{n}", {"kind": "question", "rows": rows})
        answer = {"kind": {"name": "answer", "parent": f"q{n}"}}
        es.put(f"/kin/_doc/a{n}?routing=r{n}", answer)
    await reindexed(service, es, "kin")
    parents = {"has_child": {"type": "answer", "query": {"term": {"kind": "answer"}}}}
    assert es.get("/kin/_count", {"query": parents})["count"] == 12


async def test_a_hidden_index_gets_a_hidden_name(service: Service, es: Elastic) -> None:
    es.put("/unseen", {"settings": {"hidden": True}, "aliases": {"also": {"is_hidden": True}}})
    es.bulk("unseen", [{"n": 1}])
    target = await reindexed(service, es, "unseen")
    assert es.aliases(target) == {"unseen": {"is_hidden": True}, "also": {"is_hidden": True}}


async def test_a_source_that_never_refreshes_is_copied_whole(service: Service, es: Elastic) -> None:
    es.put("/quiet", {"settings": {"refresh_interval": "-1", "number_of_replicas": 0}})
    for n in range(5):
        es.put(f"/quiet/_doc/{n}", {"n": n})  # not refreshed by anybody
    assert es.get("/quiet/_count")["count"] == 0
    await service.post_batch("quiet")
    await service.completed("quiet")
    assert [document.source for document in contents(es, "quiet")] == [{"n": n} for n in range(5)]
    assert es.settings("quiet")["index.refresh_interval"] == "-1"


async def test_pipelines_are_put_back_and_do_not_run_on_the_copy(
    service: Service, es: Elastic
) -> None:
    for name in ("first", "last"):
        mark = {"script": {"source": f"ctx.{name} = ctx._index"}}
        es.put(f"/_ingest/pipeline/{name}", {"processors": [mark]})
    es.put("/piped")
    es.bulk("piped", [{"n": n} for n in range(4)])
    pipelines = {"index.default_pipeline": "first", "index.final_pipeline": "last"}
    es.put("/piped/_settings", pipelines)

    await reindexed(service, es, "piped")

    es.put("/piped/_doc/new", {})
    assert es.get("/piped/_doc/new")["_source"] == {"first": "piped", "last": "piped"}


async def test_auto_expanded_and_durability_settings_come_back(
    service: Service, es: Elastic
) -> None:
    settings = {
        "auto_expand_replicas": "0-1",
        "translog.durability": "async",
        "refresh_interval": "7s",
        "max_result_window": 12_345,
        "analysis.analyzer.mine.type": "keyword",
        "sort.field": "n",
    }
    mappings = {"dynamic": "strict", "properties": {"n": {"type": "long"}}, "_meta": {"by": "me"}}
    es.put("/tuned", {"settings": settings, "mappings": mappings})
    es.bulk("tuned", [{"n": n} for n in range(4)])
    await reindexed(service, es, "tuned")


async def test_a_yellow_index_comes_out_yellow(service: Service, es: Elastic) -> None:
    es.put("/yellow", {"settings": {"number_of_replicas": 1}})
    es.bulk("yellow", [{"n": 1}])
    assert es.get("/_cluster/health/yellow")["status"] == "yellow"
    await reindexed(service, es, "yellow")
    assert es.get("/_cluster/health/yellow")["status"] == "yellow"


async def test_logs_and_a_time_series(service: Service, es: Elastic) -> None:
    make_logs(es)
    await reindexed(service, es, "logs")
    es.post("/_aliases", {"actions": [{"remove_index": {"index": "reindexed-v8-logs"}}]})
    make_metrics(es)
    await reindexed(service, es, "metrics")


async def test_odd_names(service: Service, es: Elastic) -> None:
    targets = {
        "dotted.name.2024.01": "reindexed-v8-dotted.name.2024.01",
        ".dotted": ".reindexed-v8-dotted",
        "große-öl-ünïcode-日本": "reindexed-v8-große-öl-ünïcode-日本",
        "a%20b&c=d+e~f": "reindexed-v8-a%20b&c=d+e~f",
        "reindexed-v7-old": "reindexed-v8-old",
        ".reindexed-v7-old": ".reindexed-v8-old",
        "reindexed-v8-now": "reindexed-v8-reindexed-v8-now",
    }
    for name in targets:
        path = quote(name, safe="")
        es.put(f"/{path}")
        es.bulk(name, [{"of": name, "n": n} for n in range(3)])

    await service.post_batch(*targets)

    async def worked_off() -> bool:
        return not await service.queue()

    await eventually(worked_off, "the batch is worked off", 60)
    assert es.indices() == set(targets.values())
    for name, target in targets.items():
        assert es.aliases(quote(target, safe="")).keys() == {name}
        found = es.documents(quote(name, safe=""))
        assert [source["of"] for _, _, source in found] == [name] * 3
