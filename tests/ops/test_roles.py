"""The roles in `ops/`: enough for everything that the service does, and nothing too much.

On servers that audit every access, and on which what Elastic Cloud keeps to its operators is
refused to all others.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from app.domain.names import IndexName, target_name
from app.domain.rights import FOR_OPERATORS, RIGHTS, Right, role
from app.elastic.cluster import ClusterView
from app.elastic.connection import Connection
from app.elastic.http import Credentials
from app.upgrades.privileges import Need, missed, missing
from ops.roles import ROLES, rendered
from testbed.elasticsearch import ElasticsearchServer
from tests.conditions import eventually
from tests.elasticsearch import Elastic
from tests.secrets_used import used
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
WITHOUT_MODULE = {"cluster:admin/xpack/enrich/get", "read_slm"}
"""What is asked for only where the cluster has the module, and the servers here have not: of these
Elasticsearch's word is taken that they are held."""
LOOKS = {"read_pipeline": "/_ingest/pipeline", "monitor_snapshot": "/_snapshot/_all/_all"}
"""What needs them. `_has_privileges` does not say so: of a name of an action it takes all that
begin so (8.19, 9.4), and these allow one action each."""
OF_CLUSTER = ("cluster:", "read_slm", "indices:admin/index_template/", "indices:admin/template/")
RESERVED = (
    "cluster:admin/voting_config/add_exclusions",
    "cluster:admin/shutdown/get",
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


async def work(server: ElasticsearchServer, es: Elastic, user: str, database: str) -> str:
    """Everything, as that user; what the doctor says of the user's privileges."""
    settings = settings_of(user, user)
    async with running_service(server.url, database, **settings) as service:
        await do_everything(service, es, user)
        verdict = str((await privileges(service))["verdict"])
    async with running_service(server.url, database, **settings, reindex_keep_days=0) as service:
        await _expire(service, es, f"{user}-expires")
    return verdict


async def _expire(service: Service, es: Elastic, name: str) -> None:
    filled(es, name, 5)
    body = {"indices": name, "include_global_state": False}
    es.put(f"/_snapshot/kept/{name}?wait_for_completion=true", body)
    await service.client.patch("/api/v1/pace", json={"requestsPerSecond": None})
    posted = await service.post_options({"index": name}, keepOldIndex=True)
    operation = posted["operations"][0]["id"]

    async def gone() -> bool:
        events = (await service.shown(operation))["events"]
        return "kept copy gone" in [event["what"] for event in events]

    await eventually(gone, "the kept copy is gone")


@pytest.fixture(scope="module")
def worked(
    server: ElasticsearchServer, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, tuple[str, str]]:
    """By the body of a role: a user who has it and did everything, and the doctor's verdict."""
    found: dict[str, tuple[str, str]] = {}
    with Elastic(server.url, server.auth) as es:
        for name in ROLES:
            body = (OPS / name).read_text()
            if body not in found:
                user, folder = name.removesuffix(".json"), tmp_path_factory.mktemp("role")
                may(es, user, json.loads(body))
                make_indices(es, user)
                url = f"sqlite:///{folder / 'queue.db'}"
                found[body] = user, asyncio.run(work(server, es, user, url))
                used.search_folder(folder)
    return found


@pytest.mark.parametrize("name", ROLES)
def test_a_role_is_enough_for_everything_and_nothing_is_denied(
    server: ElasticsearchServer, worked: dict[str, tuple[str, str]], name: str
) -> None:
    user, verdict = worked[(OPS / name).read_text()]
    assert verdict == "ok"
    assert len(audited(server, user, "access_granted")) > 50
    assert audited(server, user, "access_denied") == set()


def held(
    server: ElasticsearchServer, user: str, actions: set[tuple[str, str]]
) -> set[tuple[str, str]]:
    """Those of these actions, on these indices, that a user may do."""
    general = {action for action, _ in actions if action.startswith(OF_CLUSTER)}
    others = [one for one in actions if not one[0].startswith(OF_CLUSTER) and one[1]]
    index = [
        {"names": [index], "privileges": [action], "allow_restricted_indices": True}
        for action, index in others
    ]
    with Elastic(server.url, (user, PASSWORD)) as es:
        body = {"cluster": sorted(general), "index": index}
        answer = es.post("/_security/user/_has_privileges", body)
    return {(action, "") for action in general if answer["cluster"][action]} | {
        (action, index) for action, index in others if answer["index"][index][action]
    }


def status(server: ElasticsearchServer, user: str, path: str) -> int:
    with Elastic(server.url, (user, PASSWORD)) as es:
        return es.request("GET", path).status_code


def privilege_of(right: Right) -> str:
    return right.privilege.replace("/", "-")


@pytest.mark.parametrize("right", RIGHTS, ids=privilege_of)
async def test_without_one_right_something_that_was_done_is_denied_and_it_is_said_which(
    server: ElasticsearchServer, es: Elastic, worked: dict[str, tuple[str, str]], right: Right
) -> None:
    user, _ = worked[(OPS / "role.json").read_text()]
    done = {one for one in audited(server, user, "access_granted") if "[" not in one[0]}
    if right.privilege in WITHOUT_MODULE:
        done.add((right.privilege, ""))
    may(es, "less", role(one for one in RIGHTS if one is not right))
    if look := LOOKS.get(right.privilege):
        answers = [status(server, who, look) for who in (user, "less")]
        assert answers == [200, 403]
    else:
        assert held(server, user, done) - held(server, "less", done)

    connection = Connection([server.url], Credentials("less", PASSWORD))
    try:
        view = ClusterView.of(connection)
        major = server.distribution.major
        need = Need(IndexName("a"), target_name(IndexName("a"), major), ["b"])
        words = (await missing(view, [need], major)).get(need.index, [])
        assert right.needed is any(right.privilege in word for word in words)
        assert await missed(view) == ([] if right.needed else [right])
    finally:
        await connection.close()


def test_nothing_is_held_that_operators_keep_or_that_nothing_is_done_with(
    server: ElasticsearchServer, worked: dict[str, tuple[str, str]]
) -> None:
    for user, _ in worked.values():
        assert held(server, user, {(action, "") for action in RESERVED}) == set()


@pytest.mark.parametrize("name", ROLES)
def test_the_file_is_what_the_list_says(name: str) -> None:
    assert (OPS / name).read_text() == rendered(name), "make roles"
    assert not [right for right in ROLES[name] if right.privilege.startswith(FOR_OPERATORS)]


def test_the_page_has_a_row_for_every_right_and_no_other() -> None:
    rows = [
        tuple(cell.strip() for cell in line.strip("| ").split(" | "))
        for line in PAGE.read_text().splitlines()
        if line.startswith("| `")
    ]
    assert rows == [
        (f"`{one.privilege}`", one.place.value, one.purpose, one.without or "no index is taken")
        for one in RIGHTS
    ]
