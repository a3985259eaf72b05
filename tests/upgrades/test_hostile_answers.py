"""Answers with values of the wrong kind in the middle of an operation: it holds, and goes on."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from aiohttp import web

from testbed.relay import Relay, Seen
from tests.elasticsearch import Elastic
from tests.service import Service
from tests.upgrades.midway import POLL, filled
from tests.upgrades.portrait import contents

Spoil = Callable[[Any], None]
TARGET = "reindexed-v8-plain"


def settings_as_a_list(answer: Any) -> None:
    answer["metadata"]["indices"]["plain"]["settings"] = []


def shards_as_words(answer: Any) -> None:
    for copies in answer["indices"]["plain"]["shards"].values():
        copies[0]["seq_no"]["max_seq_no"] = "many"


def failures_as_a_sentence(answer: Any) -> None:
    answer["response"]["failures"] = "none at all"


def a_huge_total(answer: Any) -> None:
    answer["hits"]["total"]["value"] = 10**40


def routings_as_lists(answer: Any) -> None:
    for hit in answer["hits"]["hits"]:
        hit["_version"] = [1]


def an_alias_as_a_number(answer: Any) -> None:
    answer["plain"]["aliases"]["also"] = 5


@pytest.mark.parametrize(
    ("method", "path", "spoil"),
    [
        ("GET", "^/_cluster/state/metadata/plain,.*mappings(&|$)", settings_as_a_list),
        ("GET", "^/plain/_stats", shards_as_words),
        ("GET", POLL, failures_as_a_sentence),
        ("POST", "^/plain/_search", a_huge_total),
        ("POST", f"^/{TARGET}/_search", routings_as_lists),
        ("GET", "^/plain/_alias", an_alias_as_a_number),
    ],
)
async def test_a_value_of_the_wrong_kind_is_a_hold_with_one_line_in_the_log(
    relayed: Service,
    relay: Relay,
    es: Elastic,
    caplog: pytest.LogCaptureFixture,
    method: str,
    path: str,
    spoil: Spoil,
) -> None:
    filled(es, "plain", aliases={"also": {}}, settings={"number_of_replicas": 0})
    documents = contents(es, "plain")
    times: list[Spoil] = []

    async def spoilt(request: Seen) -> web.Response:
        answer = await relay.forward(request)
        assert isinstance(answer.body, bytes)
        told = json.loads(answer.body)
        try:
            spoil(told)
        except (KeyError, IndexError):  # not this one
            return answer
        if times:
            return answer
        times.append(spoil)
        return web.json_response(told, headers={"X-Elastic-Product": "Elasticsearch"})

    await relayed.post_batch()  # what is remembered of the surroundings is not spoilt
    relay.when(method, path, spoilt, None)
    await relayed.post_batch("plain")
    await relayed.completed("plain")
    assert times
    holds = [event.text for event in await relayed.events("plain") if event.what == "holds"]
    assert len(holds) == 1
    assert "is not what this service understands" in holds[0]
    assert contents(es, "plain") == documents
    assert caplog.text.count("is not what this service understands") == 1
    assert "Traceback" not in caplog.text
