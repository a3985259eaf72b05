"""Starting, running and stopping the service as a process."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import trustme

from app.settings import Settings
from testbed.postgres import PostgresServer
from testbed.relay import Relay
from tests.conditions import eventually
from tests.e2e.killable import forked
from tests.e2e.process import ServiceProcess, free_port
from tests.elasticsearch import Elastic
from tests.service import BASE

SLOWLY = {"REINDEX_BATCH_DOCUMENTS": "1"}
"""One document at a time: an index of some thousands is being copied for seconds."""


@asynccontextmanager
async def not_started(**environment: str) -> AsyncGenerator[ServiceProcess]:
    service = ServiceProcess({"ELASTICSEARCH_HOSTS": "http://127.0.0.1:1", **environment})
    try:
        yield service
    finally:
        await service.close()


async def refused(service: ServiceProcess) -> tuple[int, list[str]]:
    """Starts a service that must give up at once: its exit code and its lines."""
    service.spawn()
    code = await service.ended()
    assert "Traceback" not in service.log
    return code, service.log.splitlines()


async def copying(service: ServiceProcess, name: str) -> None:
    async def has_task() -> bool:
        return (await service.api.operation(name))["reindexTaskId"] is not None

    await eventually(has_task, f"{name} is being copied")


async def readiness(service: ServiceProcess) -> tuple[int, dict[str, Any]]:
    answer = await service.client.get("/readyz")
    return answer.status_code, answer.json()


# --- stopping


async def test_a_stop_in_the_middle_of_a_copy_is_clean_and_the_next_start_goes_on(
    es: Elastic,
) -> None:
    es.put("/large", {"settings": {"number_of_replicas": 0}})
    es.bulk("large", [{"n": n} for n in range(3000)])
    before = es.documents("large")
    async with ServiceProcess({"ELASTICSEARCH_HOSTS": es.url, **SLOWLY}) as service:
        await service.api.post_batch("large")
        await copying(service, "large")
        task = (await service.api.operation("large"))["reindexTaskId"]

        assert await service.terminate() == 0
        assert "Traceback" not in service.log
        assert es.indices() == {"large", "reindexed-v8-large"}

        await service.start()
        await service.api.completed("large")
        assert (await service.api.operation("large"))["reindexTaskId"] == task
    assert es.indices() == {"reindexed-v8-large"}
    assert es.documents("large") == before


@pytest.mark.parametrize("sent", ["half a body", "half a head", "nothing"])
async def test_a_stop_with_a_half_sent_request_is_clean(es: Elastic, sent: str) -> None:
    head = f"POST {BASE}/batch HTTP/1.1\r\nhost: here\r\ncontent-type: application/json\r\n"
    whole = f"{head}content-length: 100\r\n\r\n{{"
    texts = {"half a body": whole, "half a head": head, "nothing": ""}
    async with ServiceProcess({"ELASTICSEARCH_HOSTS": es.url}) as service:
        reader, writer = await asyncio.open_connection("127.0.0.1", service.port)
        writer.write(texts[sent].encode())
        await writer.drain()
        assert (await service.client.get("/healthz")).status_code == 200  # it has what was sent
        assert await service.terminate() == 0
        assert "Traceback" not in service.log
        answer = await reader.read()
        assert answer == b"" or b"Send it again later" in answer
        writer.close()


async def test_idle_connections_are_kept_for_longer_than_proxies_keep_them(es: Elastic) -> None:
    """Of the default only that it is longer than a proxy's 60 s is known without waiting for it."""
    assert Settings().server_keepalivetimeout > 60_000
    short = {"ELASTICSEARCH_HOSTS": es.url, "SERVER_KEEPALIVETIMEOUT": "1000"}
    async with ServiceProcess(short) as service:
        reader, writer = await asyncio.open_connection("127.0.0.1", service.port)
        writer.write(b"GET /healthz HTTP/1.1\r\nhost: here\r\n\r\n")
        assert b"200 OK" in await reader.readuntil(b"\r\n\r\n")
        await asyncio.wait_for(reader.read(), 30)
        writer.close()


