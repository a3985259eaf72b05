"""The upgrade itself: written by 7.17, rewritten on 8.19, opened by 9.4."""

from __future__ import annotations

import random
import shutil
import tempfile
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from app.domain.index_settings import TIER
from testbed.elasticsearch import ElasticsearchServer
from testbed.errors import StartError
from tests.e2e.new_indices import VECTORS, make_new, vectors
from tests.e2e.odd_indices import DROPPED, REFUSED, make_dropped, make_refused
from tests.e2e.old_indices import LONG, make_all
from tests.e2e.process import ServiceProcess
from tests.e2e.typed_indices import (
    TYPED_REFUSED,
    make_filtered,
    make_filtered_by_type,
    make_other_dynamic,
    make_typed,
    make_typed_refused,
)
from tests.elasticsearch import Elastic
from tests.upgrades.portrait import as_found, contents, made_anew


@pytest.fixture
def data() -> Generator[Path]:
    """A data folder that outlives the servers of a test."""
    with tempfile.TemporaryDirectory(prefix="rq-chain-", dir="/var/tmp") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder) / "data"


def seen(es: Elastic, name: str) -> dict[str, Any]:
    """What users have in an index: documents, aliases, mappings, settings, blocks, state."""
    closed = es.is_closed(name)
    portrait = made_anew(es, name)
    if closed:
        es.post(f"/{name}/_open")
    read_only = "index.blocks.read_only" in portrait
    documents = contents(es, name)
    aliases = {key: value for key, value in es.aliases(name).items() if key != name}
    if closed and not read_only:
        es.post(f"/{name}/_close")
    return {**portrait, "documents": documents, "properties": aliases}


def ready(es: Elastic) -> None:
    es.get("/_cluster/health?wait_for_status=yellow&timeout=60s")


async def refused_and_as_they_were(
    service: ServiceProcess, es: Elastic, refused: list[str], before: dict[str, Any]
) -> None:
    """Each failed before the write block, by the name of what is at fault, and takes writes.

    The write block alone then lets it boot on the next major.
    """
    for name in refused:
        operation = await service.api.ended(name)
        assert (operation["status"], operation["lastCompletedStep"]) == (2, 0)
        for word in REFUSED[name][1]:
            assert word in operation["errorMessage"]
        assert as_found(es, name) == before[name]
        es.put(f"/{name}/_doc/new?refresh=true", {"n": 4})
    await write_blocked(service, *refused)


async def warned_of_types(service: ServiceProcess) -> None:
    """Where clients can name them, a plan says that they go."""
    typed, plain = await planned(service, "typed-größe", "plain")
    assert plain["warnings"] == []
    (text,) = typed["warnings"]
    assert "The mapping type 日本 größe of typed-größe becomes _doc" in text


async def shown_by_type(service: ServiceProcess, es: Elastic) -> None:
    """An alias by the mapping type would show nothing any more, unlike one by such a field."""
    *by_type, namesake = make_filtered_by_type(es)
    before = {name: as_found(es, name) for name in by_type}
    plans = await planned(service, *by_type, namesake)
    assert [[one["code"] for one in plan["blockers"]] for plan in plans] == [
        ["alias_filter"],
        ["alias_filter"],
        [],
    ]
    await service.api.post_batch(*by_type, namesake)
    await service.api.completed(namesake)
    for name in by_type:
        operation = await service.api.ended(name)
        assert (operation["status"], operation["lastCompletedStep"]) == (2, 0)
        assert "the mapping type doc becomes _doc" in operation["errorMessage"]
        assert as_found(es, name) == before[name]
    es.request("DELETE", f"/{','.join(by_type)},reindexed-v7-{namesake}")


async def write_blocked(service: ServiceProcess, *names: str) -> None:
    for name in names:
        path = f"/api/upgrade_assistant/update_index/{name}"
        answer = await service.client.post(path, json={"operations": ["blockWrite"]})
        assert answer.status_code == 200, answer.text


async def refused_at_once(service: ServiceProcess, names: list[str]) -> None:
    """What lies in a mapping under a type of its own is seen by plan and POST."""
    answer = await service.api.post_batch(*names)
    assert answer["enqueued"] == []
    planned_ones = await planned(service, *names)
    for name, error, plan in zip(names, answer["errors"], planned_ones, strict=True):
        assert TYPED_REFUSED[name][1] in error["message"]
        assert plan["blockers"][0]["message"] == error["message"]


async def filters_foreseen(service: ServiceProcess, names: list[str]) -> None:
    """By alias and filter, also of one that is closed."""
    for one in await planned(service, *names):
        (blocker,) = one["blockers"]
        assert blocker["code"] == "alias_filter"
        assert f"The alias {one['index'].removeprefix('filtered-')} of" in blocker["message"]


async def filters_refused(
    service: ServiceProcess, es: Elastic, names: list[str], before: dict[str, Any]
) -> None:
    """Each before the write block, and as it was."""
    for name in names:
        operation = await service.api.ended(name)
        assert (operation["status"], operation["lastCompletedStep"]) == (2, 0)
        assert f"The alias {name.removeprefix('filtered-')} of" in operation["errorMessage"]
        assert as_found(es, name) == before[name]


