"""Webhooks on the command line: made, shown, tested, switched, rotated, deleted."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from tests.cli.process import Result, run
from tests.e2e.process import ServiceProcess
from tests.receiver import BROKEN, PATH, receiving


async def test_the_life_of_one(tmp_path: Path) -> None:
    async with receiving(tmp_path) as receiver:
        settings = {
            "ELASTICSEARCH_HOSTS": "http://127.0.0.1:9",
            "REINDEX_SECRET_KEYS": Fernet.generate_key().decode(),
            "REINDEX_WEBHOOK_ALLOW": "127.0.0.1",
            "SSL_CERT_FILE": str(receiver.authorities),
        }
        async with ServiceProcess(settings) as service:

            async def webhook(*arguments: str, code: int = 0, stdin: bytes = b"") -> Result:
                done = await run("webhook", *arguments, url=service.url, stdin=stdin)
                assert done.code == code, done.err + done.out
                return done

            assert "There is no webhook yet." in (await webhook("list")).out
            address = f"{receiver.url()}\n".encode()
            made = await webhook("create", "chat", "-", "--kind", "failed", stdin=address)
            assert made.lines[0].split() == ["webhook", "chat"]
            assert "Keep the secret now: it is not shown again." in made.lines
            refused = await webhook("create", "other", "https://127.0.0.2/x", code=1)
            assert "127.0.0.2 is not public" in refused.err
            assert "answered with 204" in (await webhook("test", "chat")).out
            receiver.answer = BROKEN
            failed = await webhook("test", "chat", code=1)
            assert failed.out == "The test was not delivered. It answers with 503.\n"
            off = await webhook("off", "chat")
            assert [line.split() for line in off.lines][3] == ["state", "off"]
            rotated = json.loads((await webhook("rotate", "chat", "-o", "json")).out)
            assert rotated["secret"].startswith("whsec_")
            assert rotated["secret"] not in made.out
            await webhook("on", "chat")
            shown = await webhook("show", "chat")
            assert "sent up to event 0" in shown.out
            listed = await webhook("list")
            assert listed.lines[1].split()[:4] == [
                "chat",
                "on",
                f"localhost:{receiver.port}",
                "failed",
            ]
            for output in (made, shown, listed, off):
                assert PATH not in output.out
            assert "is deleted" in (await webhook("delete", "chat")).out
            gone = await webhook("show", "chat", code=1)
            assert "There is no webhook chat." in gone.err
            assert PATH not in service.log


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("create", "Chat", "https://hooks.example"), "a webhook's name must be of a-z"),
        (("create", "chat", ""), "url: "),
        (("create", "chat", "https://hooks.example", "--kind", "x"), "there is no such kind"),
        (("show", ""), "The name is empty"),
    ],
)
async def test_what_cannot_be_is_refused_before_anything_is_asked(
    arguments: tuple[str, ...], said: str
) -> None:
    done = await run("webhook", *arguments, url="http://127.0.0.1:9")
    assert (done.code, said in done.err) == (2, True), done.err


async def test_a_request_is_written_with_curl() -> None:
    done = await run("webhook", "off", "chat", "--curl", url="http://127.0.0.1:9")
    assert "-X PATCH" in done.out
    assert "http://127.0.0.1:9/api/v1/webhooks/chat" in done.out
