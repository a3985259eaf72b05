"""The OpenAPI document says what the service does, and nothing that it never does."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import BaseModel

from app import api
from app.api.documenting import ANSWERS, BODIES
from app.main import create_app
from app.settings import Settings
from tests.conditions import eventually
from tests.elasticsearch import Elastic
from tests.service import BASE, Service, running_service

Json = dict[str, Any]

JSON = "application/json"
EXAMPLES = Path(api.__path__[0]) / "examples"
COMMAND = re.compile(r"```sh\n(.*?)```", re.DOTALL)


@pytest.fixture
def document() -> dict[str, Any]:
    return create_app(Settings()).openapi()


def operations(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield f"{method.upper()} {path}", operation


def test_all_routes_are_documented_with_a_summary(document: dict[str, Any]) -> None:
    found = dict(operations(document))
    reindexing = {
        f"{method} {base}{path}"
        for base in (BASE, "/api/reindex_service/reindex")
        for method, path in (
            ("POST", ""),
            ("POST", "/batch"),
            ("GET", "/batch/queue"),
            ("POST", "/{indexName}"),
            ("GET", "/{indexName}"),
            ("POST", "/{indexName}/cancel"),
        )
    }
    update = "POST /api/upgrade_assistant/update_index/{indexName}"
    steering = ("cancel", "pause", "resume", "retry", "rollback")
    own = {
        "POST /api/v1/batches",
        "GET /api/v1/batches/{batchId}",
        "GET /api/v1/operations",
        "GET /api/v1/operations/{operationId}",
        *(f"POST /api/v1/operations/{{operationId}}/{action}" for action in steering),
        *(f"POST /api/v1/batches/{{batchId}}/{action}" for action in steering),
        *(
            f"{method} /api/v1/{owner}pace"
            for owner in ("", "batches/{batchId}/", "operations/{operationId}/")
            for method in ("GET", "PUT", "PATCH")
        ),
        "DELETE /api/v1/pace",
        "POST /api/v1/pace/stop",
        "POST /api/v1/pace/go-on",
        "GET /api/v1/indices",
        "POST /api/v1/plan",
        "GET /api/v1/prune",
        "POST /api/v1/prune",
        "GET /api/v1/events",
        "GET /api/v1/worker",
        "GET /api/v1/doctor",
        "GET /api/v1/session",
        "POST /api/v1/session",
        "DELETE /api/v1/session",
        "POST /api/v1/worker/adopt",
        "POST /api/v1/keys/rotate",
        "GET /api/v1/tokens",
        "POST /api/v1/tokens",
        "DELETE /api/v1/tokens/{tokenName}",
        "GET /api/v1/webhooks",
        "POST /api/v1/webhooks",
        "GET /api/v1/webhooks/{webhookId}",
        "PATCH /api/v1/webhooks/{webhookId}",
        "DELETE /api/v1/webhooks/{webhookId}",
        "POST /api/v1/webhooks/{webhookId}/test",
    }
    health = {"GET /healthz", "GET /readyz", "GET /metrics"}
    assert set(found) == {*reindexing, update, *own, *health}
    assert all(operation["summary"] for operation in found.values())


def test_422_is_nowhere(document: dict[str, Any]) -> None:
    assert all("422" not in operation["responses"] for _, operation in operations(document))
    assert not {"HTTPValidationError", "ValidationError"} & set(document["components"]["schemas"])


def test_every_documented_error_of_the_api_is_the_envelope(document: dict[str, Any]) -> None:
    checked = 0
    for name, operation in operations(document):
        for code, body in operation["responses"].items():
            if code < "400" or (name, code) == ("GET /readyz", "503"):
                continue
            schema = body["content"]["application/json"]["schema"]["$ref"]
            assert schema.rpartition("/")[2] == "ErrorEnvelope", (name, code)
            for example in examples(document, body):
                assert example["statusCode"] == int(code), (name, code)
                assert example["error"] == HTTPStatus(int(code)).phrase
            checked += 1
    assert checked > 50
    envelope = document["components"]["schemas"]["ErrorEnvelope"]
    assert set(envelope["required"]) == {"statusCode", "error", "message"}


def test_every_answer_and_every_body_has_an_example_that_is_one(document: Json) -> None:
    """An answer's example has exactly the keys that the model gives it, nulls included."""
    models = {model.__name__: model for model in all_models(BaseModel)}
    checked: set[str] = set()
    for name, operation in operations(document):
        for code, body in operation["responses"].items():
            for example in examples(document, body):
                model = models[name_of(body)]
                made = model.model_validate(example)
                assert made.model_dump(mode="json", by_alias=True) == example, (name, code)
                checked.add(name_of(body))
            for kind, content in body.get("content", {}).items():
                shown = content.get("example") or examples(document, body, kind)
                assert shown, (name, code, kind)
        if "requestBody" in operation:
            given = examples(document, operation["requestBody"])
            assert given, name
            for example in given:
                made = models[name_of(operation["requestBody"])].model_validate(example)
                unset = made.model_dump(mode="json", by_alias=True, exclude_unset=True)
                assert unset == example, name
    assert {"BatchAnswer", "StatusAnswer", "ReindexOperation", "Readiness"} <= checked


