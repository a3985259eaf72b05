"""Callers who are limited to some indices: what they may do, and that nothing else is told them."""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from app.domain.principal import Role
from app.jobs.worker import Worker, WorkerReport, WorkerState
from tests.api.test_roles import ROUTES
from tests.elasticsearch import Elastic
from tests.service import BASE, Service, running_service
from tests.store.database import execute

OPS = ("ops", "s3cret-of-ops")
AUTH = {"server_username": "ops", "server_password": "s3cret-of-ops", "server_auth": "login,tokens"}
LIMITS = ["logs-*", "reindexed-v8-logs-*"]
QUICK = {"number_of_replicas": 0}
SECRET = "secret"
"""What every name has that the token is not for."""


@dataclass
class Place:
    """A service with indices of two teams; `headers` log in as the one of the logs.

    `hidden`: an operation of the others, completed, with a kept copy; `seen`: the same of the logs,
    in one batch with it.
    """

    service: Service
    headers: dict[str, str]
    seen: dict[str, Any]
    hidden: dict[str, Any]

    async def asked(self, method: str, path: str, body: Any = None) -> httpx.Response:
        """As the one who is limited."""
        client = self.service.client
        return await client.request(method, path, headers=self.headers, json=body, auth=None)


@asynccontextmanager
async def placed(
    elasticsearch_url: str, database_url: str, es: Elastic, role: str = "operator"
) -> AsyncGenerator[Place]:
    for name in ("logs-1", "logs-2", "logs-3", "secret-1", "secret-2", "secret-3"):
        es.put(f"/{name}", {"settings": QUICK})
    es.put("/secret-3/_alias/logs-behind")
    es.put("/logs-3/_alias/logs-own")
    async with running_service(elasticsearch_url, database_url, **AUTH) as service:
        service.client.auth = OPS
        body = {"name": "nightly", "role": role, "indices": LIMITS}
        made = await service.client.post("/api/v1/tokens", json=body)
        headers = {"authorization": f"Bearer {made.json()['secret']}"}
        first = [{"index": "logs-1"}, {"index": "secret-1"}]
        posted = await service.post_options(*first, keepOldIndex=True)
        await service.completed("logs-1", "secret-1")
        await service.client.post("/api/v1/pace/stop")  # what is posted from here on waits
        await service.post_batch("logs-2", "secret-2")
        seen, hidden = posted["operations"]
        yield Place(service, headers, seen, hidden)
        await service.client.post("/api/v1/pace/go-on")


@pytest.fixture
async def place(elasticsearch_url: str, database_url: str, es: Elastic) -> AsyncGenerator[Place]:
    async with placed(elasticsearch_url, database_url, es) as place:
        yield place


BODIES: dict[str, Any] = {
    "/batch": {"indexNames": ["secret-1", "secret-3"]},
    "/reindex": {"indexName": "secret-3", "newIndexName": "logs-9"},
    "/update_index/{indexName}": {"operations": ["blockWrite"]},
    "/api/v1/batches": {"indices": [{"index": "secret-3"}]},
    "/api/v1/plan": {"outdated": True},
    "/pace": {"windowsInFlight": 1},
}
"""By how the path of a route ends."""


async def test_no_route_tells_anything_of_an_index_beyond_the_limits_or_changes_it(
    place: Place, es: Elastic
) -> None:
    """Every route is asked about an index, an operation and a batch that the token is not for."""
    before = await of_others(place, es)
    asked = 0
    for name, (role,) in ROUTES.items():
        if role is Role.ADMIN:
            continue
        method, path = name.split(" ")
        full = path.format(
            indexName="secret-2", operationId=place.hidden["id"], batchId=place.hidden["batchId"]
        )
        body = next((body for end, body in BODIES.items() if path.endswith(end)), None)
        answer = await place.asked(method, full, body if method != "GET" else None)
        assert answer.status_code < 500, (method, path, answer.text)
        if "{indexName}" in path:
            assert answer.status_code == 403, (method, path)
        if "{operationId}" in path:
            assert answer.status_code == 404, (method, path)
        told = answer.text
        for sent in ("secret-2", "secret-1", "secret-3"):  # it may say again what it was sent
            told = told.replace(f"You may not work on {sent}", "")
            told = told.replace(f'"indexName":"{sent}"', "").replace(f'"index":"{sent}"', "")
        assert SECRET not in told, (method, path)
        assert place.hidden["id"] not in told or "There is no operation" in told, (method, path)
        asked += 1
    assert asked > 35
    assert await of_others(place, es) == before


