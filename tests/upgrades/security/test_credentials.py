"""Keys and passwords, also wrong ones, and what is kept of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from testbed.relay import Relay
from tests.api.test_bad_input import check_envelope
from tests.elasticsearch import Elastic
from tests.service import BASE, running_service
from tests.upgrades.midway import POLL, filled
from tests.upgrades.portrait import contents
from tests.upgrades.security.logins import TASKS, WORD, Login, all_on, manage_on


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


async def test_a_password_in_a_file_is_changed_there_and_in_the_cluster_while_it_runs(
    login: Login,
    relay: Relay,
    es: Elastic,
    sqlite_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    filled(es, "rotated")
    login.may("rotator", all_on("*"), TASKS)
    file = tmp_path / "password"

    def set_to(word: str) -> None:
        es.put("/_security/user/rotator/_password", {"password": word})
        file.write_text(word + "\n", encoding="utf-8")

    set_to("pässwört€")
    monkeypatch.setenv("ELASTICSEARCH_PASSWORD_FILE", str(file))
    released = relay.hold("GET", POLL)
    settings: dict[str, Any] = {
        "elasticsearch_username": "rotator",
        "reindex_synchronous_documents": 0,
    }
    async with running_service(relay.url, sqlite_url, **settings) as service:
        await service.post_batch("rotated")
        await relay.wait_for("GET", POLL)
        set_to("Пароль-2")
        released.set()
        await service.completed("rotated")
        assert "holds" not in [event.what for event in await service.events("rotated")]


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
    es.fill_with_refused("strict")
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


async def test_a_service_accounts_token_is_what_the_service_logs_in_with(
    login: Login, relay: Relay, es: Elastic
) -> None:
    """Elasticsearch knows who it is, and that Kibana's account may not do this."""
    es.put("/plain")
    path = "/_security/service/elastic/kibana/credential/token/reindex-queue"
    token = es.post(path)["token"]["value"]
    async with login.with_token(token) as service:
        answer = await service.post_batch("plain")
        assert "adequate privileges" in answer["errors"][0]["message"]
        assert (await service.client.get("/readyz")).json()["elasticsearch"] == "ok"
        assert token not in answer["errors"][0]["message"]
    assert {seen.headers["authorization"] for seen in relay.seen} == {f"Bearer {token}"}
