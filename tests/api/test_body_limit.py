"""A body that is too large is refused before it fills the memory."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import AsyncIterator, Callable

import pytest

from app.api.errors import MOST_BYTES
from tests.api.conftest import Logged
from tests.api.test_bad_input import JSON, check_envelope, nothing_changed
from tests.e2e.process import ServiceProcess
from tests.elasticsearch import Elastic
from tests.service import BASE, Service

BATCH = f"{BASE}/batch"
SAID = "larger than 8 MiB. Send several batches"


async def in_parts(content: bytes, size: int = 2**20) -> AsyncIterator[bytes]:
    """Sent so, a body does not tell its length beforehand."""
    for start in range(0, len(content), size):
        yield content[start : start + size]


def padded(length: int) -> bytes:
    body = b'{"indexNames":["real"]}'
    return body + b" " * (length - len(body))


async def test_a_body_that_is_too_large_is_refused_with_the_remedy(
    service: Service, es: Elastic, logged: Logged
) -> None:
    es.put("/real")
    large = padded(MOST_BYTES + 1)
    for content in (large, in_parts(large)):
        with logged() as lines:
            answer = await service.client.post(BATCH, content=content, headers=JSON)
        check_envelope(answer, 413, SAID)
        (line,) = lines
        assert (line["event"], line["status"]) == ("request_refused", 413)
    check_envelope(await service.client.post(f"{BASE}/real", content=large), 413, SAID)
    await nothing_changed(service, es, {"real"})


async def test_a_body_of_just_the_limit_is_taken(service: Service, es: Elastic) -> None:
    es.put("/real", {"settings": {"number_of_replicas": 0}})
    for content in (padded(MOST_BYTES), in_parts(padded(MOST_BYTES))):
        answer = await service.client.post(BATCH, content=content, headers=JSON)
        assert answer.status_code == 200, answer.text
        await service.completed("real")


async def test_ten_thousand_of_the_longest_names_are_taken_however_json_spells_them(
    service: Service,
) -> None:
    names = [f"{n:05}" + "é" * 125 for n in range(10_000)]
    assert {len(name.encode()) for name in names} == {255}
    spelled = json.dumps({"indexNames": names}).encode()
    assert 0.9 < len(spelled) / MOST_BYTES < 1
    answer = await service.client.post(BATCH, content=spelled, headers=JSON)
    assert answer.status_code == 200, answer.text
    assert [error["indexName"] for error in answer.json()["errors"]] == names


def deflated(content: bytes) -> bytes:
    return zlib.compress(content)


def in_two_members(content: bytes) -> bytes:
    half = len(content) // 2
    return gzip.compress(content[:half]) + gzip.compress(content[half:])


@pytest.mark.parametrize(
    ("encoding", "packed"),
    [
        ("gzip", gzip.compress),
        ("GZIP", gzip.compress),
        ("x-gzip", in_two_members),
        ("deflate", deflated),
        ("identity", bytes),
    ],
)
async def test_a_packed_body_is_understood(
    service: Service, es: Elastic, encoding: str, packed: Callable[[bytes], bytes]
) -> None:
    es.put("/real", {"settings": {"number_of_replicas": 0}})
    body = packed(json.dumps({"indexNames": ["real"]}).encode())
    headers = {**JSON, "content-encoding": encoding}
    for content in (body, in_parts(body, 7)):
        answer = await service.client.post(BATCH, content=content, headers=headers)
        assert answer.status_code == 200, answer.text
        await service.completed("real")


async def test_of_a_packed_body_the_unpacked_bytes_count(service: Service, es: Elastic) -> None:
    es.put("/real")
    headers = {**JSON, "content-encoding": "gzip"}
    just = gzip.compress(padded(MOST_BYTES))
    assert (await service.client.post(BATCH, content=just, headers=headers)).status_code == 200
    await service.completed("real")
    for bomb in (
        gzip.compress(padded(MOST_BYTES + 1)),
        gzip.compress(bytes(2**28)),
        gzip.compress(bytes(2**20)) * 300,
    ):
        for content in (bomb, in_parts(bomb, 2**10)):
            answer = await service.client.post(BATCH, content=content, headers=headers)
            check_envelope(answer, 413, SAID)


async def test_a_packed_body_that_cannot_be_unpacked_is_told(service: Service) -> None:
    packed = gzip.compress(b'{"indexNames":["real"]}')
    for encoding, content in (
        ("gzip", packed[:-4]),
        ("gzip", b'{"indexNames":["real"]}'),
        ("deflate", packed[4:]),
    ):
        headers = {**JSON, "content-encoding": encoding}
        answer = await service.client.post(BATCH, content=content, headers=headers)
        check_envelope(answer, 400, "content-encoding")
    headers = {**JSON, "content-encoding": "br"}
    answer = await service.client.post(BATCH, content=packed, headers=headers)
    check_envelope(answer, 415, "gzip or deflate")


async def test_a_client_that_is_still_sending_gets_the_answer_too(es: Elastic) -> None:
    """Over a real connection, where the rest of the body meets a closed door."""
    large = padded(4 * MOST_BYTES)
    async with ServiceProcess({"ELASTICSEARCH_HOSTS": es.url}) as service:
        for content in (large, in_parts(large)):
            answer = await service.client.post(BATCH, content=content, headers=JSON)
            check_envelope(answer, 413, SAID)
        assert await service.api.queue() == []
