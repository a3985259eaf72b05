"""A cluster with security: privileges, restricted users, credentials. One server for all tests."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from testbed.elasticsearch import ElasticsearchServer
from testbed.relay import Relay
from tests.api.test_bad_input import check_envelope
from tests.elasticsearch import Elastic
from tests.reindex.midway import POLL, filled
from tests.reindex.portrait import as_found, contents
from tests.service import BASE, Service, running_service

SERVICE = "/api/reindex_service/reindex"
WORD = "a-password-of-our-user"
Grant = dict[str, Any]


def all_on(*names: str, **limits: Any) -> Grant:
    return {"names": names, "privileges": ["all"], **limits}


def manage_on(*names: str) -> Grant:
    return {"names": names, "privileges": ["manage"]}


TASKS: Grant = {"names": [".tasks"], "privileges": ["read"], "allow_restricted_indices": True}


@pytest.fixture(scope="module")
def secured() -> Generator[ElasticsearchServer]:
    with (
        ElasticsearchServer("8.19", security=True) as server,
        Elastic(server.url, server.auth) as es,
    ):
        es.post("/_license/start_trial?acknowledge=true")  # for document- and field-level security
        yield server


@pytest.fixture
def es(secured: ElasticsearchServer) -> Generator[Elastic]:
    """As the superuser; every test has indices and users of its own."""
    with Elastic(secured.url, secured.auth) as elastic:
        yield elastic


@pytest.fixture
async def relay(secured: ElasticsearchServer) -> AsyncGenerator[Relay]:
    async with Relay(secured.url) as relay:
        yield relay


class Login:
    """Starts services that log in as somebody; each has a database of its own."""

    def __init__(self, es: Elastic, relay: Relay, folder: Path) -> None:
        self._es = es
        self._relay = relay
        self._folder = folder
        self._services = 0

    def may(self, user: str, *indices: Grant, cluster: tuple[str, ...] = ("manage",)) -> None:
        """Makes a user who may do that, or changes what the user may do."""
        self._es.put(f"/_security/role/{user}", {"cluster": cluster, "indices": indices})
        if self._es.request("GET", f"/_security/user/{user}").status_code == 404:
            self._es.put(f"/_security/user/{user}", {"password": WORD, "roles": [user]})

    def key_of(self, user: str, **body: Any) -> str:
        """A new API key of that user."""
        granted = {"grant_type": "password", "username": user, "password": WORD}
        answer = self._es.post(
            "/_security/api_key/grant", {**granted, "api_key": {"name": "k", **body}}
        )
        return answer["encoded"]

    @asynccontextmanager
    async def as_user(self, user: str, password: str = WORD) -> AsyncGenerator[Service]:
        settings: dict[str, Any] = {
            "elasticsearch_username": user,
            "elasticsearch_password": password,
            "reindex_synchronous_documents": 0,  # by tasks, so that a test can stop it
        }
        async with running_service(self._relay.url, self._database(), **settings) as service:
            yield service

    @asynccontextmanager
    async def with_key(self, key: str) -> AsyncGenerator[Service]:
        settings = {"elasticsearch_apikey": key}
        async with running_service(self._relay.url, self._database(), **settings) as service:
            yield service

    def _database(self) -> str:
        self._services += 1
        return f"sqlite:///{self._folder / f'{self._services}.db'}"


@pytest.fixture
def login(es: Elastic, relay: Relay, tmp_path: Path) -> Login:
    return Login(es, relay, tmp_path)


async def failed(service: Service, index: str, *words: str) -> None:
    operation = await service.ended(index)
    assert operation["status"] == 2, operation
    assert operation["lastCompletedStep"] == 0
    for word in words:
        assert word in operation["errorMessage"]


# --- privileges, at the POST


async def test_missing_privileges_are_refused_when_posted_and_the_asked_ones_suffice(
    login: Login, es: Elastic
) -> None:
    for name in ("granted", "denied", "half", "misnamed"):
        filled(es, name, 3, aliases={f"alias-of-{name}": {}})
    before = {name: as_found(es, name) for name in ("denied", "half", "misnamed")}
    exact = ["granted", "reindexed-v8-granted", "half", "misnamed", "reindexed-v8-misnamed"]
    aliases = ["alias-of-granted", "alias-of-half", "alias-of-denied"]
    login.may("exact", all_on(*exact), manage_on(".rq-*", *aliases), TASKS)
    async with login.as_user("exact") as service:
        denied = await service.client.post(f"{BASE}/denied")
        assert denied.status_code == 403
        assert denied.json() == {
            "statusCode": 403,
            "error": "Forbidden",
            "message": 'You do not have adequate privileges to reindex "denied".',
            "attributes": {"missingPrivileges": ["all on denied", "all on reindexed-v8-denied"]},
        }
        body = {"indexName": "half", "newIndexName": "half-2"}
        half = await service.client.post(SERVICE, json=body)
        text = 'You do not have adequate privileges to reindex "half" to "half-2".'
        assert (half.status_code, half.json()["message"]) == (403, text)
        assert half.json()["attributes"] == {"missingPrivileges": ["all on half-2"]}
        misnamed = await service.client.post(f"{BASE}/misnamed")
        assert misnamed.json()["attributes"] == {
            "missingPrivileges": ["manage on alias-of-misnamed"]
        }
        body = {"indices": [{"index": "misnamed"}, {"index": "granted"}], "trial": True}
        plan = (await service.client.post("/api/v1/plan", json=body)).json()["indices"]
        assert [(one["missingPrivileges"], one["trial"]) for one in plan] == [
            (["manage on alias-of-misnamed"], None),
            ([], {"outcome": "fits", "text": ""}),
        ]

        answer = await service.post_batch("denied", "granted", "half")
        assert [o["indexName"] for o in answer["enqueued"]] == ["granted"]
        assert answer["errors"] == [
            {
                "indexName": name,
                "message": f'You do not have adequate privileges to reindex "{name}".',
            }
            for name in ("denied", "half")
        ]
        await service.completed("granted")
    assert es.aliases("reindexed-v8-granted").keys() == {"granted", "alias-of-granted"}
    assert {name: as_found(es, name) for name in before} == before


async def test_to_keep_an_index_the_kept_copy_must_be_ours_to_make_and_to_roll_back_to(
    login: Login, es: Elastic
) -> None:
    filled(es, "precious", aliases={"jewel": {}})
    documents = contents(es, "precious")
    exact = ["precious", "reindexed-v8-precious"]
    login.may("keeper", all_on(*exact), manage_on(".rq-*", "jewel"), TASKS)
    async with login.as_user("keeper") as service:
        body = {"indices": [{"index": "precious"}], "keepOldIndex": True}
        answer = await service.client.post("/api/v1/batches", json=body)
        assert [r["code"] for r in answer.json()["refused"]] == ["missing_privileges"]
        login.may("keeper", all_on(*exact, "kept-precious-*"), manage_on(".rq-*", "jewel"), TASKS)
        answer = await service.client.post("/api/v1/batches", json=body)
        (operation,) = answer.json()["operations"]
        await service.completed("precious")
        assert (await service.roll_back(operation["id"])).status_code == 200
        assert await service.state_of(operation["id"], "rolledBack", "completed") == "rolledBack"
        assert contents(es, "precious") == documents
        await service.post_batch("precious")
        await service.completed("precious")
    assert es.aliases("reindexed-v8-precious").keys() == {"precious", "jewel"}
    assert contents(es, "precious") == documents


async def test_the_status_says_whether_our_user_has_the_privileges(
    login: Login, es: Elastic
) -> None:
    es.put("/seen")
    es.put("/unseen")
    login.may("watcher", all_on("seen", "reindexed-v8-seen"), manage_on(".rq-*"), TASKS)
    async with login.as_user("watcher") as service:
        seen = (await service.client.get(f"{BASE}/seen")).json()
        unseen = (await service.client.get(f"{BASE}/unseen")).json()
    assert seen["hasRequiredPrivileges"] is True
    assert len(seen["warnings"]) == 2
    assert unseen["hasRequiredPrivileges"] is False
    assert unseen["warnings"] == []


async def test_kibanas_privileges_are_asked_for_and_those_for_the_aliases(
    login: Login, relay: Relay, es: Elastic
) -> None:
    es.put("/reindexed-v7-anindex", {"aliases": {"al": {}}})
    login.may("asker", all_on("*", allow_restricted_indices=True))
    async with login.as_user("asker") as service:
        await service.post_batch("reindexed-v7-anindex")
        await service.completed("reindexed-v7-anindex")
    bodies = [json.loads(s.body) for s in relay.seen if "_has_privileges" in s.path]
    names = ["reindexed-v7-anindex", "reindexed-v8-anindex", "anindex"]
    asked = {
        "cluster": ["manage"],
        "index": [
            {"names": names, "privileges": ["all"], "allow_restricted_indices": True},
            {"names": [".tasks"], "privileges": ["read"]},
            {"names": [".rq-*", "al"], "privileges": ["manage"]},
        ],
    }
    assert bodies[0] == asked  # at the POST
    assert bodies[1] == asked  # at the head of the queue


async def test_a_user_who_may_not_even_look_is_answered_with_elasticsearchs_403(
    login: Login, es: Elastic
) -> None:
    es.put("/guarded")
    login.may("nobody", cluster=())
    async with login.as_user("nobody") as service:
        for answer in (
            await service.client.post(f"{BASE}/guarded"),
            await service.client.post(f"{BASE}/batch", json={"indexNames": ["guarded"]}),
            await service.client.get(f"{BASE}/guarded"),
        ):
            check_envelope(answer, 403, "is unauthorized for user [nobody]")
        assert await service.queue() == []


# --- privileges, after the POST


async def test_privileges_taken_away_after_the_post_fail_it_before_the_write_block(
    login: Login, relay: Relay, es: Elastic
) -> None:
    names = ["ahead", "robbed", "behind"]
    for name in names:
        filled(es, name, 3)
    before = as_found(es, "robbed")
    login.may("rich", all_on("*"), TASKS)
    released = relay.hold("PUT", "^/ahead/_block/write")
    async with login.as_user("rich") as service:
        assert (await service.post_batch(*names))["errors"] == []
        await relay.wait_for("PUT", "^/ahead/_block/write")
        left = [name for other in ("ahead", "behind") for name in (other, f"reindexed-v8-{other}")]
        login.may("rich", all_on(*left), manage_on("reindexed-v8-robbed", ".rq-*"), TASKS)
        released.set()
        await service.completed("ahead", "behind")
        await failed(service, "robbed", "all on robbed", "all on reindexed-v8-robbed")
    assert as_found(es, "robbed") == before
    assert "reindexed-v8-robbed" not in es.indices()
    es.put("/robbed/_doc/new", {"n": 1})


async def test_a_user_who_lost_every_right_while_it_waited_fails_it_and_frees_the_queue(
    login: Login, relay: Relay, es: Elastic
) -> None:
    filled(es, "stripped", 3)
    before = as_found(es, "stripped")
    login.may("stripped", all_on("*"), TASKS)
    async with login.as_user("stripped") as service:
        looks = "^/_cluster/state/metadata/stripped,.*mappings$"  # the POST asks for less
        released = relay.hold("GET", looks)
        await service.post_batch("stripped")
        await relay.wait_for("GET", looks)
        login.may("stripped", cluster=())
        released.set()
        await failed(service, "stripped", "is unauthorized for user [stripped]", ",manage,")
        assert await service.queue() == []
    assert as_found(es, "stripped") == before


async def test_rights_lost_in_mid_copy_leave_the_source_as_found_once_they_are_back(
    login: Login, relay: Relay, es: Elastic
) -> None:
    filled(es, "midway")
    before = as_found(es, "midway")
    login.may("fickle", all_on("*"), TASKS)
    released = relay.hold("GET", POLL)
    async with login.as_user("fickle") as service:
        await service.post_batch("midway")
        await relay.wait_for("GET", POLL)
        login.may("fickle", cluster=())
        released.set()
        await service.holds("midway", "403 security_exception")
        assert (await service.operation("midway"))["status"] == 0
        login.may("fickle", all_on("*"), TASKS)
        operation = await service.ended("midway")
    assert operation["status"] == 2
    assert "security_exception" in operation["errorMessage"]
    assert as_found(es, "midway") == before
    assert "reindexed-v8-midway" not in es.indices()


# --- document- and field-level security


async def test_a_user_who_sees_only_a_part_of_the_index_is_refused_before_the_write_block(
    login: Login, es: Elastic
) -> None:
    """Each of them holds all privileges by `_has_privileges`."""
    filled(es, "partial", 5)
    before = as_found(es, "partial")
    some = {"query": {"range": {"n": {"lt": 3}}}}
    login.may("documents", all_on("*", **some), TASKS, cluster=("manage", "manage_own_api_key"))
    login.may(
        "fields",
        all_on("partial", field_security={"grant": ["other"]}),
        all_on("re*", ".rq-*"),
        TASKS,
    )
    login.may("target", all_on("re*", **some), all_on("partial", ".rq-*"), TASKS)
    login.may("whole", all_on("*"), TASKS, cluster=("all",))
    of_fields = {
        "r": {"cluster": ["manage"], "index": [all_on("*", field_security={"grant": ["x"]}), TASKS]}
    }
    of_all = {"r": {"cluster": ["manage"], "index": [all_on("*"), TASKS]}}
    logins = [
        login.as_user("documents"),
        login.as_user("fields"),
        login.as_user("target"),
        login.with_key(login.key_of("whole", role_descriptors=of_fields)),
        login.with_key(login.key_of("documents")),
        login.with_key(login.key_of("documents", role_descriptors=of_all)),
    ]
    for each in logins:
        async with each as service:
            assert (await service.post_batch("partial"))["errors"] == []
            await failed(service, "partial", "sees only a part of", "field-level security")
        assert as_found(es, "partial") == before
        assert "reindexed-v8-partial" not in es.indices()
    es.put("/partial/_doc/new", {"n": 1})


async def test_fields_hidden_since_the_start_fail_it_with_the_source_there(
    login: Login, relay: Relay, es: Elastic
) -> None:
    filled(es, "veiled", 5)
    before = as_found(es, "veiled")
    login.may("veiled", all_on("*"), TASKS)
    released = relay.hold("GET", POLL)
    async with login.as_user("veiled") as service:
        await service.post_batch("veiled")
        await relay.wait_for("GET", POLL)
        hidden = all_on("veiled", field_security={"grant": ["other"]})
        login.may("veiled", hidden, all_on("re*", ".rq-*"), TASKS)
        released.set()
        await service.holds("veiled", "security_exception")  # it may not put its marker on
        login.may("veiled", all_on("*"), TASKS)
        operation = await service.ended("veiled")
    assert operation["status"] == 2
    assert "sees only a part of veiled" in operation["errorMessage"]
    assert as_found(es, "veiled") == before


async def test_a_restricted_role_beside_an_unrestricted_one_restricts_nothing(
    login: Login, es: Elastic
) -> None:
    filled(es, "mixed", 5)
    documents = contents(es, "mixed")
    login.may("narrow", all_on("*", query={"match_none": {}}), TASKS)
    login.may("wide", all_on("*"), TASKS)
    es.put("/_security/user/wide", {"password": WORD, "roles": ["narrow", "wide"]})
    async with login.as_user("wide") as service:
        await service.post_batch("mixed")
        await service.completed("mixed")
    assert contents(es, "mixed") == documents


# --- credentials


async def test_an_api_key_with_roles_of_its_own_is_enough(
    login: Login, relay: Relay, es: Elastic
) -> None:
    filled(es, "keyed", 5)
    login.may("owner", all_on("*", allow_restricted_indices=True), cluster=("all",))
    roles = {
        "r": {
            "cluster": ["manage"],
            "index": [all_on("keyed", "reindexed-v8-keyed"), manage_on(".rq-*"), TASKS],
        }
    }
    async with login.with_key(login.key_of("owner", role_descriptors=roles)) as service:
        await service.post_batch("keyed")
        await service.completed("keyed")
    assert len(contents(es, "keyed")) == 5
    assert all(seen.headers["authorization"].startswith("ApiKey ") for seen in relay.seen)


async def test_a_wrong_password_is_503_for_the_whole_post_and_nothing_is_accepted(
    login: Login, es: Elastic
) -> None:
    es.put("/real")
    login.may("known", all_on("*"), TASKS)
    async with login.as_user("known", "not-the-password") as service:
        for answer in (
            await service.client.post(f"{BASE}/batch", json={"indexNames": ["real", "unreal"]}),
            await service.client.post(f"{BASE}/real"),
            await service.client.get(f"{BASE}/real"),
        ):
            check_envelope(answer, 503, "ELASTICSEARCH_PASSWORD")
            assert "not-the-password" not in answer.text
        assert await service.queue() == []
        assert await service.parts.store.events.after(0) == []
        assert (await service.client.get("/readyz")).json()["elasticsearch"] != "ok"


async def test_a_password_that_is_wrong_for_a_while_is_waited_for(
    login: Login, relay: Relay, es: Elastic
) -> None:
    filled(es, "waiting")
    documents = contents(es, "waiting")
    login.may("forgetful", all_on("*"), TASKS)
    released = relay.hold("GET", POLL)
    async with login.as_user("forgetful") as service:
        await service.post_batch("waiting")
        await relay.wait_for("GET", POLL)
        es.put("/_security/user/forgetful/_password", {"password": "another-one"})
        released.set()
        await service.holds("waiting", "refused this service's credentials (401)")
        es.put("/other")
        answer = await service.client.post(f"{BASE}/batch", json={"indexNames": ["other"]})
        check_envelope(answer, 503, "ELASTICSEARCH_PASSWORD")
        assert [o["indexName"] for o in await service.queue()] == ["waiting"]
        es.put("/_security/user/forgetful/_password", {"password": WORD})
        await service.completed("waiting")
        assert "goes on" in [event.what for event in await service.events("waiting")]
    assert contents(es, "waiting") == documents


async def test_the_write_block_alone_is_refused_to_a_user_who_may_not_set_it(
    login: Login, es: Elastic
) -> None:
    es.put("/foreign")
    login.may("guest", all_on("own*"), TASKS)
    path = "/api/upgrade_assistant/update_index/foreign"
    async with login.as_user("guest") as service:
        answer = await service.client.post(path, json={"operations": ["blockWrite"]})
    check_envelope(answer, 403, "is unauthorized for user [guest]")
    assert es.blocks("foreign") == {}


def all_of(folder: Path) -> bytes:
    return b"".join(file.read_bytes() for file in folder.iterdir())


async def test_w07_no_key_is_made_and_no_login_is_kept(
    login: Login, es: Elastic, tmp_path: Path
) -> None:
    """Completed, failed or cancelled: there is nothing that could be left behind."""
    filled(es, "fine", 3)
    filled(es, "strict", 3, mappings={"dynamic": False})
    es.put("/strict/_mapping", {"dynamic": "strict"})
    login.may("keyless", all_on("*"), TASKS)
    keys = es.get("/_security/api_key")
    async with login.as_user("keyless") as service:
        names = {"indexNames": ["fine", "strict"]}
        headers = {"Authorization": "ApiKey of-whoever-posts"}
        answer = await service.client.post(f"{BASE}/batch", json=names, headers=headers)
        assert len(answer.json()["enqueued"]) == 2
        await service.completed("fine")
        assert (await service.ended("strict"))["status"] == 2
        assert es.get("/_security/api_key") == keys
        written = all_of(tmp_path)
    assert b"strict" in written
    assert b"of-whoever-posts" not in written
    assert WORD.encode() not in written
