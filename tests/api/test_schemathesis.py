"""Requests made up from the API's document, against the real service and cluster.

No answer may be a fault or undocumented, and a refusal must leave the cluster as it was. A fixed
choice of requests; `FUZZ_EXAMPLES=1000 pytest tests/api/test_schemathesis.py` makes up others.
"""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Iterator
from typing import Any, TypeGuard, cast
from urllib.parse import quote

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.checks import (
    CHECKS,  # pyright: ignore[reportUnknownVariableType]
    load_all_checks,
)

from app.main import create_app
from app.settings import Settings
from testbed.elasticsearch import ElasticsearchServer
from testbed.fixtures import emptied
from tests.conditions import eventually
from tests.e2e.process import ServiceProcess
from tests.elasticsearch import Elastic
from tests.service import BASE, Api
from tests.store.database import claims_astray

Json = dict[str, Any]

FUZZ = os.environ.get("FUZZ_EXAMPLES")
EXAMPLES = int(FUZZ or 6)
"""Requests an operation and a way to make them up."""

QUICK: Json = {"number_of_replicas": 0}
INDICES: dict[str, Json] = {
    "plain": {"settings": QUICK, "aliases": {"alias": {}}},
    "shards": {"settings": {**QUICK, "number_of_shards": 2}},
    "taken": {"settings": QUICK},
    "reindexed-v8-taken": {"settings": QUICK},
}
NAMES = [*INDICES, "alias", "*", "_all", "..", "plain,shards", "<plain-{now/d}>", "Plain", "plain "]

ACTIONS = ("/cancel", "/pause", "/resume", "/retry")
"""How the paths end of what can be asked of an operation that waits."""

load_all_checks()
# Kibana answers 400 where a well-formed request meets a state that speaks against it.
UNCHECKED = ["positive_data_acceptance"]
# An index may be called `batch`: what can be asked of it is allowed at that path, too.
UNCHECKED_OF_BATCH = [*UNCHECKED, "allow_header_conformance"]

SCHEMA: Any = schemathesis.openapi.from_dict(create_app(Settings()).openapi())


@SCHEMA.hook
def map_path_parameters(_context: Any, path_parameters: Json | None) -> Json | None:
    return path_parameters and {key: known(value) for key, value in path_parameters.items()}


@SCHEMA.hook
def map_body(_context: Any, body: Any) -> Any:
    return {key: named(key, value) for key, value in body.items()} if isobject(body) else body


def isobject(value: Any) -> TypeGuard[Json]:
    return isinstance(value, dict)


def named(key: str, value: Any) -> Any:
    if key in ("index", "indexName"):
        return known(value)
    if key in ("indexNames", "indices") and isinstance(value, list):
        entries = cast(list[Any], value)
        return [map_body(None, entry) if isobject(entry) else known(entry) for entry in entries]
    return value


def known(name: Any) -> Any:
    """Every second made-up name becomes one that means something to the cluster.

    Not the long ones, which may be there because they are too long.
    """
    if not isinstance(name, str) or len(name) % 2 or len(name) > 100:
        return name
    return NAMES[sum(map(ord, name)) % len(NAMES)]


