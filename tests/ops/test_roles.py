"""The roles in `ops/`: enough for everything that the service does, and nothing too much.

On servers that audit every access, and on which what Elastic Cloud keeps to its operators is
refused to all others.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from ops.roles import ROLES
from testbed.elasticsearch import ElasticsearchServer
from tests.conditions import eventually
from tests.elasticsearch import Elastic
from tests.service import Service, running_service
from tests.upgrades.midway import filled

OPS = Path(__file__).parents[2] / "ops"
PAGE = OPS.parent / "docs" / "rights.md"
PASSWORD = "what-the-least-role-logs-in-with"
AUDITED = {
    "xpack.security.audit.enabled": "true",
    "xpack.security.audit.logfile.events.include": "access_granted,access_denied",
    "xpack.security.operator_privileges.enabled": "true",
}
WITHOUT_MODULE = {
    "cluster:admin/xpack/enrich/get": "cluster:admin/xpack/enrich/get",
    "read_slm": "cluster:admin/slm/get",
}
"""By privilege: what the service asks for where the cluster has the module; the servers here do
not."""
RESERVED = (
    "cluster:admin/voting_config/add_exclusions",
    "cluster:admin/shutdown/get",
    "cluster:admin/settings/update",
    "cluster:admin/snapshot/delete",
    "cluster:admin/xpack/security/role/put",
)
"""A few of what a cluster `manage` or `all` has, and these roles have not."""


@pytest.fixture(scope="module", params=["8.19", "9.4"])
def server(request: pytest.FixtureRequest) -> Iterator[ElasticsearchServer]:
    with (
        ElasticsearchServer(request.param, security=True, settings=AUDITED) as server,
        Elastic(server.url, server.auth) as es,
    ):
        es.post("/_license/start_trial?acknowledge=true")  # for the audit log, and operators
        location = str(server.repository / "kept")
        es.put("/_snapshot/kept", {"type": "fs", "settings": {"location": location}})
        es.put("/_ingest/pipeline/names", {"processors": []})
        yield server


@pytest.fixture
def es(server: ElasticsearchServer) -> Iterator[Elastic]:
    with Elastic(server.url, server.auth) as elastic:
        yield elastic


def may(es: Elastic, user: str, body: Mapping[str, Any]) -> None:
    es.put(f"/_security/role/{user}", body)
    es.put(f"/_security/user/{user}", {"password": PASSWORD, "roles": [user]})


def audited(server: ElasticsearchServer, user: str, what: str) -> set[tuple[str, str]]:
    """The actions of that user, each with the first index, that were granted, or denied."""
    entries = [json.loads(line) for line in server.audit.splitlines()]
    return {
        (entry["action"], next(iter(entry.get("indices", [])), ""))
        for entry in entries
        if entry.get("user.name") == user and entry["event.action"] == what
    }


def make_indices(es: Elastic, prefix: str) -> None:
    """Every kind that asks for other requests; all in a snapshot."""
    alias = {f"{prefix}-alias": {"filter": {"term": {"n": 1}}, "is_write_index": True}}
    filled(es, f"{prefix}-many", 60, settings={"number_of_shards": 3}, aliases=alias)
    filled(es, f"{prefix}-closed", 20)
    filled(es, f"{prefix}-kept", 20)
    filled(es, f"{prefix}-slow", 400)
    filled(es, f"{prefix}-ended", 400)
    filled(es, f"reindexed-v7-{prefix}", 20)
    filled(es, f".{prefix}-hidden", 20, settings={"index.hidden": True})
    es.fill_with_refused(f"{prefix}-refused")
    es.put(
        f"/_snapshot/kept/{prefix}?wait_for_completion=true",
        {"indices": f"{prefix}-*,.{prefix}-*,reindexed-v7-*", "include_global_state": False},
    )
    es.post(f"/{prefix}-closed/_close")


async def do_everything(service: Service, es: Elastic, prefix: str) -> None:
    names = [f"{prefix}-many", f"{prefix}-closed", f"reindexed-v7-{prefix}", f".{prefix}-hidden"]
    listed = [{"index": name, "proof": "full"} for name in names]
    plan = await service.client.post("/api/v1/plan", json={"indices": listed, "trial": True})
    assert plan.status_code == 200, plan.text
    assert [one["blockers"] for one in plan.json()["indices"]] == [[]] * len(names)
    assert (await service.client.get("/api/v1/indices")).status_code == 200
    await service.post_options(*listed)
    await service.completed(*names)
    await service.post_batch(f"{prefix}-refused")
    assert (await service.ended(f"{prefix}-refused"))["status"] == 2
    path = f"/api/upgrade_assistant/update_index/{prefix}-refused"
    blocked = await service.client.post(path, json={"operations": ["blockWrite"]})
    assert blocked.status_code == 200, blocked.text
    await _keep_and_roll_back(service, f"{prefix}-kept")
    await _steer(service, es, prefix)


async def _keep_and_roll_back(service: Service, name: str) -> None:
    posted = await service.post_options({"index": name}, keepOldIndex=True)
    (operation,) = posted["operations"]
    await service.completed(name)
    assert (await service.roll_back(operation["id"])).status_code == 200
    await service.state_of(operation["id"], "rolledBack")


async def _steer(service: Service, es: Elastic, prefix: str) -> None:
    """A copy is made faster, and one is ended, in the middle."""

    async def copies() -> bool:
        return bool(es.copy_tasks())

    await service.client.patch("/api/v1/pace", json={"requestsPerSecond": 20})
    await service.post_batch(f"{prefix}-slow")
    await eventually(copies, "it copies")
    await service.client.patch("/api/v1/pace", json={"requestsPerSecond": None})
    await service.completed(f"{prefix}-slow")
    await service.client.patch("/api/v1/pace", json={"requestsPerSecond": 20})
    await service.post_batch(f"{prefix}-ended")
    await eventually(copies, "it copies")
    assert await service.cancel(f"{prefix}-ended") == 200
    assert (await service.ended(f"{prefix}-ended"))["status"] == 4


def settings_of(user: str, prefix: str) -> dict[str, Any]:
    return {
        "elasticsearch_username": user,
        "elasticsearch_password": PASSWORD,
        "reindex_synchronous_documents": 50,
        "reindex_batch_documents": 20,
        "reindex_require_snapshot": 3600,
        "reindex_search_probe": f"{prefix}-many",
        "reindex_health_seconds": 0.2,
    }


async def privileges(service: Service) -> dict[str, Any]:
    """What the doctor says of them."""
    answer = await service.client.get("/api/v1/doctor")
    return next(one for one in answer.json()["checks"] if one["name"] == "privileges")


@pytest.mark.parametrize("name", ROLES)
async def test_a_role_is_enough_for_everything_and_nothing_is_denied(
    server: ElasticsearchServer, es: Elastic, sqlite_url: str, name: str
) -> None:
    user = name.removesuffix(".json")
    may(es, user, json.loads((OPS / name).read_text()))
    make_indices(es, user)
    settings = settings_of(user, user)
    async with running_service(server.url, sqlite_url, **settings) as service:
        await do_everything(service, es, user)
        assert (await privileges(service))["verdict"] == "ok"
    async with running_service(server.url, sqlite_url, **settings, reindex_keep_days=0) as service:
        filled(es, f"{user}-expires", 5)
        body = {"indices": f"{user}-expires", "include_global_state": False}
        es.put(f"/_snapshot/kept/{user}-2?wait_for_completion=true", body)
        await service.client.patch("/api/v1/pace", json={"requestsPerSecond": None})
        posted = await service.post_options({"index": f"{user}-expires"}, keepOldIndex=True)
        shown = posted["operations"][0]["id"]

        async def gone() -> bool:
            events = (await service.shown(shown))["events"]
            return "kept copy gone" in [event["what"] for event in events]

        await eventually(gone, "the kept copy is gone")
    assert audited(server, user, "access_denied") == set()
