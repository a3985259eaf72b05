"""The sender beside the jobs of a term: order and repetition over kills, rotation, and no harm to
the term."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet

from app.domain.addresses import AllowList, Endpoint, IPAddress
from app.domain.errors import HostUnknown
from app.jobs import worker
from app.jobs.term import Term
from app.lookups import Lookups
from app.store.events import Event
from app.webhooks import delivery
from app.webhooks.delivery import Courier
from app.webhooks.sender import Sender, message_id_of
from tests.conditions import eventually
from tests.domain.test_webhook import the_example
from tests.e2e.process import ServiceProcess
from tests.receiver import SILENT, Receiver, receiving
from tests.webhooks.hooks import running


async def events(service: ServiceProcess, times: int) -> None:
    for rate in range(1, times + 1):
        answer = await service.client.put("/api/v1/pace", json={"requestsPerSecond": rate})
        assert answer.status_code == 200, answer.text


async def test_every_event_comes_in_order_over_kills_and_what_was_not_saved_comes_again(
    tmp_path: Path, database_url: str
) -> None:
    async with receiving(tmp_path) as receiver:
        settings = {
            "ELASTICSEARCH_HOSTS": "http://127.0.0.1:9",
            "DATABASE_URL": database_url,
            "REINDEX_LEASE_SECONDS": "2",
            "REINDEX_SECRET_KEYS": Fernet.generate_key().decode(),
            "REINDEX_WEBHOOK_ALLOW": "127.0.0.1",
            "SSL_CERT_FILE": str(receiver.authorities),
        }
        async with ServiceProcess(settings) as service:
            body = {"name": "chat", "url": receiver.url()}
            made = await service.client.post("/api/v1/webhooks", json=body)
            assert made.status_code == 200, made.text
            await events(service, 3)
            await receiver.has(3)
            answer, receiver.answer = receiver.answer, SILENT
            await events(service, 1)
            await receiver.has(4)
            # It was received, and the service does not know it yet.
            service.kill()
            receiver.answer = answer
            await service.start()
            await events(service, 3)

            async def all_there() -> bool:
                return receiver.numbers[-1:] == [7]

            await eventually(all_there, lambda: f"event 7 comes: {receiver.numbers}")
    fourth = [one for one in receiver.received if one.json["number"] == 4]
    assert len(fourth) >= 2
    assert len({one.headers["webhook-id"] for one in fourth}) == 1
    firsts = list(dict.fromkeys(receiver.numbers))
    assert firsts == list(range(1, 8))


async def test_two_secrets_sign_for_a_day_after_a_rotation(
    receiver: Receiver, sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    verified = the_example()
    async with running(sqlite_url) as hooks:
        old = (await hooks.made(receiver.url()))["secret"]
        await hooks.test()
        new = (await hooks.change(rotateSecret=True))["secret"]
        await hooks.test()
        monkeypatch.setattr("app.webhooks.sealed.ROTATION", timedelta(0))
        await hooks.test()
    first, second, third = receiver.received
    assert [verified(first.headers, first.body, key) for key in (old, new)] == [True, False]
    assert [verified(second.headers, second.body, key) for key in (old, new)] == [True, True]
    assert [verified(third.headers, third.body, key) for key in (old, new)] == [False, True]


async def test_a_sender_that_crashes_begins_anew_and_the_term_goes_on(
    receiver: Receiver, sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "COMPANION_RESTS", 0.05)
    run, terms = Sender.run, list[Term]()

    async def crashes_once(self: Sender, term: Any) -> None:
        terms.append(term)
        if len(terms) == 1:
            raise ZeroDivisionError
        await run(self, term)

    monkeypatch.setattr(Sender, "run", crashes_once)
    async with running(sqlite_url) as hooks:
        await hooks.made(receiver.url())
        await hooks.events(2)
        await receiver.has(2)
        assert terms[0] is terms[1]
        assert hooks.app.state.sites.of().worker.report.error is None


async def test_a_stop_waits_for_no_delivery(receiver: Receiver, sqlite_url: str) -> None:
    receiver.answer = SILENT
    async with running(sqlite_url) as hooks:
        await hooks.made(receiver.url())
        await hooks.events(1)
        await receiver.has(1)
        working = hooks.app.state.sites.of().worker
    assert working.report.state == "stopped"


def test_an_id_of_a_message_has_no_dot_and_is_of_one_event() -> None:
    at = datetime(2026, 12, 1, tzinfo=UTC)
    nothing = dict.fromkeys(("job_id", "batch_id", "index_name", "before", "after"))
    event = Event.model_validate(
        {
            "cluster_id": "west",
            "number": 7,
            "at": at,
            "who": "w",
            "what": "failed",
            "text": "",
            **nothing,
        }
    )
    assert message_id_of("hook", "west.1:a,b", event) == "hook:west%2E1%3Aa%2Cb:7:1796083200000"


# --- names that are looked up


async def test_a_name_server_that_is_silent_keeps_one_thread_a_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(delivery, "DELIVERY_SECONDS", 0.05)
    asked: list[str] = []
    answers = threading.Event()

    def slow(host: str) -> list[IPAddress]:
        asked.append(host)
        answers.wait(30)
        return [ip_address("93.184.215.14")]

    courier = Courier(AllowList.parse("*"), Lookups(slow))
    endpoint = Endpoint.parse("https://hooks.example/")
    for _ in range(3):
        with pytest.raises(HostUnknown, match="was not resolved within"):
            await courier.judge(endpoint)
    assert asked == ["hooks.example"]
    answers.set()
    monkeypatch.setattr(delivery, "DELIVERY_SECONDS", 30.0)
    assert await courier.judge(endpoint) == [ip_address("93.184.215.14")]


@pytest.mark.parametrize("fails", [OSError("no such name"), UnicodeError("odd"), None])
async def test_a_name_without_an_address_is_refused(fails: Exception | None) -> None:
    def lookup(_: str) -> list[IPAddress]:
        if fails:
            raise fails
        return []

    lookups = Lookups(lookup)
    with pytest.raises(HostUnknown):
        await lookups.allowed(Endpoint.parse("https://hooks.example/"), AllowList.parse("*"))