async def outdated(service: ServiceProcess) -> set[str]:
    """What the next major does not open, by the service's own word."""
    answer = await service.client.get("/api/v1/indices?needs=reindex")
    assert answer.status_code == 200, answer.text
    return {one["index"] for one in answer.json()["indices"]}


async def planned(service: ServiceProcess, *names: str) -> list[dict[str, Any]]:
    """Plans with trials, an entry an index; a few at a time, since trials have little of it."""
    found: list[dict[str, Any]] = []
    for start in range(0, len(names), 6):
        body = {"indices": [{"index": name} for name in names[start : start + 6]], "trial": True}
        answer = await service.client.post("/api/v1/plan", json=body)
        assert answer.status_code == 200, answer.text
        found += answer.json()["indices"]
        assert answer.json()["disk"]["roomBytes"] > 0
        assert answer.json()["shards"]["left"] > 0
    return found


async def tried(service: ServiceProcess, *names: str) -> set[str]:
    return {one["trial"]["outcome"] for one in await planned(service, *names)}


async def foreseen(service: ServiceProcess, refused: list[str], retired: str) -> None:
    """A plan says before the batch what the batch says of them."""
    *bad, dropped = await planned(service, *refused, retired)
    for one in bad:
        assert one["why"] == "made by Elasticsearch 7; Elasticsearch 9 does not open it"
        assert one["trial"]["outcome"] == "refused"
        for word in REFUSED[one["index"]][1]:
            assert word in one["trial"]["text"]
    assert DROPPED.keys() <= set(dropped["droppedSettings"])
    assert dropped["trial"]["outcome"] == "fits"


async def back_on_9(service: ServiceProcess, es: Elastic, operation: dict[str, Any]) -> None:
    """A copy of 7.x that was kept on 8 came along, but 9 never takes writes to it."""
    copy, documents = operation["keptCopy"]["index"], contents(es, "way-back")
    assert len(documents) == 30
    assert contents(es, copy) == documents
    answer = await service.api.roll_back(operation["id"])
    assert answer.status_code == 409
    assert "was made by Elasticsearch 7" in answer.json()["message"]
    assert (await service.api.roll_back(operation["id"], force=True)).status_code == 200
    await service.api.state_of(operation["id"], "rolledBack")
    assert es.aliases(copy).keys() == {"way-back", "also"}
    assert es.blocks(copy).keys() == {"index.blocks.write"}
    assert contents(es, "way-back") == documents
    whats = [event["what"] for event in (await service.api.shown(operation["id"]))["events"]]
    assert "write block kept" in whats

    body = {"indices": [{"index": "way-back", "keepOldIndex": True}]}
    refused = (await service.client.post("/api/v1/batches", json=body)).json()["refused"]
    assert [(r["index"], r["code"]) for r in refused] == [("way-back", "cannot_keep")]
    await service.api.post_batch("way-back")
    await service.api.completed("way-back")
    assert es.aliases("reindexed-v9-way-back").keys() == {"way-back", "also"}
    assert contents(es, "way-back") == documents
    assert copy not in es.indices()


@pytest.mark.timeout(540)
async def test_indices_of_7_boot_on_9_after_their_batch_on_8(data: Path) -> None:
    with ElasticsearchServer("7.17", data=data) as seven, Elastic(seven.url) as es:
        names, retired = make_all(es), make_dropped(es)
        names += [*make_typed(es), *make_other_dynamic(es)]
        refused, sourceless = make_refused(es), make_typed_refused(es)
        filtered = make_filtered(es)
        es.put("/way-back", {"aliases": {"also": {}}})
        es.bulk("way-back", [{"n": n} for n in range(30)])
    with ElasticsearchServer("8.19", data=data) as eight, Elastic(eight.url) as es:
        ready(es)
        before = {name: seen(es, name) for name in [*names, retired]}
        found = {name: as_found(es, name) for name in [*refused, *filtered]}
        template: dict[str, Any] = {
            "index_patterns": ["reindexed-v8-plain"],
            "template": {"aliases": {"t": {}}},
        }
        es.put("/_index_template/theirs", template)
    copy = data.with_name("copy")
    shutil.copytree(data, copy, copy_function=shutil.copy2)
    with pytest.raises(StartError, match="must be marked as read-only"):
        ElasticsearchServer("9.4", data=copy).start()

    with ElasticsearchServer("8.19", data=data) as eight, Elastic(eight.url) as es:
        ready(es)
        database = {"DATABASE_URL": f"sqlite:///{data.with_name('queue.db')}"}
        async with ServiceProcess({"ELASTICSEARCH_HOSTS": eight.url, **database}) as service:
            old = {*refused, retired, *names, *sourceless, *filtered, "way-back"}
            assert await outdated(service) == old
            await refused_at_once(service, sourceless)
            await filters_foreseen(service, filtered)
            await foreseen(service, refused, retired)
            answer = await service.api.post_batch(*refused, *filtered, retired, *names)
            assert answer["errors"] == []
            posted = await service.api.post_options({"index": "way-back"}, keepOldIndex=True)
            await service.api.completed("way-back", seconds=200)
            await service.api.completed(retired, *names, seconds=200)
            await refused_and_as_they_were(service, es, refused, found)
            await filters_refused(service, es, filtered, found)
            await write_blocked(service, *sourceless, *filtered)
            assert await outdated(service) == set()  # those have the write block now
            assert await service.terminate() == 0
        after = {name: seen(es, name) for name in before}
        for name in before:  # 8.x gives every new index a tier
            if TIER not in before[name]:
                after[name].pop(TIER)
        for key, value in DROPPED.items():
            assert before[retired].pop(key) == value
        assert after == before

    with ElasticsearchServer("9.4", data=data) as nine, Elastic(nine.url) as es:
        ready(es)
        for name in before:
            assert seen(es, name)["documents"] == before[name]["documents"]
            assert seen(es, name)["properties"] == before[name]["properties"]
        for name in refused:
            assert es.get(f"/{name}/_count")["count"] == 5
        for name in filtered[:-1]:
            assert es.get(f"/{name}/_count")["count"] == 3
        async with ServiceProcess({"ELASTICSEARCH_HOSTS": nine.url, **database}) as service:
            await back_on_9(service, es, posted["operations"][0])
    assert len(LONG) == 242