def test_every_example_that_is_kept_is_shown(document: Json) -> None:
    shown = [
        given["content"].get(JSON, {}).get("examples", {})
        for _, operation in operations(document)
        for given in (operation.get("requestBody"), operation["responses"].get("200"))
        if given and "content" in given
    ]
    referred = {example.get("$ref") for given in shown for example in given.values()}
    unready = document["paths"]["/readyz"]["get"]["responses"]["503"]
    referred |= {
        example.get("$ref")
        for example in unready["content"]["application/json"]["examples"].values()
    }
    assert set(document["components"]["examples"]) == ANSWERS.keys()
    assert referred - {None} == {f"#/components/examples/{name}" for name in ANSWERS}
    assert all(bodies in shown for bodies in BODIES.values())  # with their nulls


def test_no_two_files_name_the_same_example() -> None:
    files = [json.loads(file.read_text()) for file in EXAMPLES.glob("*.json")]
    for part, kept in (("bodies", BODIES), ("answers", ANSWERS)):
        assert sorted(name for file in files for name in file[part]) == sorted(kept)


def test_every_route_of_kibanas_that_changes_takes_kbn_xsrf(document: Json) -> None:
    taking: list[str] = []
    for name, operation in operations(document):
        changes, kibanas = not name.startswith("GET "), "/api/v1/" not in name
        parameters = [parameter.get("$ref") for parameter in operation.get("parameters", [])]
        takes = "#/components/parameters/kbn-xsrf" in parameters
        assert takes == (changes and kibanas), name
        assert ("kbn-xsrf" in operation["description"]) == takes, name
        taking += [name] if takes else []
    assert len(taking) == 9


def test_every_route_that_changes_says_what_a_large_body_gets(document: Json) -> None:
    for name, operation in operations(document):
        changes = not name.startswith("GET ")
        assert ("413" in operation["responses"]) == changes, name
        assert "500" in operation["responses"]


def test_where_kbn_xsrf_is_demanded_the_document_says_so() -> None:
    made = create_app(Settings(server_xsrf_disableprotection=False, server_basepath="/kibana"))
    document = made.openapi()
    assert document["components"]["parameters"]["kbn-xsrf"]["required"] is True
    start = document["paths"][f"{BASE}/{{indexName}}"]["post"]
    assert "no_xsrf" in start["responses"]["400"]["content"]["application/json"]["examples"]
    own = document["paths"]["/api/v1/batches"]["post"]
    assert "no_xsrf" not in own["responses"]["400"]["content"]["application/json"]["examples"]
    assert document["servers"] == [{"url": "/kibana"}]
    assert made.openapi() == document


