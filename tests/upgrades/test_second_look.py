"""Between the marker and the guarded call everything is looked at once more: whoever has put
another index into the place of the victim meanwhile keeps it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from aiohttp import web

from testbed.relay import Relay, Seen
from tests.elasticsearch import Elastic
from tests.service import Service
from tests.store.database import execute
from tests.upgrades.midway import POLL, filled, held_at
from tests.upgrades.portrait import as_found, contents
from tests.upgrades.test_keep import expired
from tests.upgrades.test_rollback import kept

TARGET = "reindexed-v8-plain"
OVER = "UPDATE job SET kept_until = '2020-01-01 00:00:00'"


def after_the_marker(relay: Relay, survivor: str, act: Callable[[], Any]) -> None:
    """Does something once our marker has been put on `survivor`."""

    async def forward_and_act(request: Seen) -> web.Response:
        answer = await relay.forward(request)
        acts, put_on = b'"is_hidden":true', f'"index":"{survivor}"'.encode()
        body = request.body.replace(b" ", b"")
        if not done and acts in body and put_on in body and b"remove_index" not in body:
            done.append(request)
            act()
        return answer

    done: list[Seen] = []
    relay.when("POST", "^/_aliases", forward_and_act, None)


def replaced(es: Elastic, index: str, **body: Any) -> Callable[[], None]:
    """Somebody deletes the index and makes another one of that name."""

    def act() -> None:
        es.delete(f"/{index}")
        filled(es, index, 1, **body)

    return act


def removals(relay: Relay) -> list[bytes]:
    return [seen.body for seen in relay.seen if b"remove_index" in seen.body]


async def test_second_look_of_an_undo_leaves_an_index_that_took_the_targets_place(
    relayed: Service, relay: Relay, es: Elastic
) -> None:
    filled(es, "plain")
    before = as_found(es, "plain")
    released = await held_at(relay, ("GET", POLL), relayed, "plain")
    after_the_marker(relay, "plain", replaced(es, TARGET))
    assert await relayed.cancel("plain") == 200
    released.set()
    assert (await relayed.ended("plain"))["status"] == 4
    assert len(contents(es, TARGET)) == 1
    assert removals(relay) == []
    assert {key: value for key, value in as_found(es, "plain").items() if key in before} == before


def harms(es: Elastic, copy: str) -> dict[str, Callable[[], Any]]:
    """What somebody does to the kept copy or to its guard."""
    return {
        "the copy is another": replaced(es, copy),
        "the name has moved": lambda: es.delete(f"/{TARGET}/_alias/plain"),
    }


@pytest.mark.parametrize("harm", ["the copy is another", "the name has moved"])
async def test_second_look_of_an_expiry_leaves_what_is_not_ours_or_is_needed(
    relayed: Service, relay: Relay, es: Elastic, sqlite_url: str, harm: str
) -> None:
    filled(es, "plain")
    operation = await kept(relayed, "plain")
    copy = operation["keptCopy"]["index"]
    sent = len(removals(relay))
    after_the_marker(relay, TARGET, harms(es, copy)[harm])
    execute(sqlite_url, OVER)
    await relayed.post_batch("wakes the worker")
    await expired(relayed, operation["id"])
    assert copy in es.indices()
    assert len(removals(relay)) == sent
    assert [name for name in es.aliases(TARGET) if name.startswith(".rq-")] == []


async def test_second_look_of_a_rollback_leaves_an_index_that_took_the_targets_place(
    relayed: Service, relay: Relay, es: Elastic
) -> None:
    filled(es, "plain")
    operation = await kept(relayed, "plain")
    sent = len(removals(relay))
    after_the_marker(relay, operation["keptCopy"]["index"], replaced(es, TARGET))
    await relayed.roll_back(operation["id"])
    assert await relayed.state_of(operation["id"], "rolledBack", "completed") == "completed"
    assert len(contents(es, TARGET)) == 1
    assert len(removals(relay)) == sent


def write_to(es: Elastic, copy: str) -> None:
    """A document more in the kept copy, which is left as it was beside."""
    blocks = {"index.blocks.write": None}
    es.put(f"/{copy}/_settings", blocks)
    es.put(f"/{copy}/_doc/late?refresh=true", {"n": 1})
    es.put(f"/{copy}/_block/write")


@pytest.mark.parametrize("when", ["before", "after the marker"])
async def test_second_look_of_a_rollback_refuses_a_kept_copy_that_was_written_to(
    relayed: Service, relay: Relay, es: Elastic, when: str
) -> None:
    """Before, the new index is not even blocked for it; with force it goes back all the same."""
    filled(es, "plain")
    operation = await kept(relayed, "plain")
    copy = operation["keptCopy"]["index"]
    sent = len(removals(relay))
    if when == "before":
        write_to(es, copy)
    else:
        after_the_marker(relay, copy, lambda: write_to(es, copy))
    await relayed.roll_back(operation["id"])
    assert await relayed.state_of(operation["id"], "rolledBack", "completed") == "completed"
    (refused,) = [e for e in await relayed.events("plain") if e.what == "rollback refused"]
    assert f"written to the kept copy {copy}" in refused.text
    assert len(removals(relay)) == sent
    assert es.blocks(TARGET) == {}
    assert es.aliases(copy) == {}
    blocked = [seen for seen in relay.seen if seen.path.startswith(f"/{TARGET}/_block")]
    assert bool(blocked) is (when != "before")
    await relayed.roll_back(operation["id"], force=True)
    assert await relayed.state_of(operation["id"], "rolledBack", "completed") == "rolledBack"
    assert "late" in [document.id for document in contents(es, "plain")]
