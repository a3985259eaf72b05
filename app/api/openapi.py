"""The API's document: what FastAPI cannot know of the routes, and the page that shows it."""

from __future__ import annotations

import copy
import json
import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from fastapi import FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.routing import iter_route_contexts
from fastapi.security import HTTPBasic, HTTPBearer
from fastapi.security.http import HTTPBase
from fastapi.staticfiles import StaticFiles
from starlette.responses import HTMLResponse, RedirectResponse
from starlette.routing import compile_path

from app.api.access import Needs
from app.api.documenting import ANSWERS, BODIES, Answers, Shown, error_answers
from app.api.door import METRICS, NO_RUN_AS, OPEN, TOO_MANY
from app.api.errors import NO_XSRF
from app.api.logins import Logins
from app.api.middleware import FOREIGN_HOST, KIBANA_PATHS
from app.api.middleware import REFUSED as ANOTHER_SITE
from app.domain.errors import (
    CallerLacksPrivileges,
    LoginForbidden,
    LoginRefused,
    NobodyToAsk,
    NoRole,
    OutOfReach,
    RoleMissing,
)
from app.domain.principal import Role

_FILES = "docs/files"
_NO_ICON = "data:,"
_NARROW = b"""<style>
@media (max-width: 700px) {
  .swagger-ui .opblock-tag { flex-wrap: wrap; }
  .swagger-ui .opblock-tag small { flex-basis: 100%; padding: 0; }
}
</style></head>"""
"""On a narrow screen Swagger UI leaves a letter or two a line to the words beside a heading."""


def install_page(app: FastAPI) -> None:
    """Serves `/docs`. Every address on the page is relative, so that it works below any path."""
    page = get_swagger_ui_html(
        openapi_url="openapi.json",
        title=f"{app.title} API",
        swagger_js_url=f"{_FILES}/swagger-ui-bundle.js",
        swagger_css_url=f"{_FILES}/swagger-ui.css",
        swagger_favicon_url=_NO_ICON,
        swagger_ui_parameters={"defaultModelsExpandDepth": 0, "displayRequestDuration": True},
    )

    body = bytes(page.body).replace(b"</head>", _NARROW)

    @app.get("/docs", include_in_schema=False)
    async def docs() -> HTMLResponse:  # pyright: ignore[reportUnusedFunction] - a route
        return HTMLResponse(body)

    @app.get("/", include_in_schema=False)
    async def start() -> RedirectResponse:  # pyright: ignore[reportUnusedFunction] - a route
        """For a person who opens the address that the service prints."""
        return RedirectResponse("docs")

    app.mount(f"/{_FILES}", StaticFiles(packages=[("fastapi_offline", "static")]))


Json = dict[str, Any]
Roles = Mapping[tuple[str, str], Role]

DESCRIPTION = """\
Rewrites Elasticsearch indices one by one before a major upgrade, on the live cluster, and removes
nothing before the copy is proven complete. It speaks the reindex API of Kibana's Upgrade Assistant:
scripts written for that work unchanged.

**How to use it.** Post the names of the indices as a batch: they are worked off in that order, one
after the other, whatever happens around it. Ask for the status of an index, or for the queue, as
often as you like. Cancel an index at any time before its swap: it is then as it was found.

**Status** of an operation: 0 in progress (also while it waits), 1 completed, 2 failed, 3 paused,
4 cancelled. **Last completed step**: 0 created, 20 read-only, 30 new index created, 40 reindex
started, 50 reindex completed, 55 settings restored, 60 alias created.

**Errors** have one form, `{"statusCode", "error", "message"}`; the message says what to do. A 503
means that it cannot be done now, mostly because Elasticsearch or the database is away: send it
again later. Where the database failed in that moment a batch may have been queued all the same;
with an `Idempotency-Key` it is not queued twice.

Every path below `/api` may have `/s/{space}` before it. `elastic-api-version` is taken and sent
back. Changing requests to Kibana's paths should carry `kbn-xsrf`, with any value, as Kibana wants
it.
"""
TAGS = [
    {
        "name": "Upgrade Assistant",
        "description": "Kibana's own paths. Where a request does not say otherwise, the old index "
        "is removed by the swap and its name becomes an alias of the new one.",
    },
    {
        "name": "Reindex service",
        "description": "The same under the paths of the newer Kibana. Where a request does not say "
        "otherwise, the old index is kept. An index that has an operation already is 409 here.",
    },
    {
        "name": "Batches",
        "description": "Many indices at once, each with its own options, and safe to send again.",
    },
    {
        "name": "Operations",
        "description": "Our own view of the same operations: every state in words, why one waits, "
        "how far it is and how fast it goes.",
    },
    {
        "name": "Events",
        "description": "What has happened, to whom and by whom: page by page, or as it happens.",
    },
    {
        "name": "Pace",
        "description": "How fast copies may go and when, changed while they run; stop everything.",
    },
    {"name": "Planning", "description": "What a batch would do, and what stands in the way."},
    {"name": "History", "description": "How long history stays, and the removal of what is older."},
    {"name": "Worker", "description": "Who works, and what is wrong where nobody does."},
    {"name": "Session", "description": "Who somebody is, and how pages stay logged in."},
    {"name": "Tokens", "description": "What programs log in with, each with a role and limits."},
    {"name": "Webhooks", "description": "Addresses that are told of events."},
    {"name": "Health", "description": "For whoever runs the service: probes and metrics."},
]

