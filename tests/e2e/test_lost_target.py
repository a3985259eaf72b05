"""A target whose only primary is lost for good, on a server whose shard files were removed."""

from __future__ import annotations

import shutil

import pytest

from testbed.elasticsearch import ElasticsearchServer
from testbed.relay import Relay
from tests.conditions import eventually
from tests.elasticsearch import Elastic
from tests.service import Service, running_service
from tests.upgrades.midway import crawl, filled
from tests.upgrades.portrait import contents, made_anew

ALONE = {"number_of_replicas": 0}
NAMES = ("whole", "broken")


def remove_shards(server: ElasticsearchServer, *uuids: str) -> None:
    """Removes the shard files of these indices from the stopped server's disk."""
    for uuid in uuids:
        (folder,) = server.data.glob(f"**/indices/{uuid}")
        shutil.rmtree(folder / "0")


def uuid_of(es: Elastic, index: str) -> str:
    return es.settings(index)["index.uuid"]


async def told(service: Service, name: str, what: str) -> list[str]:
    """The texts of the events of that kind."""
    return [event.text for event in await service.events(name) if event.what == what]


@pytest.mark.timeout(300)
async def test_a_lost_target_is_copied_again_but_only_from_an_intact_source(
    elasticsearch_server: ElasticsearchServer, relay: Relay, es: Elastic, sqlite_url: str
) -> None:
    """Both are started by name, so that they run side by side; of one the source is lost, too."""
    for name in NAMES:
        filled(es, name, 1000, settings=ALONE)
    before = contents(es, "whole"), made_anew(es, "whole")
    crawl(relay, copies=2)
    settings = {"reindex_batch_documents": 1, "reindex_lost_target_seconds": 2.0}
    async with running_service(relay.url, sqlite_url, **settings) as service:
        for name in NAMES:
            path = f"/api/upgrade_assistant/reindex/{name}"
            assert (await service.client.post(path)).status_code == 200

        async def both_run() -> bool:
            return len(es.copy_tasks()) == 2

        await eventually(both_run, "both are being copied")
        targets = [uuid_of(es, f"reindexed-v8-{name}") for name in NAMES]
        lost = [*targets, uuid_of(es, "broken")]
        elasticsearch_server.kill()
        remove_shards(elasticsearch_server, *lost)
        elasticsearch_server.start(status="red")
        await service.holds("broken", "broken is not intact either", 60)
        await service.completed("whole")
        (why,) = await told(service, "whole", "copy begins anew")
        assert why.startswith("Primary 0 of reindexed-v8-whole is lost (")
        waits = [text for text in await told(service, "whole", "holds") if text.startswith(why)]
        assert waits == [f"{why} If it is not back within 2s, the copy begins anew."]
        assert await told(service, "broken", "copy begins anew") == []
        assert uuid_of(es, "reindexed-v8-broken") == targets[1]
        assert uuid_of(es, "reindexed-v8-whole") != targets[0]
    assert (contents(es, "whole"), made_anew(es, "reindexed-v8-whole")) == before
