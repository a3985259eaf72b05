"""Lifecycle policies around a whole operation. The test servers lack the module, so the relay plays
its one setting: it takes it out of what is sent, and shows it where it was set."""

from __future__ import annotations

import json
from typing import Any

import pytest
from aiohttp import web

from testbed.relay import Relay, Seen
from tests.elasticsearch import Elastic
from tests.service import Service
from tests.upgrades.midway import filled
from tests.upgrades.portrait import contents
from tests.upgrades.test_keep import kept

POLICY, ORIGIN = "index.lifecycle.name", "index.lifecycle.origination_date"
TARGET = "reindexed-v8-plain"
ROLLED_OVER = 1_600_000_000_000
JSON = {"x-elastic-product": "Elasticsearch"}


class Policies:
    """`of`: the policy of each index; `sent`: what the service has asked for, by the request."""

    def __init__(self, relay: Relay, **of: str | None) -> None:
        self.of = {index.replace("_", "-"): policy for index, policy in of.items()}
        self.sent: list[tuple[str, Any]] = []
        self._relay = relay
        relay.when("GET", "^/_cluster/state/metadata/", self._show, None)
        relay.when("POST", "^/_create_from/|/_clone/", self._make, None)
        relay.when("PUT", "/_settings", self._set, None)

    async def _show(self, request: Seen) -> web.Response:
        return await self._relay.forward_changed(request, self._add)

    def _add(self, body: dict[str, Any]) -> None:
        for name, entry in body.get("metadata", {}).get("indices", {}).items():
            if policy := self.of.get(name):
                entry["settings"][POLICY] = policy
            if name == "plain":
                entry["rollover_info"] = {"logs": {"met_conditions": {}, "time": ROLLED_OVER}}

    async def _make(self, request: Seen) -> web.Response:
        body = json.loads(request.body)
        settings = body.get("settings_override") or body["settings"]
        return await self._without(request, body, settings)

    async def _set(self, request: Seen) -> web.Response:
        body = json.loads(request.body)
        if POLICY in body:
            self.of[request.path.split("/")[1]] = body[POLICY]
        return await self._without(request, body, body)

    async def _without(self, request: Seen, body: Any, settings: dict[str, Any]) -> web.Response:
        if POLICY in settings:
            self.sent.append((request.path.partition("?")[0], settings.pop(POLICY)))
        return await self._relay.forward(request._replace(body=json.dumps(body).encode()))


async def test_lifecycle_policy_is_off_while_it_is_copied_and_on_afterwards(
    relayed: Service, relay: Relay, es: Elastic
) -> None:
    filled(es, "plain")
    documents = contents(es, "plain")
    policies = Policies(relay, plain="keep-a-year")
    await relayed.post_batch("plain")
    await relayed.completed("plain")
    create = f"/_create_from/plain/{TARGET}"
    assert policies.sent == [(create, None), (f"/{TARGET}/_settings", "keep-a-year")]
    assert es.settings(TARGET)[ORIGIN] == str(ROLLED_OVER)
    assert contents(es, "plain") == documents


async def test_lifecycle_policy_of_a_template_is_taken_off_the_new_index(
    relayed: Service, relay: Relay, es: Elastic
) -> None:
    filled(es, "plain")
    policies = Policies(relay, reindexed_v8_plain="delete-soon")
    await relayed.post_batch("plain")
    await relayed.completed("plain")
    assert policies.sent == [(f"/{TARGET}/_settings", None)]
    assert ORIGIN not in es.settings(TARGET)


@pytest.mark.parametrize("policy", ["keep-a-year", None])
async def test_lifecycle_policy_does_not_go_with_the_kept_copy_but_comes_back_with_it(
    relayed: Service, relay: Relay, es: Elastic, policy: str | None
) -> None:
    filled(es, "plain")
    policies = Policies(relay, plain=policy)
    operation = await kept(relayed, "plain")
    copy = operation["keptCopy"]["index"]
    clone = (f"/plain/_clone/{copy}", None)
    assert (clone in policies.sent) is (policy is not None)
    policies.of.pop("plain")
    await relayed.roll_back(operation["id"])
    assert await relayed.state_of(operation["id"], "rolledBack", "completed") == "rolledBack"
    put_back = [value for path, value in policies.sent if path == f"/{copy}/_settings"]
    assert put_back == ([policy] if policy else [])
    assert es.indices() == {copy}