_SAFE = ("get", "head", "options")
_METHODS = (*_SAFE, "post", "put", "patch", "delete")
_SHOWN_AT = "http://localhost:5602"


def install_openapi(app: FastAPI, base_path: str, *, xsrf: bool, logins: Logins) -> None:
    """`xsrf`: changing requests must carry `kbn-xsrf`. `logins`: how callers log in, if they do."""
    app.description, app.openapi_tags = DESCRIPTION, [dict(tag) for tag in TAGS]
    app.servers = [{"url": base_path}] if base_path else []
    made = app.openapi
    kept: list[Json] = []

    def finished() -> Json:
        document = made()  # FastAPI keeps it, and answers the same one every time
        if not kept or kept[0] is not document:
            roles = roles_of(app)
            kept[:] = [document, _finished(document, base_path, xsrf, logins, roles)]
        return kept[1]

    # FastAPI's own way to change the document; a type checker takes a method for fixed
    app.openapi = finished  # pyright: ignore[reportAttributeAccessIssue]


def roles_of(app: FastAPI) -> Roles:
    """The role that each route needs, by path and method in small letters; probes need none."""
    roles: dict[tuple[str, str], Role] = {}
    for route in iter_route_contexts(app.routes):
        dependant: Dependant | None = getattr(route, "dependant", None)  # a mount has none
        for one in dependant.dependencies if dependant and route.path not in OPEN else ():
            if isinstance(one.call, Needs):
                found = one.call.role
                roles |= {(str(route.path), name.lower()): found for name in route.methods or ()}
    return roles


def _finished(made: Json, base_path: str, xsrf: bool, logins: Logins, roles: Roles) -> Json:
    document = copy.deepcopy(made)
    _drop_422(document)
    components = document.setdefault("components", {})
    components["examples"] = copy.deepcopy(ANSWERS)
    components["parameters"] = {"kbn-xsrf": _xsrf_parameter(required=xsrf)}
    own = _schemes(logins)
    scraper = {"metrics": _told(_SCRAPER)} if own and logins.metrics_token else {}
    if schemes := own | scraper:
        components["securitySchemes"] = schemes
        document["security"] = [{name: []} for name in own]
    for path, method, operation in _operations(document):
        _restore_nulls(operation)
        changes, of_kibana = method not in _SAFE, path.startswith(KIBANA_PATHS)
        if changes and of_kibana:
            header = {"$ref": "#/components/parameters/kbn-xsrf"}
            operation.setdefault("parameters", []).append(header)
        _add_common_errors(operation, changes=changes, xsrf=xsrf and of_kibana)
        role = roles.get((path, method))
        if role is None:
            operation["security"] = []
        else:
            _add(operation, error_answers(*_refusals(logins)))
            also = ["metrics"] if path == METRICS and "metrics" in schemes else []
            _tell_role(operation, role, [*own, *also])
        command = _curl(path, method, operation, base_path)
        words = operation.get("description", "")
        operation["description"] = f"{words}\n\n```sh\n{command}\n```".strip()
    return document


def _tell_role(operation: Json, role: Role, schemes: Sequence[str]) -> None:
    """In words, and where OpenAPI 3.1 has it: a requirement of any scheme may list roles."""
    words = operation.get("description", "")
    operation["description"] = f"{words}\n\nNeeds the role `{role}`.".strip()
    operation["x-required-role"] = role.value
    if schemes:
        operation["security"] = [{name: [role.value]} for name in schemes]


def _refusals(logins: Logins) -> list[Shown]:
    """What every route but the probes can answer before it looks at the request."""
    if not logins.ways:
        return [Shown(403, "foreign_host", FOREIGN_HOST.format(host="reindex.example"))]
    refused = [
        Shown(401, "unauthorized", logins.remedy),
        Shown(429, "too_many_attempts", TOO_MANY.format(seconds=4)),
    ]
    if logins.tokens:
        refused.append(Shown.of(RoleMissing("token:wallboard", Role.VIEWER, Role.OPERATOR)))
        refused.append(Shown.of(OutOfReach("payments-2019")))
    if logins.elasticsearch:
        refused += _REFUSALS_OF_CLUSTERS
    return refused