class Bench:
    """A service as a process, and its cluster, which every request finds laid out alike."""

    def __init__(self, service: ServiceProcess, es: Elastic, database_url: str) -> None:
        self.url = service.url
        self._database_url = database_url
        self._es = es
        self._laid: Json = {}
        self.lay()
        body = {"indices": [{"index": "plain"}]}
        done = httpx.post(f"{self.url}/api/v1/batches", json=body, trust_env=False)
        assert done.status_code == 200, done.text
        self.batch_id: str = done.json()["id"]
        self.operation_id: str = done.json()["operations"][0]["id"]
        self.wait_for_the_end("plain")

    def an_operation(self) -> str:
        """The id of the newest operation."""
        answer = httpx.get(f"{self.url}/api/v1/operations", trust_env=False)
        return answer.json()["operations"][0]["id"]

    def hurry(self) -> None:
        """Ends a stop and takes back what was set for the service: others are not to wait."""
        httpx.post(f"{self.url}/api/v1/pace/go-on", trust_env=False)
        httpx.delete(f"{self.url}/api/v1/pace", trust_env=False)

    def waiting_for(self, action: str) -> dict[str, str]:
        """An operation of which that can be granted, as a path names it: everything is stopped, so
        that it waits, and the cluster cannot notice."""
        self.post("/pace/stop")
        batch = self.post("/batches", {"indices": [{"index": "shards"}]})
        operation = batch["operations"][0]["id"]
        if before := {"resume": "pause", "retry": "cancel"}.get(action):
            self.post(f"/operations/{operation}/{before}")
        return {"operationId": operation, "batchId": batch["id"], "indexName": "shards"}

    def post(self, path: str, body: Json | None = None) -> Json:
        answer = httpx.post(f"{self.url}/api/v1{path}", json=body, trust_env=False)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def end_what_waits(self) -> None:
        httpx.post(f"{self.url}{BASE}/shards/cancel", trust_env=False)
        self.hurry()

    def lay(self) -> Json:
        """The cluster's state before a request: what was changed by the last one is made anew."""
        now, laid = self.state(), self._laid
        if laid and now == laid:
            return laid
        there, wanted = now.get("indices", {}), laid.get("indices", {})
        for index in there:
            if index != ".tasks" and there[index] != wanted.get(index):
                self._es.delete(f"/{quote(index, safe='')}")
        for index in INDICES.keys() - self._es.indices():
            self._es.put(f"/{index}", INDICES[index])
        self._es.get("/_cluster/health?wait_for_no_initializing_shards=true&timeout=30s")
        self._laid = self.state()
        return self._laid

    def check_claims(self) -> None:
        """Nothing is in hand between two requests, so nothing is claimed but by a fault."""
        assert claims_astray(self._database_url) == []

    def state(self) -> Json:
        metadata = self._es.get("/_cluster/state/metadata")["metadata"]
        return {key: metadata[key] for key in metadata if key != "cluster_coordination"}

    def wait_for_the_end(self, name: str) -> None:
        """Of the operation of that index, however it ends."""

        async def over() -> bool:
            async with httpx.AsyncClient(base_url=self.url, trust_env=False) as client:
                return (await Api(client).operation(name))["status"] != 0

        asyncio.run(eventually(over, f"the operation of {name} ends"))


@pytest.fixture(scope="module")
def bench(
    elasticsearch_server: ElasticsearchServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Bench]:
    url = emptied(elasticsearch_server)
    database_url = f"sqlite:///{tmp_path_factory.mktemp('bench') / 'queue.db'}"
    service = ServiceProcess({"ELASTICSEARCH_HOSTS": url, "DATABASE_URL": database_url})
    asyncio.run(service.start())
    try:
        with Elastic(url) as es:
            yield Bench(service, es, database_url)
    finally:
        asyncio.run(service.close())


def check(case: Any, bench: Bench) -> None:
    """Sends a made-up request and looks at the answer and, where it could matter, the cluster."""
    if "/pace" in case.path:
        check_pace(case, bench)
        return
    if case.path.endswith(ACTIONS):
        check_wish(case, bench)
        return
    before = bench.lay()
    made_up = case.path_parameters.get("operationId")
    if isinstance(made_up, str) and len(made_up) % 2 == 0:
        case.path_parameters["operationId"] = bench.an_operation()
    response = case.call(base_url=bench.url, timeout=60)
    queued = queued_by(response) if case.method == "POST" else []
    blocked = response.status_code == 200 and "/update_index/" in case.path
    if response.status_code == 200 and case.path.endswith("/plan"):
        assert lasting(bench.state()) == lasting(before), "a trial left something"
    elif not queued and not blocked:
        assert bench.state() == before, "a refused request changed the cluster"
    for name in queued:
        bench.wait_for_the_end(name)
    bench.check_claims()
    unchecked = UNCHECKED_OF_BATCH if case.path.endswith("/batch") else UNCHECKED
    case.validate_response(response, excluded_checks=checks(unchecked))


