"""Several hosts, one of which is silent: requests go to the other, and no change is sent twice."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncGenerator, Awaitable
from contextlib import ExitStack, asynccontextmanager
from typing import Any, TypeVar

import pytest
import trustme

from app.domain.errors import ClusterUnreachable
from app.elastic.cluster import Cluster
from app.elastic.connection import Connection
from app.elastic.hosts import AT_ONCE
from app.elastic.http import Credentials, Tls
from testbed.relay import Relay, Seen
from testbed.silent import SilentHost
from testbed.tls import TlsFront
from tests.conditions import eventually
from tests.elastic.test_connection import CHANGES, A, trouble
from tests.elasticsearch import Elastic

T = TypeVar("T")

ANSWERED_WITHIN = 15.0
PULSE = ("GET", "^/$")
READ = "^/_cluster/state"
DONE = {
    "acknowledged": True,
    "task": "n:1",
    "_shards": {"total": 1, "successful": 1, "failed": 0},
}
"""Good as an answer to any change."""

both_sorts = pytest.mark.parametrize("accepts", [False, True], ids=["drops", "accepts"])
both_places = pytest.mark.parametrize("place", [0, 1], ids=["first", "second"])


@asynccontextmanager
async def asking(*hosts: str, tls: Tls | None = None) -> AsyncGenerator[Cluster]:
    connection = Connection(hosts, Credentials(), tls)
    try:
        yield Cluster.for_worker(connection, lambda: None)
    finally:
        await connection.close()


@asynccontextmanager
async def by_two_relays(url: str) -> AsyncGenerator[tuple[Relay, Relay, Cluster]]:
    async with (
        Relay(url) as first,
        Relay(url) as second,
        asking(first.url, second.url) as cluster,
    ):
        yield first, second, cluster


async def in_time(awaited: Awaitable[T]) -> T:
    return await asyncio.wait_for(awaited, ANSWERED_WITHIN)


def sent(relay: Relay) -> list[Seen]:
    """What it was asked, but for pulses."""
    return [seen for seen in relay.seen if (seen.method, seen.path) != ("GET", "/")]


async def learnt(cluster: Cluster, *relays: Relay) -> None:
    """Asks until every relay has been asked something."""

    async def asked() -> bool:
        await cluster.indices.look(A)
        return all(sent(relay) for relay in relays)

    await eventually(asked, "every host has been asked")


@both_sorts
@both_places
async def test_a_silent_host_is_passed_over_by_reads_and_changes(
    elasticsearch_url: str, es: Elastic, accepts: bool, place: int
) -> None:
    es.put("/a")
    with SilentHost(accepts=accepts) as silent:
        hosts = [elasticsearch_url]
        hosts.insert(place, silent.url)
        async with asking(*hosts) as cluster:
            assert A in await in_time(cluster.indices.look(A))
            await in_time(cluster.indices.block_writes(A))
            for _ in range(4):
                assert A in await in_time(cluster.indices.look(A))
    assert "index.blocks.write" in es.blocks("a")


async def test_many_silent_hosts_are_found_out_together(elasticsearch_url: str) -> None:
    with ExitStack() as stack:
        sorts = (False, True, False, True)
        silent = [stack.enter_context(SilentHost(accepts=accepts)) for accepts in sorts]
        async with asking(*(host.url for host in silent), elasticsearch_url) as cluster:
            assert (await in_time(cluster.nodes.version())).major == 8


@both_sorts
async def test_all_hosts_silent_is_told_with_each_of_them(accepts: bool) -> None:
    with SilentHost(accepts=accepts) as one, SilentHost(accepts=accepts) as other:
        async with asking(one.url, other.url) as cluster:
            for error in (
                await in_time(trouble(cluster.nodes.version())),
                await in_time(trouble(cluster.nodes.version())),
            ):
                assert isinstance(error, ClusterUnreachable)
                assert one.url in error.message
                assert other.url in error.message


async def test_requests_do_not_queue_up_at_a_host_that_does_not_answer(
    elasticsearch_url: str,
) -> None:
    async with by_two_relays(elasticsearch_url) as (silent, well, cluster):
        await learnt(cluster, silent, well)
        released, before = silent.hold("*", "", None), len(sent(silent))
        crowd = [asyncio.create_task(cluster.indices.look(A)) for _ in range(8)]
        await silent.wait_for(*PULSE)  # nobody knows yet that it is not answered
        behind = len(sent(silent))
        assert before < behind
        await in_time(asyncio.gather(*(cluster.indices.look(A) for _ in range(9))))
        await in_time(asyncio.gather(*crowd))
        await in_time(asyncio.gather(*(cluster.indices.look(A) for _ in range(9))))
        assert len(sent(silent)) == behind
        released.set()


async def test_a_host_that_comes_back_is_asked_again(elasticsearch_url: str) -> None:
    async with by_two_relays(elasticsearch_url) as (first, second, cluster):
        for silent, well in ((first, second), (second, first)):
            await learnt(cluster, silent, well)
            released = silent.hold("*", "", None)
            await in_time(asyncio.gather(*(cluster.indices.look(A) for _ in range(4))))
            silent.clear()
            released.set()
            silent.seen.clear()
            await learnt(cluster, silent)


async def test_a_long_request_is_not_taken_for_silence(elasticsearch_url: str) -> None:
    async with by_two_relays(elasticsearch_url) as (first, second, cluster):
        released = [relay.hold("*", READ, None) for relay in (first, second)]
        asked = [asyncio.create_task(cluster.indices.look(A)) for _ in range(2)]
        for relay in (first, second):
            await relay.wait_for(*PULSE, 2)
        assert [len(sent(relay)) for relay in (first, second)] == [1, 1]
        for event in released:
            event.set()
        await asyncio.gather(*asked)


async def test_more_requests_than_are_sent_at_once_all_have_their_turn(
    elasticsearch_url: str,
) -> None:
    async with by_two_relays(elasticsearch_url) as (first, second, cluster):
        released = [relay.hold("*", READ, None) for relay in (first, second)]
        asked = [asyncio.create_task(cluster.indices.look(A)) for _ in range(3 * AT_ONCE)]
        for relay in (first, second):
            await relay.wait_for("GET", READ, AT_ONCE)
            await relay.wait_for(*PULSE)
        assert [len(sent(relay)) for relay in (first, second)] == [AT_ONCE, AT_ONCE]
        for event in released:
            event.set()
        await asyncio.gather(*asked)


# --- changes


@pytest.mark.parametrize("call", CHANGES)
async def test_a_change_is_sent_to_another_host_where_none_of_it_was_sent(
    elasticsearch_url: str, call: str
) -> None:
    async with by_two_relays(elasticsearch_url) as (gone, well, cluster):
        gone.refuse()
        for relay in (gone, well):
            relay.answer("*", "", 200, DONE, times=None)
        await in_time(CHANGES[call](cluster))
        assert [f"{seen.method} {seen.path.partition('?')[0]}" for seen in sent(well)] == [call]
        assert sent(gone) == []


async def test_a_change_that_a_silent_host_may_have_is_not_sent_to_another(
    elasticsearch_url: str, es: Elastic
) -> None:
    es.put("/a")
    async with by_two_relays(elasticsearch_url) as (silent, well, cluster):
        released = silent.hold("*", "", None)
        well.hold("*", "", None)
        change = asyncio.create_task(cluster.indices.block_writes(A))
        await silent.wait_for("PUT", "_block")
        well.clear()
        error = await trouble(asyncio.wait_for(change, 40))
        assert isinstance(error, ClusterUnreachable)
        assert silent.url in error.message
        assert sent(well) == []
        released.set()


async def test_a_change_goes_to_the_host_that_has_answered_lately(
    elasticsearch_url: str, es: Elastic
) -> None:
    es.put("/a")
    async with by_two_relays(elasticsearch_url) as (first, second, cluster):
        for silent, well in ((first, second), (second, first)):
            await learnt(cluster, silent, well)
            released = silent.hold("*", "", None)
            await in_time(asyncio.gather(*(cluster.indices.look(A) for _ in range(2))))
            await in_time(cluster.indices.refresh(A))
            assert [seen.method for seen in sent(well)].count("POST") == 1
            silent.clear()
            well.clear()
            released.set()


async def test_a_tls_handshake_that_hangs_is_nothing_sent(
    elasticsearch_url: str, es: Elastic
) -> None:
    es.put("/a")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)  # pyright: ignore[reportUnknownMemberType]
    with SilentHost(accepts=True) as silent:
        async with (
            TlsFront(elasticsearch_url, context) as front,
            asking(
                silent.url.replace("http:", "https:"), front.url, tls=Tls(verification="none")
            ) as cluster,
        ):
            await in_time(cluster.indices.block_writes(A))
    assert "index.blocks.write" in es.blocks("a")


async def test_a_host_whose_certificate_is_wrong_is_passed_over(
    elasticsearch_url: str, es: Elastic, tmp_path: Any
) -> None:
    es.put("/a")
    authority = trustme.CA()
    trusted = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(trusted))
    wrong, right = (ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER) for _ in range(2))
    trustme.CA().issue_cert("127.0.0.1").configure_cert(wrong)  # pyright: ignore[reportUnknownMemberType]
    authority.issue_cert("127.0.0.1").configure_cert(right)  # pyright: ignore[reportUnknownMemberType]
    async with (
        TlsFront(elasticsearch_url, wrong) as bad,
        TlsFront(elasticsearch_url, right) as good,
        asking(bad.url, good.url, tls=Tls(authorities=trusted)) as cluster,
    ):
        await in_time(cluster.indices.block_writes(A))
        assert A in await in_time(cluster.indices.look(A))
    assert "index.blocks.write" in es.blocks("a")


# --- hosts that answer, but are of no use


@pytest.mark.parametrize("status", [502, 503, 504])
async def test_a_read_that_a_proxy_turns_away_goes_to_the_other_host(
    elasticsearch_url: str, status: int
) -> None:
    async with by_two_relays(elasticsearch_url) as (bad, _, cluster):
        bad.answer("*", "", status, "<html>no backend</html>", times=None)
        for _ in range(3):
            assert (await in_time(cluster.nodes.version())).major == 8
        assert len([seen for seen in bad.seen if seen.path == "/"]) >= 1


async def test_a_host_that_cuts_every_request_is_passed_over(elasticsearch_url: str) -> None:
    async with by_two_relays(elasticsearch_url) as (bad, _, cluster):
        bad.cut_before("*", "", times=None)
        await in_time(asyncio.gather(*(cluster.indices.look(A) for _ in range(4))))
        asked = len(sent(bad))
        await in_time(asyncio.gather(*(cluster.indices.look(A) for _ in range(4))))
        assert len(sent(bad)) == asked
