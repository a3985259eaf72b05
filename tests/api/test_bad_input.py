"""Bad input: each a clear answer with the right code, one log line, and nothing changed."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from tests.api.conftest import Logged
from tests.elasticsearch import Elastic
from tests.service import BASE, Service, running_service

BATCH = f"{BASE}/batch"
JSON = {"content-type": "application/json"}

QUICK = {"settings": {"number_of_replicas": 0}}

WRONG_BODIES: dict[str, tuple[bytes, str]] = {
    "not JSON": (b"{indexNames:[]}", "[request body]: not valid JSON"),
    "cut off": (b'{"indexNames":["a"', "[request body]: not valid JSON"),
    "not UTF-8": (b'{"indexNames":["\xff"]}', "[request body]: not valid JSON"),
    "nested without end": (b"[" * 100_000, "[request body]: not valid JSON"),
    "no body": (b"", "[request body]: expected value of type [object] but got [undefined]"),
    "an array": (b'["a"]', "[request body]: expected value of type [object] but got [array]"),
    "a string": (b'"a"', "[request body]: expected value of type [object] but got [string]"),
    "null": (b"null", "[request body]: expected value of type [object] but got [null]"),
    "a number": (b"1", "[request body]: expected value of type [object] but got [number]"),
    "no names": (b"{}", "[request body.indexNames]: expected value of type [array] but got [undef"),
    "names null": (
        b'{"indexNames":null}',
        "[request body.indexNames]: expected value of type [array] but got [null]",
    ),
    "names a string": (
        b'{"indexNames":"a"}',
        "[request body.indexNames]: expected value of type [array] but got [string]",
    ),
    "names an object": (
        b'{"indexNames":{"0":"a"}}',
        "[request body.indexNames]: expected value of type [array] but got [object]",
    ),
    "a number among the names": (
        b'{"indexNames":["real",1]}',
        "[request body.indexNames.1]: expected value of type [string] but got [number]",
    ),
    "null among the names": (
        b'{"indexNames":[null]}',
        "[request body.indexNames.0]: expected value of type [string] but got [null]",
    ),
    "true among the names": (
        b'{"indexNames":[true]}',
        "[request body.indexNames.0]: expected value of type [string] but got [boolean]",
    ),
    "an array among the names": (
        b'{"indexNames":[["real"]]}',
        "[request body.indexNames.0]: expected value of type [string] but got [array]",
    ),
    "an unknown key": (
        b'{"indexNames":["real"],"deleteOldIndex":true}',
        "[request body.deleteOldIndex]: definition for this key is missing",
    ),
    "another spelling": (b'{"index_names":["real"]}', "[request body.index"),
    "half a character": (
        b'{"indexNames":["real","\\ud800"]}',
        "[request body.indexNames.1]: the string is not valid Unicode",
    ),
    "10,001 names": (
        json.dumps({"indexNames": ["real"] * 10_001}).encode(),
        "[request body.indexNames]: array size is [10001], but cannot be greater than [10000]",
    ),
}

WRONG_NAMES: dict[str, str] = {
    "": "it is empty",
    ".": "means something else",
    "..": "means something else",
    "_all": "means something else",
    "a*": "must not contain *",
    "a,b": "must not contain ,",
    "a/b": "must not contain /",
    "a?b": "must not contain ?",
    "<logs-{now/d}>": "must not contain",
    "Real": "must be lower case",
    "-real": "must not start with",
    "a\nb": "does not exist",
    "a\x00b": "it contains NUL",
    "x" * 300: "longer than 255 bytes",
    "é" * 128: "longer than 255 bytes",
    "%2f": "does not exist",
    "unknown": "does not exist in this cluster",
}


def check_envelope(answer: httpx.Response, status: int, said: str) -> None:
    body = answer.json()
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/json"
    assert set(body) - {"attributes"} == {"statusCode", "error", "message"}
    assert ("attributes" in body) == ("adequate privileges" in body["message"])
    assert body["statusCode"] == status
    assert body["error"] == httpx.codes(status).name.replace("_", " ").title()
    assert said in body["message"], body["message"]


async def nothing_changed(service: Service, es: Elastic, indices: set[str]) -> None:
    assert es.indices() == indices
    assert all(es.blocks(index) == {} for index in indices)
    assert await service.queue() == []
    assert await service.parts.store.events.after(0) == []


async def test_a_body_of_the_wrong_shape_is_refused_whole(
    service: Service, es: Elastic, logged: Logged
) -> None:
    es.put("/real")
    for case, (body, said) in WRONG_BODIES.items():
        with logged() as lines:
            answer = await service.client.post(BATCH, content=body, headers=JSON)
        check_envelope(answer, 400, said)
        assert len(answer.content) < 1_000, case
        (line,) = lines
        assert (line["event"], line["status"]) == ("request_refused", 400), case
        assert said[:30] in line["reason"], case
    await nothing_changed(service, es, {"real"})


@pytest.mark.parametrize("kind", [None, "text/plain", "application/x-www-form-urlencoded"])
async def test_a_body_of_another_content_type_is_refused_with_the_remedy(
    service: Service, es: Elastic, logged: Logged, kind: str | None
) -> None:
    es.put("/real")
    with logged() as lines:
        answer = await service.client.post(
            BATCH,
            content=b'{"indexNames":["real"]}',
            headers={"content-type": kind} if kind else {},
        )
    check_envelope(answer, 415, "application/json")
    assert len(lines) == 1
    await nothing_changed(service, es, {"real"})


async def test_a_json_content_type_with_a_charset_is_taken(service: Service) -> None:
    headers = {"content-type": "application/json; charset=utf-8"}
    answer = await service.client.post(BATCH, content=b'{"indexNames":[]}', headers=headers)
    assert answer.json() == {"enqueued": [], "errors": []}


async def test_bad_names_in_a_batch_are_told_one_by_one(
    service: Service, es: Elastic, logged: Logged
) -> None:
    es.put("/real", {"aliases": {"alias": {}}})
    names = [*WRONG_NAMES, "alias"]
    body = json.dumps({"indexNames": names}).encode()
    with logged() as lines:
        answer = await service.client.post(BATCH, content=body, headers=JSON)
    assert answer.status_code == 200, answer.text
    assert answer.json()["enqueued"] == []
    errors: list[dict[str, Any]] = answer.json()["errors"]
    assert [set(error) for error in errors] == [{"indexName", "message"}] * len(names)
    for name, error in zip(names, errors, strict=True):
        assert error["indexName"] == name
        said = WRONG_NAMES.get(name, "alias is an alias of real, not an index")
        assert said in error["message"], error
    (line,) = lines
    assert (line["event"], line["queued"], line["refused"]) == ("batch_queued", 0, len(names))
    assert es.indices() == {"real"}
    assert es.blocks("real") == {}
    assert await service.queue() == []


PATHS = [name for name in WRONG_NAMES if name]


async def test_bad_names_in_a_path_are_refused(
    service: Service, es: Elastic, logged: Logged
) -> None:
    es.put("/real", {"aliases": {"alias": {}}})
    for name in PATHS:
        with logged() as lines:
            answer = await service.client.post(f"{BASE}/{quoted(name)}")
        code = 404 if "exist" in WRONG_NAMES[name] or "/" in name else 400
        check_envelope(answer, code, "no route" if "/" in name else WRONG_NAMES[name])
        assert len(lines) == 1, name
    check_envelope(await service.client.post(f"{BASE}/alias"), 400, "alias of real")
    await nothing_changed(service, es, {"real"})


async def test_bad_names_are_refused_by_status_and_cancel_too(
    service: Service, logged: Logged
) -> None:
    for name in ("..", "_all", "a*", "a,b", "Real", "x" * 300, "a\x00b"):
        for method, path in (("GET", ""), ("POST", "/cancel")):
            with logged() as lines:
                answer = await service.client.request(method, f"{BASE}/{quoted(name)}{path}")
            check_envelope(answer, 400, WRONG_NAMES[name])
            assert len(lines) == 1, name


async def test_the_name_of_a_batch_route_stays_a_route(service: Service, es: Elastic) -> None:
    es.put("/batch")
    check_envelope(await service.client.post(f"{BASE}/batch"), 400, "[request body]")
    assert (await service.client.get(f"{BASE}/batch/queue")).json() == {"queue": []}


@pytest.mark.parametrize(
    ("method", "path", "status", "said"),
    [
        ("GET", "/nowhere", 404, "/docs lists the routes"),
        ("GET", BASE, 405, "/docs lists the routes"),
        ("GET", f"{BASE}/", 404, "/docs lists the routes"),
        ("GET", f"{BASE}/a/", 404, "/docs lists the routes"),
        ("POST", f"{BASE}/a%2fb", 404, "/docs lists the routes"),
        ("POST", f"{BASE}/a/cancel/b", 404, "/docs lists the routes"),
        ("DELETE", f"{BASE}/a", 405, "/docs lists the routes"),
        ("PUT", BATCH, 405, "/docs lists the routes"),
        ("POST", f"{BASE}/batch/queue", 405, "/docs lists the routes"),
        ("GET", f"{BASE}/a/cancel", 405, "/docs lists the routes"),
    ],
)
async def test_an_unknown_route_or_method_is_told_where_the_routes_are(
    service: Service, logged: Logged, method: str, path: str, status: int, said: str
) -> None:
    with logged() as lines:
        answer = await service.client.request(method, path)
    check_envelope(answer, status, said)
    assert (status == 405) == ("allow" in answer.headers)
    assert len(lines) == 1


async def test_a_405_names_every_method_of_the_path(service: Service) -> None:
    for method, path, allowed in (
        ("PATCH", f"{BASE}/a", "GET, POST"),
        ("DELETE", "/s/space" + BASE + "/a", "GET, POST"),
        ("PUT", f"{BASE}/batch/queue", "GET"),
        ("POST", "/docs", "GET"),
    ):
        answer = await service.client.request(method, path)
        assert (answer.status_code, answer.headers["allow"]) == (405, allowed), path


async def test_options_names_every_method_of_the_path_and_needs_no_login(
    elasticsearch_url: str, sqlite_url: str, logged: Logged
) -> None:
    guard = {"server_username": "ops", "server_password": "word-of-ops-83"}
    async with running_service(elasticsearch_url, sqlite_url, **guard) as service:
        with logged() as lines:
            for path, allowed in (
                ("/", {"GET"}),
                ("/healthz", {"GET"}),
                ("/readyz", {"GET"}),
                ("/docs", {"GET"}),
                (f"{BASE}/a", {"GET", "POST"}),
                ("/s/space" + BATCH, {"POST"}),
                ("/api/v1/operations", {"GET"}),
            ):
                answer = await service.client.options(path)
                assert answer.status_code == 204, path
                assert {*allowed, "OPTIONS"} <= set(answer.headers["allow"].split(", ")), path
        assert lines == []
        check_envelope(await service.client.options("/nowhere"), 404, "/docs lists the routes")


async def test_a_repeated_name_is_queued_once_and_told_once(service: Service, es: Elastic) -> None:
    es.put("/a")
    es.put("/b")
    answer = await service.post_batch("a", "b", "a")
    assert [operation["indexName"] for operation in answer["enqueued"]] == ["a", "b"]
    assert answer["errors"] == [
        {"indexName": "a", "message": "A reindex operation already in-progress for a"}
    ]
    await service.completed("a", "b")


async def test_one_odd_name_never_spoils_the_others_of_its_chunk(
    service: Service, es: Elastic
) -> None:
    es.put("/sealed", QUICK)
    es.put("/sealed/_settings", {"index.blocks.metadata": True, "index.blocks.read": True})
    es.put("/closed", QUICK)
    es.post("/closed/_close")
    es.put(f"/{'x' * 250}", QUICK)
    es.put("/good", {**QUICK, "aliases": {"alias": {}}})
    odd = ["%2f", "日本", "a&b", "..", "alias", "sealed", "x" * 250, "closed", "é" * 110, "good"]
    names = [f"unknown-{n}" for n in range(990)]
    for n, name in enumerate(odd):
        names.insert(n * 90 + 7, name)
    answer = await service.post_batch(*names)
    queued = [operation["indexName"] for operation in answer["enqueued"]]
    assert queued == ["sealed", "closed", "good"]
    told = {error["indexName"]: error["message"] for error in answer["errors"]}
    assert list(told) == [name for name in names if name not in queued]
    assert "would be longer than 255 bytes" in told["x" * 250]
    assert "alias of good" in told["alias"]
    await service.completed(*queued)


def quoted(name: str) -> str:
    """As a client that quotes everything sends it; dots are kept from being resolved."""
    return quote(name, safe="").replace(".", "%2E")