_CLUSTER = "default"
_REFUSALS_OF_CLUSTERS = [
    Shown(400, "no_run_as", NO_RUN_AS),
    *(
        Shown.of(error)
        for error in (
            LoginRefused(_CLUSTER),
            NoRole(f"{_CLUSTER}/native/jane", _CLUSTER),
            LoginForbidden(_CLUSTER, "access restricted by workflow"),
            CallerLacksPrivileges("logs-2019", ["all on reindexed-v8-logs-2019"]),
            NobodyToAsk(_CLUSTER),
        )
    ),
]


def methods_at(document: Json, path: str) -> list[str]:
    """What the routes with this path take, all of them together."""
    found = {
        method.upper()
        for pattern, method, _ in _operations(document)
        if compile_path(pattern)[0].match(path)
    }
    return sorted(found)


def _operations(document: Json) -> Iterator[tuple[str, str, Json]]:
    for path, item in document.get("paths", {}).items():
        for method, operation in item.items():
            if method in _METHODS:
                yield path, method, operation


def _drop_422(document: Json) -> None:
    for _, _, operation in _operations(document):
        operation["responses"].pop("422", None)
    schemas = document.get("components", {}).get("schemas", {})
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)


def _restore_nulls(operation: Json) -> None:
    """FastAPI takes them out of the examples of a body (0.165), where they say something."""
    body = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
    shown = {name: one["summary"] for name, one in body.get("examples", {}).items()}
    for kept in BODIES.values():
        if shown == {name: one.get("summary") for name, one in kept.items()}:
            body["examples"] = copy.deepcopy(kept)


_SCRAPER = HTTPBearer(scheme_name="metrics", description="The token of SERVER_METRICS_TOKEN")


def _schemes(logins: Logins) -> Json:
    """The ways to log in that are open."""
    schemes: list[HTTPBase] = [HTTPBasic(scheme_name="basic")] if logins.username else []
    if logins.api_key:
        schemes.append(HTTPBearer(scheme_name="key", description="`ApiKey` will do, too"))
    if logins.tokens:
        schemes.append(HTTPBearer(scheme_name="token", description="A token of the service"))
    if logins.elasticsearch:
        basic = HTTPBasic(scheme_name="clusterUser", description="A user of the cluster")
        words = "An API key (then `ApiKey`) or a token of the cluster"
        schemes += [basic, HTTPBearer(scheme_name="clusterKey", description=words)]
    return {one.scheme_name: _told(one) for one in schemes}


def _told(scheme: HTTPBase) -> Json:
    return scheme.model.model_dump(mode="json", by_alias=True, exclude_none=True)


def _xsrf_parameter(*, required: bool) -> Json:
    return {
        "name": "kbn-xsrf",
        "in": "header",
        "required": required,
        "description": "Any value. Kibana demands it; here "
        + ("it is demanded, too." if required else "it is demanded only where a setting says so."),
        "schema": {"type": "string"},
        "example": "true",
    }


def _add_common_errors(operation: Json, *, changes: bool, xsrf: bool) -> None:
    """What every route can answer, every one that takes a body, and every one that changes."""
    another_site = ANOTHER_SITE.format(page="https://elsewhere.example")
    errors: list[int | Shown] = [500]
    errors += [413] if changes else []
    errors += [415] if "requestBody" in operation else []
    errors += [Shown(400, "no_xsrf", NO_XSRF)] if changes and xsrf else []
    errors += [Shown(403, "another_site", another_site)] if changes else []
    _add(operation, error_answers(*errors))


def _add(operation: Json, answers: Answers) -> None:
    for code, answer in answers.items():
        content = answer["content"]["application/json"]
        known = operation["responses"].setdefault(
            str(code),
            {
                "description": answer["description"],
                "content": {
                    "application/json": {"schema": {"$ref": "#/components/schemas/ErrorEnvelope"}}
                },
            },
        )
        shown = known["content"]["application/json"].setdefault("examples", {})
        shown.update(content["examples"])
    operation["responses"] = dict(sorted(operation["responses"].items()))


def _curl(path: str, method: str, operation: Json, base_path: str) -> str:
    """The operation's first example as a command."""
    for parameter in operation.get("parameters", []):
        if parameter.get("in") == "path":
            value = parameter["schema"].get("examples", [parameter["name"]])[0]
            path = path.replace(f"{{{parameter['name']}}}", quote(str(value), safe=""))
    verb = [] if method == "get" else ["-X", method.upper()]
    lines = [["curl", "-s", *verb, f"{_SHOWN_AT}{base_path}{path}"]]
    if method not in _SAFE and path.startswith(KIBANA_PATHS):
        lines.append(["-H", "kbn-xsrf: true"])
    body = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
    for example in list(body.get("examples", {}).values())[:1]:
        lines.append(["-H", "content-type: application/json"])
        lines.append(["-d", json.dumps(example["value"])])
    return " \\\n  ".join(shlex.join(line) for line in lines)
