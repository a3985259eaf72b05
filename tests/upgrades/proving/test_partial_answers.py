"""An answer of only some shards proves nothing, whichever part of the proof it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from aiohttp import web

from testbed.relay import Relay, Seen
from tests.elasticsearch import Elastic
from tests.service import running_service
from tests.upgrades.midway import filled
from tests.upgrades.portrait import contents

Spoil = Callable[[dict[str, Any]], None]
TARGET = "reindexed-v8-plain"


def one_failed(answer: dict[str, Any]) -> None:
    answer["_shards"]["failed"] = 1


def one_silent(answer: dict[str, Any]) -> None:
    answer["_shards"]["successful"] -= 1


def one_unknown(answer: dict[str, Any]) -> None:
    """As many have answered as were asked, but the index has more."""
    answer["_shards"]["total"] -= 1
    answer["_shards"]["successful"] -= 1


def one_away(answer: dict[str, Any]) -> None:
    """`_stats` leaves out a shard without a word."""
    for index in answer.get("indices", {}).values():
        index["shards"].pop("1", None)


SEARCH, COUNT = ("POST", "/_search"), ("GET", "/_count")
REFRESH, STATS = ("POST", "/_refresh"), ("GET", "/_stats/docs")
PARTIAL: dict[str, tuple[tuple[str, str], Spoil]] = {
    "search, failed": (SEARCH, one_failed),
    "search, silent": (SEARCH, one_silent),
    "search, unknown": (SEARCH, one_unknown),
    "count, failed": (COUNT, one_failed),
    "count, silent": (COUNT, one_silent),
    "count, unknown": (COUNT, one_unknown),
    "refresh, failed": (REFRESH, one_failed),
    "refresh, silent": (REFRESH, one_silent),
    "stats, away": (STATS, one_away),
}


@pytest.mark.parametrize("index", [pytest.param("plain", marks=pytest.mark.wide), TARGET])
@pytest.mark.parametrize("part", PARTIAL)
async def test_partial_answers_in_a_proof_are_waited_over(
    relay: Relay, es: Elastic, sqlite_url: str, part: str, index: str
) -> None:
    filled(es, "plain", 30, settings={"number_of_shards": 2, "number_of_replicas": 0})
    documents = contents(es, "plain")
    (method, path), spoil = PARTIAL[part]
    said = f"not every shard of {index} answers"
    if part in ("search, failed", "count, failed"):  # the request itself takes notice
        said = f"A shard of {index} does not answer searches now"
    partial = True

    async def answered(request: Seen) -> web.Response:
        copied = any(seen.path.startswith("/_reindex") for seen in relay.seen)
        if partial and copied:
            return await relay.forward_changed(request, spoil)
        return await relay.forward(request)

    relay.when(method, f"^/{index}{path}", answered, None)
    settings = {"reindex_proof": "count" if path == COUNT[1] else "sample"}
    async with running_service(relay.url, sqlite_url, **settings) as service:
        await service.post_batch("plain")
        await service.holds("plain", said)
        assert es.indices() == {"plain", TARGET}
        partial = False
        await service.completed("plain")
    assert contents(es, "plain") == documents