async def of_others(place: Place, es: Elastic) -> dict[str, Any]:
    """All that is to be as it was, whatever the one who is limited asks for."""
    listed = (await place.service.client.get("/api/v1/operations")).json()["operations"]
    return {
        "operations": [
            (one["indexName"], one["state"], one["pending"], one["pace"])
            for one in listed
            if SECRET in one["indexName"]
        ],
        "blocks": es.blocks("secret-3"),
        "indices": {name for name in es.indices() if SECRET in name},
    }


async def test_lists_show_and_count_what_is_within_the_limits(place: Place) -> None:
    listed = (await place.asked("GET", "/api/v1/operations?counts=true")).json()
    assert [one["indexName"] for one in listed["operations"]] == ["logs-1", "logs-2"]
    assert (listed["counts"]["completed"], listed["counts"]["waiting"]) == (1, 1)
    queue = (await place.asked("GET", f"{BASE}/batch/queue")).json()["queue"]
    assert [one["indexName"] for one in queue] == ["logs-2"]
    worker = (await place.asked("GET", "/api/v1/worker")).json()
    assert worker["counts"]["completed"] == 1
    assert worker["head"]["indexName"] == "logs-2"
    stock = (await place.asked("GET", "/api/v1/indices")).json()
    names = {"logs-2", "logs-3", "reindexed-v8-logs-1"}
    assert {one["index"] for one in stock["indices"]} == names
    assert stock["counts"]["total"] == len(names)


async def test_a_batch_says_how_many_others_it_has(place: Place) -> None:
    path = f"/api/v1/batches/{place.seen['batchId']}"
    report = (await place.asked("GET", path)).json()
    assert (report["total"], report["counts"]["completed"], report["others"]) == (1, 1, 1)
    whole = (await place.service.client.get(path)).json()
    assert whole["total"] == 2
    assert "others" not in whole
    steered = (await place.asked("POST", f"{path}/retry")).json()
    assert [one["indexName"] for one in steered["operations"]] == ["logs-1"]
    assert steered["others"] == 1
    assert "others" not in (await place.service.client.post(f"{path}/retry")).json()
    listed = f"/api/v1/operations?batch={place.seen['batchId']}"
    assert (await place.asked("GET", listed)).json()["others"] == 1
    assert "others" not in (await place.asked("GET", "/api/v1/operations")).json()
    assert "others" not in (await place.service.client.get(listed)).json()
    alone = await place.service.post_options({"index": "secret-3"})
    for hidden in ("", "/pace"):
        answer = await place.asked("GET", f"/api/v1/batches/{alone['id']}{hidden}")
        assert answer.status_code == 404
    assert (
        "others" not in (await place.asked("GET", f"/api/v1/operations?batch={alone['id']}")).json()
    )


async def test_the_pace_of_a_batch_takes_somebody_who_may_work_on_all_of_it(place: Place) -> None:
    mixed = f"/api/v1/batches/{place.seen['batchId']}/pace"
    assert (await place.asked("GET", mixed)).status_code == 200
    for method in ("PUT", "PATCH"):
        answer = await place.asked(method, mixed, {"windowsInFlight": 1})
        assert answer.status_code == 403
        assert "this concerns all of them" in answer.json()["message"]
    own = await place.asked("POST", "/api/v1/batches", {"indices": [{"index": "logs-3"}]})
    path = f"/api/v1/batches/{own.json()['id']}/pace"
    assert (await place.asked("PUT", path, {"windowsInFlight": 1})).status_code == 200
    assert (await place.service.client.get(path)).json()["windowsInFlight"] == 1


