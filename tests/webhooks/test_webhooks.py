"""Webhooks of a whole service, sent to a real receiver over TLS."""

from __future__ import annotations

import logging
import resource
from datetime import timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet

from app import lookups
from app.domain import clock
from app.webhooks.delivery import MOST_READ
from testbed.silent import SilentHost
from tests.conditions import eventually
from tests.receiver import BROKEN, OK, PATH, Receiver, receiving
from tests.store.database import execute
from tests.webhooks.hooks import WEBHOOKS, running


def of_service(database_url: str) -> list[tuple[Any, ...]]:
    query = "SELECT what, text FROM event WHERE cluster_id = '_service' ORDER BY number"
    return execute(database_url, query)


def secrets_in(database_url: str) -> str:
    """All that is stored, as text."""
    tables = ("webhook", "webhook_place", "event")
    return "".join(str(execute(database_url, f"SELECT * FROM {table}")) for table in tables)


# --- made, sent, changed, deleted


async def test_events_are_sent_in_order_with_what_they_are_about_and_no_more(
    receiver: Receiver, database_url: str
) -> None:
    async with running(database_url) as hooks:
        await hooks.events(3)
        made = (await hooks.made(receiver.url()))["webhook"]
        assert (made["host"], made["on"], made["kinds"]) == (
            f"localhost:{receiver.port}",
            True,
            None,
        )
        assert made["places"][0]["number"] == 3
        await hooks.events(12)
        await receiver.has(12)
        assert receiver.numbers == list(range(4, 16))
        first = receiver.received[0]
        at = first.json.pop("at")
        assert {**first.json, "at": at} == {
            "number": 4,
            "kind": "pace changed",
            "at": first.json["at"],
            "cluster": "default",
            "job": None,
            "class": None,
            "sentence": None,
        }
        assert first.headers["content-type"] == "application/json"
        assert first.headers["webhook-id"].startswith(f"{made['id']}:default:4:")
        assert len({one.headers["webhook-id"] for one in receiver.received}) == 12

        async def saved() -> bool:
            return (await hooks.place())["number"] == 15

        await eventually(saved, "the place is saved")
        assert (await hooks.place())["deliveredAt"] is not None


