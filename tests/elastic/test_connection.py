"""The connection: sent once, to the address it was meant for; every trouble has its own word."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from app.api.errors import http_status_of
from app.domain.errors import (
    ClusterBusy,
    ClusterForbids,
    ClusterRefused,
    ClusterTrouble,
    ClusterUnreachable,
    CredentialsRefused,
    NotElasticsearch,
    ReindexQueueError,
)
from app.domain.names import IndexName
from app.elastic.cluster import Cluster, ClusterView
from app.elastic.connection import ChangingCalls, Connection
from app.elastic.http import Credentials
from app.elastic.indices import Aliases, Indices
from app.elastic.tasks import Tasks
from testbed.relay import Relay
from tests.elasticsearch import Elastic

LOGIN_WANTED: dict[str, Any] = {
    "error": {
        "root_cause": [{"type": "security_exception", "reason": "unable to authenticate user"}],
        "type": "security_exception",
        "reason": "unable to authenticate user [elastic] for REST request [/]",
        "header": {"WWW-Authenticate": ['Basic realm="security"', "ApiKey"]},
    },
    "status": 401,
}
"""As 8.19 answers a wrong password."""

A, B = IndexName("a"), IndexName("b")

CHANGES: dict[str, Callable[[Cluster], Awaitable[Any]]] = {
    "PUT /a/_block/write": lambda c: c.indices.block_writes(A),
    "PUT /a/_settings": lambda c: c.indices.put_settings(A, {"index.hidden": "true"}, {}),
    "POST /a/_open": lambda c: c.indices.open(A),
    "POST /a/_close": lambda c: c.indices.close(A),
    "POST /_create_from/a/b": lambda c: c.indices.create_from(A, B, {}),
    "POST /_aliases": lambda c: c.aliases.remove_guarded(A, B, IndexName(".m")),
    "POST /_reindex": lambda c: c.tasks.start_copy(
        {"source": {"index": A}, "dest": {"index": B}}, "x"
    ),
    "POST /_tasks/n:1/_cancel": lambda c: c.tasks.cancel("n:1"),
    "POST /a/_refresh": lambda c: c.indices.refresh(A),
    "POST /a/_flush": lambda c: c.indices.flush(A),
}

every_change = pytest.mark.parametrize("call", CHANGES)


def error_body(kind: str, status: int) -> dict[str, Any]:
    return {"error": {"type": kind, "reason": "because", "root_cause": []}, "status": status}


def seen(relay: Relay) -> list[str]:
    return [f"{request.method} {request.path.partition('?')[0]}" for request in relay.seen]


async def trouble(awaited: Awaitable[Any]) -> ReindexQueueError:
    with pytest.raises(ReindexQueueError) as caught:
        await awaited
    return caught.value


# --- changes are sent once


@every_change
async def test_a_change_that_is_cut_is_not_repeated(
    cluster: Cluster, relay: Relay, call: str
) -> None:
    relay.cut_before("*", ".*", times=None)
    assert isinstance(await trouble(CHANGES[call](cluster)), ClusterUnreachable)
    assert seen(relay) == [call]


@every_change
async def test_a_change_that_is_turned_away_is_not_repeated(
    cluster: Cluster, relay: Relay, call: str
) -> None:
    for status in (429, 502, 503, 504):
        relay.clear()
        relay.seen.clear()
        body = error_body("unavailable_shards_exception", status)
        relay.answer("*", ".*", status, body, times=None)
        assert isinstance(await trouble(CHANGES[call](cluster)), ClusterBusy)
        assert seen(relay) == [call]


async def test_a_change_on_a_kept_connection_that_closes_is_not_repeated(
    cluster: Cluster, relay: Relay
) -> None:
    await cluster.nodes.version()
    relay.cut_before("PUT", "/a/_settings", times=None)
    await trouble(CHANGES["PUT /a/_settings"](cluster))
    assert seen(relay).count("PUT /a/_settings") == 1


async def test_a_change_leaves_a_note_whether_it_was_confirmed_or_not(
    cluster: Cluster, relay: Relay, es: Elastic
) -> None:
    es.put("/a")
    await cluster.indices.block_writes(A)
    relay.cut_after("POST", "/a/_close")
    await trouble(cluster.indices.close(A))
    confirmed, doubtful = cluster.take_notes()
    assert (confirmed.what, confirmed.index, confirmed.text) == ("write block added", "a", "")
    assert doubtful.what == "index closed"
    assert doubtful.text.startswith("not confirmed: ")
    assert cluster.take_notes() == []


async def test_without_the_permit_nothing_is_sent(connection: Connection, relay: Relay) -> None:
    def refuse() -> None:
        raise ClusterBusy("not the worker any more")

    cluster = Cluster.for_worker(connection, refuse)
    for name in ("PUT /a/_block/write", "POST /_aliases", "POST /_reindex"):
        await trouble(CHANGES[name](cluster))
    assert relay.seen == []


def changing(cluster: ClusterView) -> set[str]:
    """The subjects that are given something to change the cluster with."""

    def changes(subject: object) -> bool:
        return any(isinstance(part, ChangingCalls) for part in vars(subject).values())

    return {name for name, subject in vars(cluster).items() if changes(subject)}


async def test_what_may_only_look_is_given_nothing_that_changes() -> None:
    connection = Connection(["http://127.0.0.1:1"], Credentials())
    view, cluster = ClusterView.of(connection), Cluster.for_worker(connection, lambda: None)
    assert changing(view) == set()
    assert changing(cluster) == {"indices", "aliases", "marks", "tasks"}
    assert not isinstance(view.indices, Indices)
    assert not isinstance(view.aliases, Aliases)
    assert not isinstance(view.tasks, Tasks)
    await connection.close()


# --- reads are repeated at most once


async def test_a_read_that_is_cut_is_repeated_once(cluster: Cluster, relay: Relay) -> None:
    relay.cut_before("GET", "/", times=1)
    assert (await cluster.nodes.version()).major == 8
    assert len(relay.seen) == 2


async def test_a_read_that_is_cut_again_is_given_up(cluster: Cluster, relay: Relay) -> None:
    relay.cut_before("GET", "/", times=None)
    assert isinstance(await trouble(cluster.nodes.version()), ClusterUnreachable)
    assert len(relay.seen) == 2


async def test_a_read_that_is_turned_away_is_not_repeated(cluster: Cluster, relay: Relay) -> None:
    relay.answer("GET", "/", 503, error_body("master_not_discovered_exception", 503), times=None)
    assert isinstance(await trouble(cluster.nodes.version()), ClusterBusy)
    assert len(relay.seen) == 1


# --- redirects


async def test_a_redirect_is_never_followed(
    cluster: Cluster, relay: Relay, elasticsearch_url: str
) -> None:
    async with Relay(elasticsearch_url) as elsewhere:
        for status in (301, 302, 303, 307, 308):
            relay.clear()
            relay.seen.clear()
            relay.redirect("*", ".*", f"{elsewhere.url}/", status=status, times=None)
            read = await trouble(cluster.nodes.version())
            removed = await trouble(cluster.aliases.remove_guarded(A, B, IndexName(".m")))
            put = await trouble(cluster.indices.block_writes(A))
            assert elsewhere.seen == []
            for error in (read, removed, put):
                assert isinstance(error, NotElasticsearch)
                assert f"redirect ({status})" in error.message
                assert "ELASTICSEARCH_HOSTS" in error.message
            assert len(relay.seen) == 3


async def test_a_redirected_delete_is_never_followed(
    connection: Connection, relay: Relay, elasticsearch_url: str, es: Elastic
) -> None:
    es.put("/precious")
    async with Relay(elasticsearch_url) as elsewhere:
        relay.redirect("*", ".*", f"{elsewhere.url}/precious", times=None)
        await trouble(connection.change(lambda es: es.indices.delete(index="victim")))
        assert elsewhere.seen == []
    assert es.indices() == {"precious"}


# --- answers that are not Elasticsearch's


@pytest.mark.parametrize("status", [200, 403, 404])
async def test_a_web_page_is_not_elasticsearch(cluster: Cluster, relay: Relay, status: int) -> None:
    relay.answer("*", ".*", status, "<html><title>Login</title></html>", times=None)
    error = await trouble(cluster.nodes.version())
    assert isinstance(error, NotElasticsearch)
    assert "ELASTICSEARCH_HOSTS" in error.message
    assert isinstance(await trouble(cluster.indices.block_writes(A)), NotElasticsearch)


async def test_a_web_page_in_the_middle_is_not_elasticsearch(
    cluster: Cluster, relay: Relay
) -> None:
    await cluster.nodes.version()
    relay.answer("*", ".*", 200, "<html></html>", times=None)
    assert isinstance(await trouble(cluster.indices.look(A)), NotElasticsearch)
    assert isinstance(await trouble(cluster.indices.block_writes(A)), NotElasticsearch)


@pytest.mark.parametrize("status", [500, 502, 504])
async def test_a_proxys_own_error_is_a_cluster_that_cannot_be_reached(
    cluster: Cluster, relay: Relay, status: int
) -> None:
    relay.answer("*", ".*", status, "<html>Bad Gateway</html>", times=None)
    error = await trouble(cluster.indices.block_writes(A))
    assert isinstance(error, ClusterUnreachable)
    assert str(status) in error.message


@pytest.mark.parametrize(
    ("status", "body", "headers", "said"),
    [
        (
            200,
            '{"version": {"number": "8.19.0"}}',
            {"content-type": "application/json"},
            ("X-Elastic-Product is missing", "has to let it pass"),
        ),
        (200, "<html><title>Sign in\n now</title></html>", {}, ("“Sign in now”", "login page")),
        (403, "<!DOCTYPE html><title>Denied</title>", {}, ("403", "“Denied”")),
        (
            401,
            "<html>401 Authorization Required</html>",
            {"WWW-Authenticate": 'Basic realm="gate"'},
            ("a proxy that wants a login of its own (401", 'realm="gate"', "CUSTOMHEADERS"),
        ),
        (
            401,
            '{"error": "invalid_token"}',
            {"content-type": "application/json"},
            ("a proxy that wants a login of its own (401",),
        ),
        (
            407,
            "",
            {"Proxy-Authenticate": "Basic"},
            ("a proxy that wants a login of its own (407, Basic)",),
        ),
    ],
)
async def test_what_a_proxy_answers_in_elasticsearchs_place_is_named_as_such(
    cluster: Cluster,
    relay: Relay,
    status: int,
    body: str,
    headers: dict[str, str],
    said: tuple[str, ...],
) -> None:
    relay.answer("*", ".*", status, body, headers, times=None)
    for error in (
        await trouble(cluster.nodes.version()),
        await trouble(cluster.indices.block_writes(A)),
    ):
        assert isinstance(error, NotElasticsearch)
        assert "ELASTICSEARCH_HOSTS" in error.message
        for words in said:
            assert words in error.message


# --- credentials


async def test_refused_credentials_are_told_with_the_remedy(cluster: Cluster, relay: Relay) -> None:
    relay.answer("*", ".*", 401, LOGIN_WANTED, times=None)
    for error in (
        await trouble(cluster.nodes.version()),
        await trouble(cluster.indices.block_writes(A)),
    ):
        assert isinstance(error, CredentialsRefused)
        assert "ELASTICSEARCH_USERNAME" in error.message
        assert "ELASTICSEARCH_APIKEY" in error.message


@pytest.mark.parametrize(
    ("credentials", "header"),
    [
        (Credentials("elastic", "hunter2"), "Basic ZWxhc3RpYzpodW50ZXIy"),
        (Credentials(api_key="aWQ6a2V5"), "ApiKey aWQ6a2V5"),
    ],
)
async def test_credentials_are_sent_and_never_shown(
    relay: Relay, credentials: Credentials, header: str
) -> None:
    relay.answer("*", ".*", 401, LOGIN_WANTED)
    connection = Connection([relay.url], credentials)
    try:
        error = await trouble(connection.read(lambda es: es.info()))
    finally:
        await connection.close()
    assert relay.seen[0].headers["authorization"] == header
    for secret in ("hunter2", "aWQ6a2V5", "ZWxhc3RpYzpodW50ZXIy"):
        assert secret not in f"{error!r} {error.__cause__!r} {credentials!r}"


# --- Elasticsearch's own errors, by type first


@pytest.mark.parametrize(
    ("status", "kind", "word"),
    [
        (429, "circuit_breaking_exception", ClusterBusy),
        (429, "es_rejected_execution_exception", ClusterBusy),
        (429, "cluster_block_exception", ClusterBusy),
        (503, "master_not_discovered_exception", ClusterBusy),
        (503, "process_cluster_event_timeout_exception", ClusterBusy),
        (503, "something_new_exception", ClusterBusy),
        (500, "too_many_scroll_contexts_exception", ClusterBusy),
        (500, "timeout_exception", ClusterBusy),
        (400, "snapshot_in_progress_exception", ClusterBusy),
        (500, "illegal_state_exception", ClusterRefused),
        (400, "illegal_argument_exception", ClusterRefused),
        (403, "cluster_block_exception", ClusterForbids),
        (403, "security_exception", ClusterForbids),
        (404, "index_not_found_exception", ClusterRefused),
    ],
)
async def test_an_error_is_judged_by_its_type_and_then_by_its_status(
    cluster: Cluster, relay: Relay, status: int, kind: str, word: type[ReindexQueueError]
) -> None:
    relay.answer("PUT", "/a/_block", status, error_body(kind, status))
    error = await trouble(cluster.indices.block_writes(A))
    assert type(error) is word
    assert kind in error.message
    assert "because" in error.message


async def test_a_real_refusal_has_its_type_reason_and_status(cluster: Cluster) -> None:
    error = await trouble(cluster.indices.block_writes(A))
    assert isinstance(error, ClusterRefused)
    assert (error.kind, error.http_status) == ("index_not_found_exception", 404)
    assert "no such index [a]" in error.reason


async def test_an_answer_with_a_bare_sentence_as_error_is_a_refusal(
    cluster: Cluster, es: Elastic
) -> None:
    es.put("/a")
    es.put("/b")
    error = await trouble(cluster.aliases.remove_guarded(A, B, IndexName(".m")))
    assert isinstance(error, ClusterRefused)
    assert error.http_status == 404
    assert es.indices() == {"a", "b"}


async def test_a_cluster_that_is_down_cannot_be_reached(cluster: Cluster, relay: Relay) -> None:
    relay.refuse()
    for error in (
        await trouble(cluster.nodes.version()),
        await trouble(cluster.indices.block_writes(A)),
    ):
        assert isinstance(error, ClusterUnreachable)
        assert http_status_of(error) == 503
    relay.accept()
    assert (await cluster.nodes.version()).major == 8


async def test_trouble_says_whether_a_change_was_surely_not_done(
    cluster: Cluster, relay: Relay
) -> None:
    """Where no connection came about, or Elasticsearch itself said no; nowhere else."""

    async def not_done() -> bool:
        error = await trouble(cluster.indices.block_writes(A))
        assert isinstance(error, ClusterTrouble)
        return error.not_done

    kind = "es_rejected_execution_exception"
    relay.answer("PUT", "/a/_block", 429, error_body(kind, 429))
    assert await not_done()
    for answer in ("<html>Service Unavailable</html>", {"error": "upstream timed out"}):
        relay.answer("PUT", "/a/_block", 503, answer)
        assert not await not_done()
    relay.cut_before("PUT", "/a/_block")
    assert not await not_done()
    relay.refuse()
    assert await not_done()