async def test_an_idle_service_stops_with_exit_code_0(es: Elastic) -> None:
    async with ServiceProcess({"ELASTICSEARCH_HOSTS": es.url}) as service:
        assert await service.terminate() == 0


# --- working


async def test_an_idle_worker_is_woken_by_a_post(es: Elastic) -> None:
    """It would not look by itself for an hour."""
    environment = {"ELASTICSEARCH_HOSTS": es.url, "REINDEX_TEST_IDLE": "3600"}
    async with ServiceProcess(environment, launch=forked) as service:
        for name in ("first", "second", "third"):
            es.put(f"/{name}")

            async def idle() -> bool:
                return (await readiness(service))[1]["worker"]["state"] == "idle"

            await eventually(idle, "the worker is idle")
            await service.api.post_batch(name)
            await service.api.completed(name)


async def test_a_service_whose_elasticsearch_is_away_is_up_and_says_so() -> None:
    async with not_started() as service:
        await service.start()

        status, body = await readiness(service)
        assert status == 200
        assert body["ready"] is True
        assert "cannot be reached" in body["elasticsearch"]

        answer = await service.client.post(f"{BASE}/batch", json={"indexNames": ["one"]})
        assert answer.status_code == 503
        assert "Elasticsearch cannot be reached" in answer.json()["message"]
        assert await service.api.queue() == []
        assert (await service.client.get(f"{BASE}/one")).status_code == 503
        assert "Traceback" not in service.log


async def test_an_operation_waits_for_an_elasticsearch_that_is_away_at_the_start(
    es: Elastic, relay: Relay
) -> None:
    es.put("/one")
    es.bulk("one", [{"n": n} for n in range(3000)])
    async with ServiceProcess({"ELASTICSEARCH_HOSTS": relay.url, **SLOWLY}) as service:
        await service.api.post_batch("one")
        await copying(service, "one")
        service.kill()
        relay.refuse()
        await service.start()

        async def holds() -> bool:
            return "operation_holds" in service.log

        await eventually(holds, "the worker waits for Elasticsearch")
        relay.accept()
        await service.api.completed("one")
    assert es.indices() == {"reindexed-v8-one"}


async def test_a_database_that_goes_away_makes_it_unready_until_it_is_back(
    es: Elastic, postgres_server: PostgresServer, postgres_url: str
) -> None:
    es.put("/one")
    environment = {"ELASTICSEARCH_HOSTS": es.url, "DATABASE_URL": postgres_url}
    async with ServiceProcess(environment) as service:
        postgres_server.stop(keep=True)

        async def told() -> bool:
            status, body = await readiness(service)
            restarting = body["worker"]["state"] == "restarting"
            return status == 503 and restarting and "does not answer" in body["database"]

        await eventually(told, "/readyz says that neither database nor worker are well")
        answer = await service.client.post(f"{BASE}/batch", json={"indexNames": ["one"]})
        assert answer.status_code == 503
        assert (await service.client.get("/healthz")).status_code == 200

        postgres_server.start()

        async def ready() -> bool:
            return (await readiness(service))[0] == 200

        await eventually(ready, "it is ready again by itself", seconds=60)
        await service.api.post_batch("one")
        await service.api.completed("one")


# --- not starting


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("ELASTICSEARCH_HOSTS", "localhost"),
        ("SERVER_PORT", "70000"),
        ("REINDEX_WINDOW_DOCUMENTS", "many"),
        ("DATABASE_URL", "mysql://somewhere"),
    ],
)
async def test_a_wrong_setting_is_named_in_one_line(variable: str, value: str) -> None:
    async with not_started(**{variable: value}) as service:
        code, lines = await refused(service)
    assert code == (1 if variable == "DATABASE_URL" else 2)
    assert len(lines) == 1
    assert lines[0].startswith(f"{variable}: ")