async def test_every_command_of_the_document_is_taken_by_the_service(
    document: Json, service: Service, es: Elastic
) -> None:
    for name, operation in operations(document):
        if "/api/reindex_service/" in name:  # the same once more
            continue
        for index in es.indices():
            es.delete(f"/{index}")
        es.put("/logs-2019", {"settings": {"number_of_replicas": 0}})
        es.put("/logs-2021", {"settings": {"number_of_replicas": 0}})
        (command,) = COMMAND.findall(operation["description"])
        answer = await sent(service, await on_the_newest(service, command))
        if "/api/v1/operations/" in name and not name.startswith("GET "):  # it has ended
            assert answer.status_code in (400, 409), (name, answer.text)
            assert re.search("completed|kept|ended", answer.text)
        elif name.startswith("POST /api/v1/batches/"):
            assert answer.status_code == 200, (name, answer.text)
            assert answer.json()["counts"]["changed"] == 0
        elif "/api/v1/webhooks" in name and name != "GET /api/v1/webhooks":
            assert answer.status_code in (400, 404), (name, answer.text)
            assert re.search("is not allowed: the list|There is no webhook chat", answer.text)
        elif name == "POST /api/v1/worker/adopt":
            assert (answer.status_code, "goes on already" in answer.text) == (409, True)
        elif name == "POST /api/v1/keys/rotate":  # it has no key
            assert "REINDEX_SECRET_KEYS is not set" in answer.text
        elif name.endswith("/cancel"):
            assert "Reindex operation is not in progress" in answer.text
        else:
            assert answer.status_code == 200, (name, answer.text)
        await eventually(lambda: idle(service), f"nothing lives after {name}")


async def on_the_newest(service: Service, command: str) -> str:
    """`command` with the id of an operation that there is."""
    listed = await service.client.get("/api/v1/operations?order=desc&limit=1")
    for newest in listed.json()["operations"]:
        command = re.sub(r"(?<=/operations/)\w+", newest["id"], command)
        command = re.sub(r"(?<=/batches/)\w+", newest["batchId"] or "", command)
    return command


def name_of(body: Json) -> str:
    """The model of a body or an answer."""
    return body["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]


def examples(document: Json, body: Json, kind: str = JSON) -> list[Any]:
    """The values of the examples of a body or an answer."""
    known = document["components"]["examples"]
    shown = body.get("content", {}).get(kind, {}).get("examples", {})
    named = [
        known[example["$ref"].rpartition("/")[2]] if "$ref" in example else example
        for example in shown.values()
    ]
    assert all(example["summary"] for example in named)
    return [example["value"] for example in named]


def all_models(root: type[BaseModel]) -> Iterator[type[BaseModel]]:
    for model in root.__subclasses__():
        if model.__module__.startswith(("app.api", "app.wire")):
            yield model
        yield from all_models(model)


async def sent(service: Service, command: str) -> httpx.Response:
    """Sends what a `curl` command would."""
    words = iter(shlex.split(command.replace("\\\n", "")))
    assert next(words) == "curl"
    method, url, content = "GET", "", None
    headers: dict[str, str] = {}
    for word in words:
        if word == "-X":
            method = next(words)
        elif word == "-H":
            key, _, value = next(words).partition(": ")
            headers[key] = value
        elif word == "-d":
            content = next(words)
        elif word != "-s":
            url = word.removeprefix("http://localhost:5602")
    assert url.startswith("/")
    return await service.client.request(method, url, headers=headers, content=content)


async def idle(service: Service) -> bool:
    return not await service.parts.store.operations.live_names()


def test_names_on_the_wire_are_camel_case(document: dict[str, Any]) -> None:
    for schema in document["components"]["schemas"].values():
        assert not [name for name in schema.get("properties", {}) if "_" in name]


async def test_the_document_is_served(service: Service) -> None:
    answer = await service.client.get("/openapi.json")
    assert answer.status_code == 200
    assert answer.json()["info"]["title"] == "Reindex Queue"


@pytest.mark.parametrize("base", ["", "/kibana"])
async def test_the_page_needs_nothing_but_this_service(
    elasticsearch_url: str, sqlite_url: str, base: str
) -> None:
    async with running_service(elasticsearch_url, sqlite_url, server_basepath=base) as service:
        page = await service.client.get(f"{base}/", follow_redirects=True)
        assert page.url.path == f"{base}/docs"
        assert page.status_code == 200
        assert "://" not in page.text
        files = re.findall(r"""(?:src|href)="(?!data:)([^"]+)"|url: '([^']+)'""", page.text)
        addresses = [file or document for file, document in files]
        assert len(addresses) == 3
        for address in addresses:
            found = await service.client.get(page.url.join(address))
            assert found.status_code == 200, address
        script = await service.client.get(page.url.join(addresses[1]))
        assert "javascript" in script.headers["content-type"]
        assert "SwaggerUIBundle" in script.text
        assert (await service.client.get(f"{base}/redoc")).status_code == 404