@pytest.mark.parametrize(
    ("wanted", "code", "said"),
    [
        ({"index": "secret-3"}, "index_not_allowed", "may not work on secret-3"),
        ({"index": "secret-none"}, "index_not_allowed", "may not work on secret-none"),
        (
            {"index": "logs-3", "newIndexName": "secret-new"},
            "index_not_allowed",
            "may not work on secret-new",
        ),
        ({"index": "logs-behind"}, "index_not_allowed", "it stands for other indices"),
        (
            {"index": "logs-3", "newIndexName": "logs-behind"},
            "index_not_allowed",
            "You may not work on logs-behind: it stands for other indices",
        ),
        ({"index": "logs-own"}, "not_an_index", "logs-own is an alias of logs-3"),
        ({"index": "logs-*"}, "invalid_index_name", "must not contain *"),
        ({"index": "*"}, "invalid_index_name", "must not contain *"),
        ({"index": "logs-3,secret-3"}, "invalid_index_name", "must not contain ,"),
        ({"index": "<logs-{now/d}>"}, "invalid_index_name", "must not contain"),
        ({"index": "logs-none"}, "index_not_found", "logs-none does not exist"),
        ({"index": "logs-2"}, "already_in_progress", "already in-progress for logs-2"),
    ],
)
async def test_a_name_is_judged_by_the_index_it_stands_for(
    place: Place, wanted: dict[str, str], code: str, said: str
) -> None:
    answer = await place.asked("POST", "/api/v1/batches", {"indices": [wanted]})
    assert answer.status_code == 200, answer.text
    (refused,) = answer.json()["refused"]
    assert (refused["code"], answer.json()["operations"]) == (code, [])
    assert said in refused["message"]
    echo = wanted["index"]
    assert SECRET not in refused["message"].replace(said, "").replace(echo, "")
    planned = await place.asked("POST", "/api/v1/plan", {"indices": [wanted]})
    (one,) = planned.json()["indices"]
    assert [blocker["code"] for blocker in one["blockers"]] == [code]
    assert SECRET not in planned.text.replace(said, "").replace(echo, "")
    named = {"indexName": wanted["index"], "newIndexName": wanted.get("newIndexName")}
    started = await place.asked("POST", BASE, named)
    assert started.status_code >= 400
    assert SECRET not in started.text.replace(said, "").replace(echo, "")


async def test_kibanas_routes_refuse_in_their_own_words(place: Place, es: Elastic) -> None:
    batch = (
        await place.asked("POST", f"{BASE}/batch", {"indexNames": ["logs-3", "secret-3"]})
    ).json()
    assert [one["indexName"] for one in batch["enqueued"]] == ["logs-3"]
    (error,) = batch["errors"]
    assert error == {
        "indexName": "secret-3",
        "message": "You may not work on secret-3: your login is limited to some indices.",
    }
    for name in ("secret-3", "secret-none"):
        for path in (f"{BASE}/{name}", f"{BASE}/{name}/cancel"):
            answer = await place.asked("POST", path)
            assert answer.status_code == 403
            assert answer.json()["error"] == "Forbidden"
    block = {"operations": ["blockWrite"]}
    for name in ("secret-3", "logs-behind"):
        answer = await place.asked("POST", f"/api/upgrade_assistant/update_index/{name}", block)
        assert answer.status_code == 403, answer.text
        assert SECRET not in answer.text.replace("work on secret-3", "")
    assert es.blocks("secret-3") == {}
    status = (await place.asked("GET", f"{BASE}/logs-1")).json()
    assert status["reindexOp"]["status"] == 1


