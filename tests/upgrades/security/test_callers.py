"""Callers who log in as they would at the cluster: who they are there, and what they may do."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.api.attempts import AT_ONCE, FREE_OF_NAME
from app.api.v1.events import streamed
from app.domain.errors import LoginRefused
from app.main import create_app, running_sites
from app.settings import Settings
from app.sites import caller_desk
from app.sites.event_pages import EventPages
from app.sites.event_streams import EventStreams, StreamLimits
from testbed.elasticsearch import ElasticsearchServer
from testbed.relay import Relay, Seen
from tests.conditions import eventually
from tests.elasticsearch import Elastic
from tests.service import BASE, Service
from tests.sse import PATH, STREAM
from tests.upgrades.midway import filled
from tests.upgrades.security.logins import WORD, Grant, Login, all_on
from tests.upgrades.security.test_credentials import all_of

OPS = ("ops", "s3cret-of-the-service")
OWN_HEADER = "x-service"
LIST = "/api/v1/operations"
QUESTIONS = ("/_security/_authenticate", "/_security/user/_has_privileges")
Headers = dict[str, str]


@dataclass
class Place:
    """A service before a cluster with security. `service.client` itself comes without a login."""

    es: Elastic
    relay: Relay
    service: Service
    login: Login

    def user(self, name: str, *indices: Grant, cluster: str = "manage") -> Headers:
        """Headers of a user who may do that, made or changed."""
        self.login.may(name, *indices, cluster=(cluster,) if cluster else ())
        return basic(name)

    async def asked(self, headers: Headers, method: str, path: str, body: Any = None) -> Any:
        return await self.service.client.request(method, path, headers=headers, json=body)

    def questions_of(self, headers: Headers) -> list[Seen]:
        """What was sent to the cluster with these credentials."""
        sent = headers["authorization"]
        return [one for one in self.relay.seen if one.headers.get("authorization") == sent]


def basic(name: str, password: str = WORD) -> Headers:
    return {"authorization": f"Basic {base64.b64encode(f'{name}:{password}'.encode()).decode()}"}


def settings_of(url: str, server: ElasticsearchServer, folder: Path) -> dict[str, Any]:
    name, password = server.auth or ("", "")
    return {
        "elasticsearch_hosts": [url],
        "elasticsearch_username": name,
        "elasticsearch_password": password,
        "elasticsearch_customheaders": json.dumps({OWN_HEADER: "our-own-header"}),
        "elasticsearch_requesttimeout": 1_500,
        "database_url": f"sqlite:///{folder / 'queue.db'}",
        "server_auth": "login,tokens,elasticsearch",
        "server_username": OPS[0],
        "server_password": OPS[1],
    }


@asynccontextmanager
async def placed(server: ElasticsearchServer, folder: Path) -> AsyncGenerator[Place]:
    async with Relay(server.url) as relay:
        app = create_app(Settings(**settings_of(relay.url, server, folder)))
        async with app.router.lifespan_context(app):
            sites = app.state.sites
            pages = EventPages(sites.of().store.event_log(sites.names))
            app.state.event_streams = EventStreams(
                pages, streamed, StreamLimits(poll_seconds=0.05, heartbeat_seconds=0.2)
            )
            transport = httpx.ASGITransport(app, raise_app_exceptions=False)
            with Elastic(server.url, server.auth) as es:
                async with httpx.AsyncClient(
                    transport=transport, base_url="http://service"
                ) as client:
                    service = Service(client, sites.of())
                    yield Place(es, relay, service, Login(es, relay, folder))


@pytest.fixture
async def place(secured: ElasticsearchServer, tmp_path: Path) -> AsyncGenerator[Place]:
    async with placed(secured, tmp_path) as place:
        yield place


@pytest.fixture(params=["secured", "newest"])
async def each_place(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncGenerator[Place]:
    """Before 8.19, and before 9.4."""
    async with placed(request.getfixturevalue(request.param), tmp_path) as place:
        yield place


class Time:
    """The time by which answers about callers are forgotten."""

    now = 1_000.0


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Time:
    time = Time()
    monkeypatch.setattr(caller_desk, "boot_seconds", lambda: time.now)
    return time


async def test_the_cluster_says_who_comes_and_makes_viewers_and_operators(
    each_place: Place,
) -> None:
    place, es = each_place, each_place.es
    es.put("/role-1")
    doer = place.user("doer", all_on("role-1", "reindexed-*"))
    looker, nobody = place.user("looker", cluster="monitor"), place.user("nobody", cluster="")
    key = {"authorization": f"ApiKey {place.login.key_of('doer', name='nightly')}"}
    path = "/_security/service/elastic/fleet-server/credential/token/of-callers"
    es.request("DELETE", path)
    bearer = {"authorization": f"Bearer {es.post(path)['token']['value']}"}
    for headers in (doer, looker, key, bearer):
        assert (await place.asked(headers, "GET", LIST)).status_code == 200
    refused = await place.asked(nobody, "GET", LIST)
    assert refused.status_code == 403
    assert "default/default_native/nobody lacks the cluster privilege monitor" in refused.text
    for headers, name in ((looker, "default_native/looker"), (bearer, "elastic/fleet-server")):
        refused = await place.asked(headers, "POST", f"{BASE}/role-1")
        assert refused.status_code == 403
        assert f"{name} has the role viewer, and this needs the role operator" in refused.text
        assert "The privilege manage on the cluster makes it" in refused.text
    stop = await place.asked(doer, "POST", "/api/v1/pace/stop", {})
    assert stop.status_code == 403
    assert "No role over the whole service comes from a cluster" in stop.text
    await place.service.client.post("/api/v1/pace/stop", auth=OPS)
    posted = await place.asked(key, "POST", f"{BASE}/role-1")
    assert posted.status_code == 200, posted.text
    assert (await place.service.events("role-1"))[0].who == "default/_es_api_key/nightly"
    for headers in (doer, looker, key, bearer, nobody):
        sent = place.questions_of(headers)
        assert {one.path for one in sent} == set(QUESTIONS)
        assert all(OWN_HEADER not in one.headers for one in sent)
    asked = [one for one in place.relay.seen if one.path == QUESTIONS[0]]
    assert all(OWN_HEADER in one.headers for one in asked if "admin" in str(one.headers))


async def test_what_the_cluster_has_answered_is_asked_once_by_whoever_asks_at_once(
    place: Place, time: Time
) -> None:
    poller = place.user("poller", cluster="monitor")
    answers = await asyncio.gather(*(place.asked(poller, "GET", LIST) for _ in range(20)))
    assert {answer.status_code for answer in answers} == {200}
    assert [one.path for one in place.questions_of(poller)] == [*QUESTIONS]
    time.now += caller_desk.REMEMBERED_SECONDS
    await place.asked(poller, "GET", LIST)
    assert [one.path for one in place.questions_of(poller)] == [*QUESTIONS] * 2


async def test_a_wrong_password_is_401_and_slowed_down_and_ours_are_not_asked_about(
    place: Place,
) -> None:
    known = place.user("known", cluster="monitor")
    acting = await place.asked({**known, "es-security-runas-user": "admin"}, "GET", LIST)
    assert (acting.status_code, "es-security-runas-user" in acting.text) == (400, True)
    for number in range(FREE_OF_NAME):
        answer = await place.asked(basic("known", f"guess-{number}"), "GET", LIST)
        assert answer.status_code == 401
    answer = await place.asked(basic("known", "one-more"), "GET", LIST)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == 'Basic realm="Reindex Queue", ApiKey, Bearer'
    assert "does not accept this login for the cluster default" in answer.text
    before = len(place.relay.seen)
    assert (await place.asked(basic("known", "guess"), "GET", LIST)).status_code == 429
    assert len([one for one in place.relay.seen[before:] if one.path == QUESTIONS[0]]) == 0
    for ours in (
        basic(OPS[0], "wrong"),
        {"authorization": "Bearer rq_not-there"},
        {"authorization": "Digest abc"},
        {"authorization": f"Bearer {'a' * 8_000}"},
        {"authorization": "Basic !!!"},
    ):
        answer = await place.asked(ours, "GET", LIST)
        assert answer.status_code == 401, (ours, answer.text)
        assert place.questions_of(ours) == []


async def test_guesses_at_once_are_looked_at_a_few_at_a_time(place: Place) -> None:
    released = place.relay.hold("GET", QUESTIONS[0], times=None)
    guesses = [basic("anybody", f"guess-{number}") for number in range(40)]
    asking = asyncio.gather(*(place.asked(guess, "GET", LIST) for guess in guesses))
    await place.relay.wait_for("GET", QUESTIONS[0], times=AT_ONCE)
    released.set()
    codes = [answer.status_code for answer in await asking]
    looked_at = [guess for guess in guesses if place.questions_of(guess)]
    assert set(codes) == {401, 429}
    assert codes.count(401) == len(looked_at) <= FREE_OF_NAME + AT_ONCE


async def test_a_login_that_ends_while_a_route_asks_with_it_is_401_with_a_challenge(
    place: Place, time: Time
) -> None:
    caller = place.user("leaving", cluster="manage")
    assert (await place.asked(caller, "GET", LIST)).status_code == 200
    place.es.put("/leaving-1")
    place.es.put("/_security/user/leaving/_password", {"password": "another-password"})
    assert time.now == Time.now  # the answer of before is remembered
    answer = await place.asked(caller, "POST", f"{BASE}/leaving-1")
    assert (answer.status_code, "ApiKey" in answer.headers["www-authenticate"]) == (401, True)
    assert "does not accept this login" in answer.json()["message"]


@pytest.mark.parametrize("scheme", ["ApiKey !!!", "ApiKey YWJjOmRlZg==", "Bearer abc"])
async def test_what_the_cluster_cannot_read_as_a_login_is_401(
    each_place: Place, scheme: str
) -> None:
    answer = await each_place.asked({"authorization": scheme}, "GET", LIST)
    assert answer.status_code == 401, answer.text
    assert "does not accept this login" in answer.text


async def test_a_key_that_the_cluster_does_not_let_ask_who_it_is_is_403(place: Place) -> None:
    restricted = {"cluster": ["all"], "restriction": {"workflows": ["search_application_query"]}}
    body = {"name": "of a workflow", "role_descriptors": {"r": restricted}}
    key = place.es.post("/_security/api_key", body)["encoded"]
    answer = await place.asked({"authorization": f"ApiKey {key}"}, "GET", LIST)
    assert answer.status_code == 403
    assert "does not let this login be used for the cluster default: action [" in answer.text


async def test_a_key_that_was_revoked_is_out_after_five_seconds_also_of_open_streams(
    place: Place, time: Time
) -> None:
    place.user("keyed", cluster="monitor")
    encoded = place.login.key_of("keyed", name="to be revoked")
    key = {"authorization": f"ApiKey {encoded}"}
    stream = asyncio.ensure_future(place.asked({**key, **STREAM}, "GET", PATH))
    assert (await place.asked(key, "GET", LIST)).status_code == 200
    name = base64.b64decode(encoded).decode().partition(":")[0]
    answer = place.es.request("DELETE", "/_security/api_key", {"ids": [name]})
    assert answer.status_code == 200
    assert (await place.asked(key, "GET", LIST)).status_code == 200
    assert not stream.done()
    time.now += caller_desk.REMEMBERED_SECONDS
    assert (await place.asked(key, "GET", LIST)).status_code == 401
    ended = await asyncio.wait_for(stream, 30)
    assert ended.status_code == 200
    assert ended.text.startswith("retry: ")


async def test_what_a_caller_lacks_for_an_index_is_refused_when_it_is_posted(
    each_place: Place,
) -> None:
    place, es = each_place, each_place.es
    for name in ("post-yes", "post-no"):
        filled(es, name, 3, aliases={f"alias-of-{name}": {}})
    major = 8 if "8." in es.get("/")["version"]["number"][:2] else 9
    target = f"reindexed-v{major}-post"
    caller = place.user("poster", all_on("post-yes", f"{target}-yes", "alias-of-post-no"))
    lacks = [f"all on post-no, all on {target}-no", "all on alias-of-post-yes"]
    text = (
        'You do not have adequate privileges to reindex "post-no": the login that asked lacks '
        f"{lacks[0]}."
    )
    refused = await place.asked(caller, "POST", f"{BASE}/post-no")
    assert (refused.status_code, refused.json()["message"]) == (403, text)
    assert refused.json()["attributes"] == {"missingPrivileges": lacks[0].split(", ")}
    shown = (await place.asked(caller, "GET", f"{BASE}/post-no")).json()
    assert (shown["hasRequiredPrivileges"], shown["warnings"]) == (False, [])
    body: dict[str, Any] = {"indices": [{"index": "post-no"}, {"index": "post-yes"}]}
    watcher = place.user("post-watcher", cluster="monitor")
    plan = (await place.asked(watcher, "POST", "/api/v1/plan", body)).json()["indices"]
    assert [one["missingPrivileges"][0] for one in plan] == ["manage on the cluster"] * 2
    posted = (await place.asked(caller, "POST", "/api/v1/batches", body)).json()
    assert [one["code"] for one in posted["refused"]] == ["caller_lacks_privileges"] * 2
    block = await place.asked(
        caller,
        "POST",
        "/api/upgrade_assistant/update_index/post-no",
        {"operations": ["blockWrite"]},
    )
    assert (block.status_code, "lacks manage on post-no" in block.text) == (403, True)
    assert es.blocks("post-no") == {}

    aliases = ("alias-of-post-no", "alias-of-post-yes")
    caller = place.user("poster", all_on("post-yes", f"{target}-yes", *aliases))
    await place.service.client.post("/api/v1/pace/stop", auth=OPS)
    names = {"indexNames": ["post-no", "post-yes"]}
    batch = (await place.asked(caller, "POST", f"{BASE}/batch", names)).json()
    assert [one["indexName"] for one in batch["enqueued"]] == ["post-yes"]
    assert batch["errors"] == [{"indexName": "post-no", "message": text}]
    bodies = [json.loads(one.body) for one in place.questions_of(caller) if one.body]
    (asked,) = [body for body in bodies if body["cluster"] == ["manage"]][-1:]
    everything = ["post-no", f"{target}-no", aliases[0], "post-yes", f"{target}-yes", aliases[1]]
    assert asked["index"] == [
        {"names": everything, "privileges": ["all"], "allow_restricted_indices": True}
    ]


async def test_what_goes_on_or_back_takes_the_privileges_again_and_what_stops_does_not(
    place: Place,
) -> None:
    es, service = place.es, place.service
    filled(es, "steered", 3)
    own = [all_on("steered", "reindexed-v8-steered")]
    caller = place.user("steerer")
    await place.service.client.post("/api/v1/pace/stop", auth=OPS)
    body = {"indices": [{"index": "steered"}], "keepOldIndex": True}
    posted = (await service.client.post("/api/v1/batches", json=body, auth=OPS)).json()
    (operation,) = posted["operations"]
    one = f"{LIST}/{operation['id']}"
    whole = f"/api/v1/batches/{operation['batchId']}"
    lacks = "the login that asked lacks all on steered, all on reindexed-v8-steered"

    async def refused(*paths: str, body: Any = None) -> None:
        for path in paths:
            answer = await place.asked(caller, "POST", path, body)
            assert (answer.status_code, lacks in answer.text) == (403, True), (path, answer.text)

    async def refused_in_batch(action: str) -> None:
        answer = await place.asked(caller, "POST", f"{whole}/{action}")
        (entry,) = answer.json()["operations"]
        assert (answer.status_code, lacks in str(entry)) == (200, True), answer.text

    assert (await place.asked(caller, "POST", f"{one}/pause")).status_code == 200
    await refused(f"{one}/resume", f"{BASE}/steered")
    await refused_in_batch("resume")
    place.user("steerer", *own)
    assert (await place.asked(caller, "POST", f"{one}/resume")).status_code == 200
    place.user("steerer")
    assert (await place.asked(caller, "POST", f"{one}/cancel")).status_code == 200
    await refused(f"{one}/retry")
    await refused_in_batch("retry")
    place.user("steerer", *own)
    again = (await place.asked(caller, "POST", f"{one}/retry")).json()
    await service.client.post("/api/v1/pace/go-on", auth=OPS)
    ours = basic(*OPS)

    async def is_in_state(state: str) -> None:
        async def reached() -> bool:
            shown = await place.asked(ours, "GET", f"{LIST}/{again['id']}")
            return shown.json()["state"] == state

        await eventually(reached, f"it is {state}", 60)

    await is_in_state("completed")
    place.user("steerer")
    back = f"{LIST}/{again['id']}/rollback"
    await refused(back)
    await refused(back, body={"force": True})
    place.user("steerer", *own)
    assert (await place.asked(caller, "POST", back)).status_code == 200
    await is_in_state("rolledBack")


async def test_who_may_read_an_index_may_be_told_of_its_documents(place: Place) -> None:
    place.user("reader", {"names": ["read-me"], "privileges": ["read"]}, cluster="monitor")
    desk = place.service.parts.callers
    caller = await desk.principal(basic("reader")["authorization"])
    assert await desk.readable(caller, ["read-me", "not-me"]) == {"read-me"}
    assert await desk.readable(caller, []) == frozenset()
    assert "authorization" not in repr(caller)
    assert WORD not in repr(caller)


async def test_nothing_of_a_callers_login_is_stored_or_logged(
    place: Place, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    filled(place.es, "silent", 3)
    place.user("silent", all_on("silent", "reindexed-v8-silent"))
    encoded = place.login.key_of("silent")
    secrets = [encoded, base64.b64decode(encoded).decode().partition(":")[2], WORD]
    for headers in (basic("silent"), {"authorization": f"ApiKey {encoded}"}):
        await place.asked(headers, "POST", f"{BASE}/silent")
        await place.asked(headers, "GET", LIST)
    await place.asked(basic("silent", "a-wrong-password"), "GET", LIST)
    place.service.client.auth = OPS
    await place.service.completed("silent")
    stored = all_of(tmp_path)
    assert b"default/default_native/silent" in stored
    sent = basic("silent")["authorization"].partition(" ")[2]
    for secret in (*secrets, sent, "a-wrong-password"):
        assert secret.encode() not in stored
        assert secret not in caplog.text


async def test_credentials_go_to_the_cluster_that_is_named_and_to_no_other(
    secured: ElasticsearchServer, tmp_path: Path
) -> None:
    async with Relay(secured.url) as near, Relay(secured.url) as far:
        clusters = {
            name: Settings(**settings_of(relay.url, secured, tmp_path), reindex_cluster_id=name)
            for name, relay in (("near", near), ("far", far))
        }
        with Elastic(secured.url, secured.auth) as es:
            Login(es, near, tmp_path).may("traveller", cluster=("monitor",))
        async with running_sites(clusters) as sites:
            sent = basic("traveller")["authorization"]
            caller = await sites.of("near").callers.principal(sent)
            with pytest.raises(LoginRefused):
                await sites.of("near").callers.principal(basic("traveller", "no")["authorization"])
            assert (caller.name, caller.clusters) == (
                "near/default_native/traveller",
                frozenset({"near"}),
            )
        own = {one.headers["authorization"] for one in far.seen}
        assert own <= {basic(*(secured.auth or ("", "")))["authorization"]}
        assert sent in {one.headers["authorization"] for one in near.seen}


def away(relay: Relay) -> None:
    relay.refuse()


def slow(relay: Relay) -> None:
    relay.hold("GET", "_authenticate", times=None)


def page(relay: Relay) -> None:
    relay.answer("GET", "_authenticate", 200, "<html><title>Sign in</title></html>", times=None)


def login_of_proxy(relay: Relay) -> None:
    relay.answer(
        "GET", "_authenticate", 401, "no", {"www-authenticate": "Basic realm=corp"}, times=None
    )


def off(relay: Relay) -> None:
    error = "no handler found for uri [/_security/_authenticate] and method [GET]"
    relay.answer("GET", "_authenticate", 400, {"error": error}, times=None)


@pytest.mark.parametrize(
    ("trouble", "said"),
    [
        (away, "Elasticsearch cannot be reached"),
        (slow, "did not answer in time"),
        (page, "a web page (“Sign in”) came"),
        (login_of_proxy, "a proxy that wants a login of its own"),
        (off, "security is not enabled on the cluster default"),
    ],
)
async def test_a_cluster_that_cannot_say_who_it_is_lets_nobody_in_and_our_own_logins_do(
    place: Place, trouble: Callable[[Relay], None], said: str
) -> None:
    caller = place.user("unlucky", cluster="monitor")
    token = await place.service.client.post(
        "/api/v1/tokens", json={"name": "ci", "role": "viewer"}, auth=OPS
    )
    trouble(place.relay)
    answer = await place.asked(caller, "GET", LIST)
    assert (answer.status_code, said in answer.json()["message"]) == (503, True), answer.text
    assert (await place.service.client.get(LIST, auth=OPS)).status_code == 200
    ours = {"authorization": f"Bearer {token.json()['secret']}"}
    assert (await place.asked(ours, "GET", LIST)).status_code == 200
    if trouble is not away:
        place.relay.clear()
        return
    place.relay.accept()

    async def back() -> bool:
        return (await place.asked(caller, "GET", LIST)).status_code == 200

    await eventually(back, "the caller is let in again")