def lasting(state: Json) -> Json:
    """What is there of every index, without how often it has been changed."""
    kept = ("state", "settings", "mappings", "aliases")
    return {
        name: {key: entry[key] for key in kept}
        for name, entry in state.get("indices", {}).items()
        if name != ".tasks"
    }


def check_pace(case: Any, bench: Bench) -> None:
    """As `check`; nothing is in the queue, so the cluster cannot notice."""
    for name, known_id in (("operationId", bench.operation_id), ("batchId", bench.batch_id)):
        made_up = case.path_parameters.get(name)
        if isinstance(made_up, str) and len(made_up) % 2 == 0:
            case.path_parameters[name] = known_id
    response = case.call(base_url=bench.url, timeout=60)
    if response.status_code == 200 and case.method != "GET":
        bench.hurry()
    bench.check_claims()
    case.validate_response(response, excluded_checks=checks(UNCHECKED))


def check_wish(case: Any, bench: Bench) -> int:
    """As `check`, of an operation that waits for its turn; the status of the answer."""
    before = bench.lay()
    for name, known_id in bench.waiting_for(case.path.rpartition("/")[2]).items():
        made_up = case.path_parameters.get(name)
        if isinstance(made_up, str) and len(made_up) % 2 == 0:
            case.path_parameters[name] = known_id
    response = case.call(base_url=bench.url, timeout=60)
    bench.end_what_waits()
    assert bench.state() == before, "a action for what waits changed the cluster"
    bench.check_claims()
    case.validate_response(response, excluded_checks=checks(UNCHECKED))
    return response.status_code


def checks(names: list[str]) -> list[Any]:
    return [*cast(Any, CHECKS).get_by_names(names)]


def queued_by(response: Any) -> list[str]:
    """The indices that an answer says are being reindexed now."""
    if response.status_code != 200 or not response.content:
        return []
    body = response.json()
    for key in ("enqueued", "operations"):
        if key in body:
            return [operation["indexName"] for operation in body[key]]
    return [body["indexName"]] if "indexName" in body else []


def made_for(operation: str) -> Any:
    """The test of one operation of the document."""

    @SCHEMA.include(operation_id=operation).parametrize()
    @settings(
        max_examples=EXAMPLES,
        derandomize=not FUZZ,
        deadline=None,
        database=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )
    @pytest.mark.timeout(0 if FUZZ else 120)
    def test(case: Any, bench: Bench) -> None:
        check(case, bench)

    return test


def operation_ids() -> list[str]:
    paths: dict[str, dict[str, Json]] = SCHEMA.raw_schema["paths"]
    return [operation["operationId"] for item in paths.values() for operation in item.values()]


for _operation in operation_ids():
    # Each with a name of its own: workers that run tests side by side know a test by nothing else.
    globals()[f"test_all_that_{_operation}_answers_is_documented"] = made_for(_operation)


def actions() -> list[str]:
    """Their paths."""
    return [path for path in SCHEMA.raw_schema["paths"] if path.endswith(ACTIONS)]


@pytest.mark.parametrize("path", actions())
def test_a_requested_action_that_is_granted_is_answered_as_it_is_documented(
    path: str, bench: Bench
) -> None:
    (name,) = re.findall(r"{(\w+)}", path)
    headers = {"kbn-xsrf": "true"}
    case = SCHEMA[path]["POST"].Case(path_parameters={name: "even"}, headers=headers)
    assert check_wish(case, bench) == 200


def test_every_operation_of_the_document_is_tested() -> None:
    wanted = {f"test_all_that_{operation}_answers_is_documented" for operation in operation_ids()}
    assert len(wanted) > 20
    assert wanted <= set(globals())