async def test_a_taken_port_is_said_and_nothing_else_is_touched(tmp_path: Path) -> None:
    """A service that nobody can reach must not become the worker."""
    with socket.create_server(("127.0.0.1", free_port())) as listener:
        port = listener.getsockname()[1]
        database = tmp_path / "queue.db"
        environment = {"SERVER_PORT": str(port), "DATABASE_URL": f"sqlite:///{database}"}
        async with not_started(**environment) as service:
            code, lines = await refused(service)
    assert code == 1
    assert len(lines) == 1
    assert f"127.0.0.1:{port}" in lines[0]
    assert "in use" in lines[0]
    assert not database.exists()


async def test_a_missing_database_folder_is_named_with_the_remedy(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'nowhere' / 'queue.db'}"
    async with not_started(DATABASE_URL=url) as service:
        code, lines = await refused(service)
    assert code == 1
    assert len(lines) == 1
    assert f"{tmp_path / 'nowhere'} does not exist. Create that folder" in lines[0]


async def test_a_file_that_is_no_database_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("not a database, and longer than a header of one " * 9)
    async with not_started(DATABASE_URL=f"sqlite:///{tmp_path / 'notes.txt'}") as service:
        code, lines = await refused(service)
    assert code == 1
    assert lines == ["DATABASE_URL: The database does not answer: file is not a database"]


async def test_a_secret_of_the_settings_is_in_no_line_of_the_log() -> None:
    """A variable that is unknown is told by its name, which here is a secret, too."""
    given = {"SERVER_APIKEY": "REINDEX_HUNTER2", "REINDEX_HUNTER2": "x", "REINDEX_HUNTER3": "x"}
    async with ServiceProcess({"ELASTICSEARCH_HOSTS": "http://127.0.0.1:9", **given}) as service:
        assert "REINDEX_HUNTER2" not in service.log
        assert "REINDEX_HUNTER3" in service.log
        (line,) = [one for one in service.log.splitlines() if "***" in one]
        assert "unknown_setting" in line


async def test_a_database_server_that_is_away_at_the_start_is_said_without_the_password() -> None:
    async with not_started(
        DATABASE_URL="postgresql://me:secret-of-me@127.0.0.1:1/queue"
    ) as service:
        code, lines = await refused(service)
    assert code == 1
    assert len(lines) == 1
    assert lines[0].startswith("DATABASE_URL: ")
    assert "secret" not in lines[0]


# --- TLS


async def test_a_certificate_of_its_own_makes_it_speak_tls_and_nothing_else(
    es: Elastic, tmp_path: Path
) -> None:
    authority = trustme.CA()
    issued = authority.issue_cert("127.0.0.1")
    certificate, key = tmp_path / "server.pem", tmp_path / "key.pem"
    issued.private_key_pem.write_to_path(str(key))
    certificate.write_bytes(b"".join(pem.bytes() for pem in issued.cert_chain_pems))
    context = ssl.create_default_context(cadata=authority.cert_pem.bytes().decode())
    environment = {
        "ELASTICSEARCH_HOSTS": es.url,
        "SERVER_SSL_CERTIFICATE": str(certificate),
        "SERVER_SSL_KEY": str(key),
    }
    service = ServiceProcess(environment)
    try:
        service.spawn()
        url = service.url.replace("http:", "https:")
        async with httpx.AsyncClient(base_url=url, verify=context, trust_env=False) as client:

            async def ready() -> bool:
                try:
                    return (await client.get("/readyz")).status_code == 200
                except httpx.TransportError:
                    return False

            await eventually(ready, lambda: f"it answers over TLS\n{service.log}", 60)
        with pytest.raises(httpx.TransportError):
            await service.client.get("/readyz")
    finally:
        await service.close()