async def test_nothing_of_the_address_or_the_key_is_shown_logged_or_stored(
    receiver: Receiver, database_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    async with running(database_url) as hooks:
        first = await hooks.made(receiver.url())
        rotated = await hooks.change(rotateSecret=True)
        moved = await hooks.change(url=receiver.url("127.0.0.1"))
        assert moved["secret"] is None
        await hooks.test()
        receiver.answer = BROKEN
        await hooks.test()
        shown = (await hooks.client.get(WEBHOOKS)).text + str(await hooks.shown())
        refused = await hooks.create("https://elsewhere.example" + PATH, "other")
        deleted = await hooks.client.delete(f"{WEBHOOKS}/{first['webhook']['id']}")
        assert deleted.status_code == 200
    everything = secrets_in(database_url) + caplog.text + shown + refused.text + deleted.text
    assert "webhook_tested" in everything
    for secret in (PATH, first["secret"], rotated["secret"]):
        assert secret.removeprefix("whsec_")[:20] not in everything


async def test_each_change_is_an_event_of_the_service(
    receiver: Receiver, database_url: str
) -> None:
    async with running(database_url) as hooks:
        made = (await hooks.made(receiver.url(), kinds=["failed"]))["webhook"]
        changed = await hooks.change(made["id"], on=False, kinds=None)
        assert (changed["webhook"]["on"], changed["webhook"]["kinds"]) == (False, None)
        assert (await hooks.change())["secret"] is None  # nothing is asked for: no event
        assert (await hooks.client.delete(f"{WEBHOOKS}/chat")).json()["id"] == made["id"]
        for method, path in (("GET", ""), ("PATCH", ""), ("DELETE", ""), ("POST", "/test")):
            gone = await hooks.client.request(method, f"{WEBHOOKS}/chat{path}", json={})
            assert (gone.status_code, gone.json()["message"]) == (404, "There is no webhook chat.")
    assert of_service(database_url) == [
        ("webhook created", "chat"),
        ("webhook changed", "chat"),
        ("webhook deleted", "chat"),
    ]
    assert execute(database_url, "SELECT * FROM webhook_place") == []


async def test_a_name_is_given_once_and_their_number_is_bounded(
    receiver: Receiver, sqlite_url: str
) -> None:
    async with running(sqlite_url) as hooks:
        for number in range(20):
            await hooks.made(receiver.url(), f"chat-{number}")
        again = await hooks.create(receiver.url(), "chat-3")
        assert (again.status_code, "a webhook chat-3 already" in again.text) == (409, True)
        more = await hooks.create(receiver.url(), "chat-20")
        assert (more.status_code, "There are 20 webhooks" in more.text) == (409, True)
        assert len((await hooks.client.get(WEBHOOKS)).json()["webhooks"]) == 20


async def test_only_the_kinds_that_are_wanted_are_sent(receiver: Receiver, sqlite_url: str) -> None:
    async with running(sqlite_url) as hooks:
        await hooks.made(receiver.url(), kinds=["everything stopped", "everything goes on"])
        for _ in range(2):
            await hooks.events(2)
            assert (await hooks.client.post("/api/v1/pace/stop")).status_code == 200
            assert (await hooks.client.post("/api/v1/pace/go-on")).status_code == 200
        await receiver.has(4)
        assert receiver.numbers == [3, 4, 7, 8]
        assert (await hooks.place())["skipped"] == 0
        unknown = await hooks.create(receiver.url(), "other", kinds=["everything"])
        assert (unknown.status_code, unknown.json()["error"]) == (400, "Bad Request")


async def test_one_that_was_off_goes_on_where_it_stopped(
    receiver: Receiver, sqlite_url: str
) -> None:
    async with running(sqlite_url) as hooks:
        await hooks.made(receiver.url())
        await hooks.change(on=False)
        await hooks.events(2)
        assert (await hooks.test())["delivered"]  # one that is off can be tested
        assert [one.json["kind"] for one in receiver.received] == ["test"]
        await hooks.change(on=True)
        await receiver.has(3)
        assert receiver.numbers == [None, 1, 2]


# --- what is refused


@pytest.mark.parametrize(
    ("url", "allowed", "why"),
    [
        ("https://hooks.example/x", "", "the list of what is allowed is empty"),
        ("http://localhost/x", "127.0.0.1", "is not in the list of what is allowed (with http"),
        ("https://localhost/x", "*", "localhost leads to 127.0.0.1, which is not public"),
        ("https://127.0.0.1/x", "*", "is not public"),
        ("https://[::ffff:7f00:1]/x", "*", "is not public"),
        ("https://2130706433/x", "*", "no IPv4 address of four decimal numbers"),
        ("https://169.254.169.254/x", "0.0.0.0/0", "is never allowed"),
        ("https://localhost:8443/x", "127.0.0.1:443", "is not in the list"),
        ("https://me:word@localhost/x", "127.0.0.1", "has a login in it"),
        ("https://nowhere.invalid/x", "*", "nowhere.invalid cannot be resolved"),
        ("ftp://localhost/x", "127.0.0.1", "Write a full address"),
    ],
)
async def test_an_address_that_is_not_allowed_is_refused_and_nothing_is_made(
    sqlite_url: str, url: str, allowed: str, why: str
) -> None:
    async with running(sqlite_url, reindex_webhook_allow=allowed) as hooks:
        answer = await hooks.create(url)
        assert (answer.status_code, why in answer.text) == (400, True), answer.text
        assert (await hooks.client.get(WEBHOOKS)).json() == {"webhooks": []}
    assert of_service(sqlite_url) == []


async def test_a_name_is_judged_anew_by_what_it_leads_to_at_each_delivery(
    receiver: Receiver, sqlite_url: str
) -> None:
    leads_to = ["93.184.215.14"]
    async with running(sqlite_url, reindex_webhook_allow="*") as hooks:
        hooks.courier.lookups = lookups.Lookups(lambda _: [ip_address(one) for one in leads_to])
        await hooks.made(f"https://hooks.example:{receiver.port}{PATH}")
        leads_to[:] = ["93.184.215.14", "127.0.0.1"]
        tested = await hooks.test()
        assert tested["delivered"] is False
        assert "leads to 127.0.0.1, which is not public" in tested["reason"]
        await hooks.events(1)
        await hooks.troubled("leads to 127.0.0.1, which is not public")
        assert receiver.connections == 0


async def test_a_connection_goes_to_the_address_that_was_judged(
    receiver: Receiver, sqlite_url: str
) -> None:
    """The name is resolved once, by us: nothing else could lead it elsewhere."""
    asked: list[str] = []

    def lookup(host: str) -> list[Any]:
        asked.append(host)
        return [ip_address("127.0.0.1")]

    async with running(sqlite_url, reindex_webhook_allow="hooks.example, 127.0.0.1") as hooks:
        hooks.courier.lookups = lookups.Lookups(lookup)
        await hooks.made(f"https://hooks.example:{receiver.port}{PATH}")
        assert await hooks.test() == {"delivered": True, "status": 204, "reason": None}
    assert asked == ["hooks.example"] * 2
    assert receiver.received[0].headers["host"] == f"hooks.example:{receiver.port}"


async def test_http_is_sent_only_where_the_list_names_it(
    receiver: Receiver, sqlite_url: str
) -> None:
    async with running(sqlite_url, reindex_webhook_allow="http://127.0.0.1") as hooks:
        refused = await hooks.create(receiver.url())
        assert refused.status_code == 400
        with SilentHost(accepts=True) as host:
            await hooks.made(f"{host.url}/x")


@pytest.mark.parametrize("keys", [None, "wrong"])
async def test_without_a_key_nothing_is_made_and_the_reason_is_said(
    receiver: Receiver, sqlite_url: str, keys: str | None
) -> None:
    async with running(sqlite_url, reindex_secret_keys=keys) as hooks:
        answer = await hooks.create(receiver.url())
        assert answer.status_code == 400
        assert "REINDEX_SECRET_KEYS" in answer.json()["message"]
        assert (await hooks.client.get(WEBHOOKS)).json() == {"webhooks": []}
    assert of_service(sqlite_url) == []


async def test_with_other_keys_it_holds_says_so_and_everything_else_works(
    receiver: Receiver, sqlite_url: str
) -> None:
    keys = Fernet.generate_key().decode()
    async with running(sqlite_url, reindex_secret_keys=keys) as hooks:
        await hooks.made(receiver.url())
    async with running(sqlite_url) as hooks:
        await hooks.events(1)
        place = await hooks.troubled("opened by none of the keys of REINDEX_SECRET_KEYS")
        assert place["failingSince"] is None
        refused = await hooks.client.post(f"{WEBHOOKS}/chat/test")
        assert (refused.status_code, "opened by none" in refused.text) == (400, True)
        await hooks.events(1)
    assert receiver.received == []
    async with running(sqlite_url, reindex_secret_keys=keys) as hooks:
        await receiver.has(2)
        await hooks.fine()
    assert receiver.numbers == [1, 2]


# --- receivers that misbehave


@pytest.mark.parametrize(
    ("answer", "status", "why"),
    [
        (BROKEN, 503, "It answers with 503."),
        (
            b"HTTP/1.1 302 Found\r\nlocation: https://127.0.0.1:9/\r\ncontent-length: 0\r\n\r\n",
            302,
            "It answers with a redirect (302), which is not followed.",
        ),
        (
            b"HTTP/1.1 308 Permanent Redirect\r\nlocation: /other\r\ncontent-length: 0\r\n\r\n",
            308,
            "It answers with a redirect (308), which is not followed.",
        ),
        (b"220 smtp.example ESMTP\r\n", None, "without an answer that can be read"),
        (b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 5_000, None, "without an answer that can be read"),
        (b"HTTP/1.1 200 OK\r\nx: " + b"y" * 100_000, None, "without an answer that can be read"),
    ],
)
async def test_an_answer_that_is_no_success_is_told_and_followed_nowhere(
    receiver: Receiver, sqlite_url: str, answer: bytes, status: int | None, why: str
) -> None:
    receiver.answer = answer
    async with running(sqlite_url) as hooks:
        await hooks.made(receiver.url())
        tested = await hooks.test()
        assert (tested["delivered"], tested["status"]) == (False, status)
        assert why in tested["reason"]
        assert receiver.connections == 1
        await hooks.events(1)
        assert (await hooks.troubled(why))["failingSince"] is not None
        receiver.answer = OK
        await receiver.has(3)
        await hooks.fine()
        assert {one.json["number"] for one in receiver.received[1:]} == {1}


async def test_of_an_endless_answer_no_more_is_read_than_is_allowed(
    receiver: Receiver, sqlite_url: str
) -> None:
    receiver.answer, receiver.endless = b"HTTP/1.1 200 OK\r\n\r\n", True
    async with running(sqlite_url) as hooks:
        await hooks.made(receiver.url())
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        for _ in range(5):
            assert (await hooks.test())["delivered"]
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 16 * 1024  # kB
    assert MOST_READ < receiver.taken < 5 * 16 * 2**20


async def test_a_host_that_never_answers_delays_no_other_and_no_request(
    receiver: Receiver, sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.webhooks.delivery.DELIVERY_SECONDS", 2.0)
    async with running(sqlite_url) as hooks:
        with SilentHost(accepts=True) as silent, SilentHost(accepts=False) as off:
            await hooks.made(silent.url.replace("http:", "https:"), "silent")
            await hooks.made(off.url.replace("http:", "https:"), "off")
            await hooks.made(receiver.url())
            await hooks.events(5)

            async def all_there() -> bool:
                return list(dict.fromkeys(receiver.numbers)) == [1, 2, 3, 4, 5]

            await eventually(all_there, lambda: f"five events: {receiver.numbers}")
            for name in ("silent", "off"):
                place = await hooks.troubled("It did not answer within 2 s.", name)
                assert place["number"] == 0
            assert (await hooks.test("silent"))["reason"] == "It did not answer within 2 s."
        assert hooks.app.state.sites.of().worker.report.at_work


async def test_a_certificate_of_another_name_or_authority_is_not_trusted(
    tmp_path: Path, sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = Fernet.generate_key().decode()
    async with receiving(tmp_path, "other.example") as receiver:
        async with running(sqlite_url, reindex_secret_keys=keys) as hooks:
            await hooks.made(receiver.url())
            assert "Its certificate is not trusted" in (await hooks.test())["reason"]
        monkeypatch.setenv("SSL_CERT_FILE", str(receiver.authorities))
        async with running(sqlite_url, reindex_secret_keys=keys) as hooks:
            assert "Hostname mismatch" in (await hooks.test())["reason"]
        assert receiver.received == []


async def test_a_proxy_of_the_environment_is_not_used(
    receiver: Receiver, sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    async with running(sqlite_url) as hooks:
        await hooks.made(receiver.url())
        assert (await hooks.test())["delivered"]


# --- switched off, pruned


async def test_it_is_switched_off_after_a_day_without_a_success(
    receiver: Receiver, database_url: str
) -> None:
    receiver.answer = BROKEN
    async with running(database_url) as hooks:
        await hooks.made(receiver.url())
        await hooks.events(1)
        await hooks.troubled("It answers with 503.")
        assert (await hooks.shown())["on"]
        then = (clock.now() - timedelta(hours=24, seconds=1)).strftime("%Y-%m-%d %H:%M:%S")
        execute(database_url, f"UPDATE webhook_place SET failing_since = '{then}'")

        async def off() -> bool:
            return not (await hooks.shown())["on"]

        await eventually(off, "it is switched off")
        shown = await hooks.shown()
        assert shown["offReason"] == (
            "Nothing was delivered for 1d00h. The last try: It answers with 503."
        )
        assert of_service(database_url)[-1] == ("webhook switched off", "chat")
        receiver.answer = OK
        seen = len(receiver.received)
        assert (await hooks.change(on=True))["webhook"]["offReason"] is None
        await receiver.has(seen + 1)
        await hooks.fine()
        assert receiver.received[-1].json["number"] == 1
        assert (await hooks.shown())["on"]


async def test_what_was_pruned_before_its_turn_is_counted_and_passed_over(
    receiver: Receiver, database_url: str
) -> None:
    async with running(database_url) as hooks:
        await hooks.made(receiver.url())
        await hooks.change(on=False)
        await hooks.events(6)
        execute(
            database_url, "DELETE FROM event WHERE cluster_id = 'default' AND number IN (1, 2, 4)"
        )
        await hooks.change(on=True)
        await receiver.has(3)
        assert receiver.numbers == [3, 5, 6]

        async def told() -> bool:
            return (await hooks.place())["skipped"] == 3

        await eventually(told, "what was passed over is counted")