async def test_what_is_within_the_limits_is_done_and_noted_under_the_tokens_name(
    place: Place,
) -> None:
    posted = await place.asked("POST", "/api/v1/batches", {"indices": [{"index": "logs-3"}]})
    (operation,) = posted.json()["operations"]
    assert operation["caller"] == "token:nightly"
    for action in ("pause", "resume"):
        answer = await place.asked("POST", f"/api/v1/operations/{operation['id']}/{action}")
        assert answer.status_code == 200, answer.text
    await place.service.client.post("/api/v1/pace/go-on")
    await place.service.completed("logs-3")
    who = {event.what: event.who for event in await place.service.events("logs-3")}
    assert {who[what] for what in ("queued", "paused", "resumed")} == {"token:nightly"}
    assert who["completed"].startswith("worker:")
    back = await place.asked("POST", f"/api/v1/operations/{place.seen['id']}/rollback", {})
    assert back.status_code == 200, back.text
    assert await place.service.state_of(place.seen["id"], "rolledBack", "completed") == "rolledBack"
    # from here on the name stands for the kept copy, which the patterns do not fit
    again = await place.asked("POST", "/api/v1/batches", {"indices": [{"index": "logs-1"}]})
    assert [one["code"] for one in again.json()["refused"]] == ["index_not_allowed"]
    block = {"operations": ["blockWrite"]}
    blocked = await place.asked("POST", "/api/upgrade_assistant/update_index/logs-3", block)
    assert blocked.status_code == 400  # it is an alias now, of an index within the limits
    assert "reindexed-v8-logs-3" in blocked.text


async def test_a_viewer_with_limits_only_looks(
    elasticsearch_url: str, sqlite_url: str, es: Elastic
) -> None:
    async with placed(elasticsearch_url, sqlite_url, es, role="viewer") as place:
        assert (
            await place.asked("GET", f"/api/v1/operations/{place.seen['id']}")
        ).status_code == 200
        answer = await place.asked("POST", f"{BASE}/logs-3")
        assert answer.status_code == 403
        assert "needs the role operator" in answer.json()["message"]


async def test_the_key_of_another_caller_shows_only_what_is_within_the_limits(
    place: Place,
) -> None:
    body = {"indices": [{"index": "logs-3"}, {"index": "secret-3"}, {"index": "secret-none"}]}
    key = {"idempotency-key": "k-1"}
    first = await place.service.client.post("/api/v1/batches", json=body, headers=key)
    assert len(first.json()["operations"]) == 2
    place.headers |= key
    again = (await place.asked("POST", "/api/v1/batches", body)).json()
    assert [one["indexName"] for one in again["operations"]] == ["logs-3"]
    assert (again["refused"], again["others"]) == ([], 1)


async def test_the_key_of_another_caller_tells_nothing_of_a_batch_beyond_the_limits(
    place: Place,
) -> None:
    body = {"indices": [{"index": "secret-3"}, {"index": "logs-behind"}]}
    key = {"idempotency-key": "k-2"}
    first = await place.service.client.post("/api/v1/batches", json=body, headers=key)
    assert first.json()["refused"][0]["message"].startswith("logs-behind is an alias of secret-3")
    place.headers |= key
    answer = await place.asked("POST", "/api/v1/batches", body)
    assert answer.status_code == 409
    assert "was used by somebody else" in answer.json()["message"]
    assert first.json()["id"] not in answer.text


async def test_a_token_with_the_name_of_another_sees_nothing_of_what_that_one_was_refused(
    place: Place,
) -> None:
    body = {"indices": [{"index": "logs-3"}, {"index": "logs-own"}]}
    posted = (await place.asked("POST", "/api/v1/batches", body)).json()
    path = f"/api/v1/batches/{posted['id']}"
    assert [one["index"] for one in (await place.asked("GET", path)).json()["refused"]] == [
        "logs-own"
    ]
    client = place.service.client
    for indices, seen in ((["logs-3", "reindexed-v8-logs-*"], 200), (["other-*"], 404)):
        await client.delete("/api/v1/tokens/nightly")
        wanted = {"name": "nightly", "role": "operator", "indices": indices}
        made = await client.post("/api/v1/tokens", json=wanted)
        place.headers = {"authorization": f"Bearer {made.json()['secret']}"}
        answer = await place.asked("GET", path)
        assert answer.status_code == seen
        assert answer.json().get("refused", []) == []