async def compared(service: ServiceProcess, es: Elastic) -> None:
    """Thousands of documents one by one: with vectors, which each copy rounds anew, and without
    sequence numbers, by which they could be gone through."""
    chance = random.Random(1)
    vector = {"v": {"type": "dense_vector", "dims": 4}}
    es.put("/rounded", {"mappings": {"properties": vector}})
    es.bulk("rounded", [{"v": [chance.uniform(-3, 3) for _ in range(4)]} for _ in range(1_500)])
    (operation,) = (await service.api.post_options({"index": "rounded"}, proof="full"))[
        "operations"
    ]
    await service.api.completed("rounded")
    assert (await service.api.shown(operation["id"]))["proof"]["compared"] == 1_500

    settings = {"index.disable_sequence_numbers": True, "number_of_shards": 3}
    es.put("/many", {"settings": settings})
    es.bulk("many", [{"n": n} for n in range(1_500)])
    es.bulk("many", [{"n": -n} for n in range(300)], routing="r")
    body = {"indices": [{"index": "many", "proof": "full"}]}
    refused = (await service.client.post("/api/v1/batches", json=body)).json()["refused"]
    assert [(r["index"], r["code"]) for r in refused] == [("many", "proof")]
    (operation,) = (await service.api.post_options({"index": "many"}))["operations"]
    await service.api.completed("many")
    assert (await service.api.shown(operation["id"]))["proof"]["compared"] > 100


@pytest.mark.wide
@pytest.mark.timeout(300)
@pytest.mark.parametrize(("series", "major"), [("7.17", 7), ("9.4", 9)])
async def test_the_same_batch_on_the_majors_beside(series: str, major: int) -> None:
    """On 9.4 also what only it can make; each of them in several windows."""
    with ElasticsearchServer(series) as server, Elastic(server.url) as es:
        names = [*make_all(es), *(make_new(es) if major == 9 else make_typed(es))]
        names += make_other_dynamic(es)
        before = {name: seen(es, name) for name in names}
        if major == 9:  # put together from what is stored, so in another order than it was sent
            assert before["synthetic"]["documents"][0].source["b"] == [1, 2, 3]
        with_vectors = {name: vectors(es, name) for name in VECTORS if name in names}
        windows = {"ELASTICSEARCH_HOSTS": server.url, "REINDEX_WINDOW_DOCUMENTS": "100"}
        async with ServiceProcess(windows) as service:
            assert await tried(service, *names) <= {"fits", "notTried"}
            assert {name: seen(es, name) for name in names} == before
            if major == 7:
                await refused_at_once(service, make_typed_refused(es))
                await warned_of_types(service)
                await shown_by_type(service, es)
            answer = await service.api.post_batch(*names)
            assert answer["errors"] == []
            assert answer["enqueued"][-1]["newIndexName"].startswith(f"reindexed-v{major}-")
            await service.api.completed(*names, seconds=150)
            if major == 7:
                shown = await service.api.newest("typed-closed")
                assert shown is not None
                events = (await service.api.shown(shown["id"]))["events"]
                warned = [event["text"] for event in events if event["what"] == "warning"]
                assert [text for text in warned if "mapping type book" in text]
            if major == 9:
                await compared(service, es)
        assert {name: seen(es, name) for name in names} == before
        assert {name: vectors(es, name) for name in with_vectors} == with_vectors
        assert len(es.indices()) == len(names) + (2 if major == 9 else len(TYPED_REFUSED))
