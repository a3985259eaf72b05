"""The real Elasticsearch of the testbed, and how it is emptied between tests."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from testbed.elasticsearch import ElasticsearchServer
from testbed.errors import StartError
from testbed.wipe import wipe


@pytest.fixture
def client(elasticsearch_url: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=elasticsearch_url, trust_env=False, timeout=30) as client:
        yield client


def _put(client: httpx.Client, path: str, **body: object) -> None:
    client.put(path, json=body).raise_for_status()


def _indices(client: httpx.Client) -> list[str]:
    resolved = client.get("/_resolve/index/*?expand_wildcards=all").json()
    return [index["name"] for index in resolved["indices"]]


def _fill(client: httpx.Client, index: str, documents: int) -> None:
    lines = "".join(f'{{"index":{{}}}}\n{{"n":{number}}}\n' for number in range(documents))
    headers = {"Content-Type": "application/x-ndjson"}
    answer = client.post(f"/{index}/_bulk?refresh=true", content=lines, headers=headers)
    assert answer.json()["errors"] is False


@pytest.mark.wide
@pytest.mark.timeout(180)
def test_a_killed_server_comes_back_with_its_data(
    elasticsearch_server: ElasticsearchServer, client: httpx.Client
) -> None:
    _fill(client, "kept", 3)
    url = elasticsearch_server.url
    elasticsearch_server.kill()
    with pytest.raises((httpx.ConnectError, httpx.ReadError)):  # refused, or reset by the dying
        httpx.get(url, trust_env=False)
    elasticsearch_server.start()
    assert elasticsearch_server.url == url
    client.get("/_cluster/health/kept?wait_for_status=yellow")
    assert client.get("/kept/_count").json()["count"] == 3


def test_a_paused_server_answers_after_the_pause(
    elasticsearch_server: ElasticsearchServer, client: httpx.Client
) -> None:
    elasticsearch_server.pause()
    assert any(_times_out(client) for _ in range(50))  # the signal may arrive after an answer
    elasticsearch_server.resume()
    assert client.get("/").json()["version"]["number"] == elasticsearch_server.distribution.version


@pytest.mark.wide
@pytest.mark.timeout(180)
def test_a_server_that_does_not_start_shows_why() -> None:
    server = ElasticsearchServer(settings={"no.such.setting": "1"})
    with pytest.raises(StartError, match=r"unknown setting \[no.such.setting\]"):
        server.start()
    assert not server.running
    server.stop()


def test_wiping_removes_indices_whatever_they_are_blocked_for(client: httpx.Client) -> None:
    for block in ("read_only", "read_only_allow_delete", "metadata", "read", "write"):
        _put(client, f"/blocked-{block}")
        _put(client, f"/blocked-{block}/_settings", **{f"index.blocks.{block}": True})
    _put(client, "/.hidden", settings={"index.hidden": True})
    _put(client, "/closed")
    client.post("/closed/_close").raise_for_status()
    for number in range(30):  # more names than fit into one request line
        _put(client, f"/{'long' * 50}-{number}", settings={"number_of_replicas": 0})
    wipe(client)
    assert _indices(client) == []


def test_wiping_removes_templates_pipelines_and_settings(client: httpx.Client) -> None:
    before = client.get("/_cluster/state/metadata").json()["metadata"]
    _put(client, "/_component_template/part", template={})
    _put(client, "/_index_template/whole", index_patterns=["a*"], composed_of=["part"])
    _put(client, "/_template/old", index_patterns=["b*"])
    _put(client, "/_ingest/pipeline/pipe", processors=[])
    _put(client, "/_cluster/settings", persistent={"search.max_buckets": 5000})
    _put(client, "/_cluster/settings", persistent={"cluster.blocks.read_only": True})
    wipe(client)
    after = client.get("/_cluster/state/metadata").json()["metadata"]
    for part in ("templates", "ingest"):
        assert after[part] == before[part]
    for kind in ("index_template", "component_template"):
        assert after.get(kind, {}).get(kind, {}) == before.get(kind, {}).get(kind, {})
    assert client.get("/_cluster/settings").json() == {"persistent": {}, "transient": {}}


@pytest.mark.parametrize("waiting", ["true", "false"])
def test_wiping_ends_running_copies_and_removes_their_results(
    client: httpx.Client, waiting: str
) -> None:
    _fill(client, "source", 20)
    copy = {"source": {"index": "source", "size": 1}, "dest": {"index": "target"}}
    parameters = f"wait_for_completion={waiting}&requests_per_second=1"
    if waiting == "true":
        with pytest.raises(httpx.ReadTimeout):
            client.post(f"/_reindex?{parameters}", json=copy, timeout=0.5)
    else:
        client.post(f"/_reindex?{parameters}", json=copy).raise_for_status()
    assert client.get("/_tasks?actions=*reindex").json()["nodes"]
    wipe(client)
    assert client.get("/_tasks?actions=*reindex").json()["nodes"] == {}
    assert _indices(client) == []


def test_wiping_removes_repositories_and_running_snapshots(
    elasticsearch_server: ElasticsearchServer, client: httpx.Client
) -> None:
    _fill(client, "source", 2000)
    location = str(elasticsearch_server.repository / "slow")
    slow = {"location": location, "max_snapshot_bytes_per_sec": "50kb"}
    _put(client, "/_snapshot/slow", type="fs", settings=slow)
    _put(client, "/_snapshot/slow/snapshot?wait_for_completion=false")
    wipe(client)
    assert client.get("/_snapshot").json() == {}
    assert _indices(client) == []


def _times_out(client: httpx.Client) -> bool:
    try:
        client.get("/", timeout=0.2)
    except httpx.ReadTimeout:
        return True
    return False