async def test_the_figures_of_all_are_not_for_somebody_with_limits(place: Place) -> None:
    refused = await place.asked("GET", "/metrics")
    assert refused.status_code == 403
    assert "limited to some indices, and this concerns all indices" in refused.json()["message"]
    assert (await place.service.client.get("/metrics")).status_code == 200
    body = {"indices": [{"index": "logs-3"}]}
    assert (await place.asked("POST", "/api/v1/plan", body)).json()["measured"] == 1
    whole = await place.service.client.post("/api/v1/plan", json=body)
    assert whole.json()["measured"] == 2


async def test_what_the_worker_met_and_has_in_hand_is_not_told_to_somebody_with_limits(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    report = WorkerReport(WorkerState.RESTARTING, (place.hidden["id"],), "lost on secret-1")

    def stays(_worker: Worker, _report: WorkerReport) -> None:
        """Whatever the worker says of itself meanwhile."""

    told = property(lambda _: report, stays)
    monkeypatch.setattr(Worker, "report", told, raising=False)
    for path in ("/readyz", "/api/v1/worker", "/api/v1/doctor"):
        whole = (await place.service.client.get(path)).text
        assert "lost on secret-1" in whole, path
        part = (await place.asked("GET", path)).text
        assert SECRET not in part, path
        assert place.hidden["id"] not in part, path
    ready = (await place.asked("GET", "/readyz")).json()
    assert ready["worker"] == {"state": "restarting", "operations": [], "error": None}


async def test_which_documents_were_refused_is_told_to_operators_and_not_to_viewers(
    elasticsearch_url: str, database_url: str, es: Elastic, caplog: pytest.LogCaptureFixture
) -> None:
    """Their values are told to nobody, and stored nowhere."""
    caplog.set_level(logging.INFO)
    es.put("/logs-1", {"settings": QUICK, "mappings": {"dynamic": False}})
    es.put("/logs-1/_doc/id-4711?refresh=true", {"f": "zsecretz"})
    es.put("/logs-1/_mapping", {"properties": {"f": {"type": "date"}}})
    async with running_service(elasticsearch_url, database_url, **AUTH) as service:
        service.client.auth = OPS
        (posted,) = (await service.post_options({"index": "logs-1"}))["operations"]
        await service.state_of(posted["id"], "failed")
        path = f"/api/v1/operations/{posted['id']}"
        paths = (path, "/api/v1/operations", f"{BASE}/logs-1", "/api/v1/events?limit=1000")
        for role, limits, seen in (
            ("operator", LIMITS, ["id-4711"]),
            ("admin", None, ["id-4711"]),
            ("viewer", LIMITS, []),
            ("viewer", None, []),
        ):
            body = {"name": f"{role}-{len(limits or ())}", "role": role, "indices": limits}
            made = await service.client.post("/api/v1/tokens", json=body)
            headers = {"authorization": f"Bearer {made.json()['secret']}"}
            texts = [(await service.client.get(p, headers=headers, auth=None)).text for p in paths]
            failure = json.loads(texts[0])["failure"]
            assert [one["id"] for one in failure["documents"]] == seen
            assert failure["counts"] == {"document_parsing_exception": 1}
            assert "failed to parse field [f] of type [date]" in failure["message"]
            assert ("id-4711" in texts[0]) is bool(seen)
            assert "id-4711" not in "".join(texts[1:])
            assert "zsecretz" not in "".join(texts)
        tables = ("job", "event", "batch", "copy_window")
        stored = "".join(str(execute(database_url, f"SELECT * FROM {one}")) for one in tables)
        assert "id-4711" in stored
        assert "zsecretz" not in stored
        assert "zsecretz" not in caplog.text
