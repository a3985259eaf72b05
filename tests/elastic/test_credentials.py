"""Whom we trust and who we are: TLS, logins, and what is read anew while the service runs."""

from __future__ import annotations

import base64
import hashlib
import ssl
from dataclasses import dataclass
from pathlib import Path

import pytest
import trustme
from aiohttp import web

from app.domain.errors import ClusterUnreachable, CredentialsRefused
from app.elastic.cluster import Cluster, ClusterView
from app.elastic.connection import Connection
from app.elastic.http import Credentials, Tls
from testbed.relay import Relay, Seen
from testbed.tls import TlsFront
from tests.elastic.test_connection import CHANGES, LOGIN_WANTED, A, trouble
from tests.elasticsearch import Elastic
from tests.test_settings import written_key


@dataclass(frozen=True)
class Papers:
    """A server's context and the files that a client may be given."""

    server: ssl.SSLContext
    authority: trustme.CA
    authorities: Path
    certificate: Path
    key: Path
    fingerprint: str


def papers(folder: Path, name: str = "127.0.0.1") -> Papers:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    issued = authority.issue_cert(name)
    issued.configure_cert(context)  # pyright: ignore[reportUnknownMemberType]
    mine = authority.issue_cert("client@reindex-queue.example")
    trusted, certificate, key = folder / "ca.pem", folder / "client.pem", folder / "key.pem"
    authority.cert_pem.write_to_path(str(trusted))
    mine.cert_chain_pems[0].write_to_path(str(certificate))
    mine.private_key_pem.write_to_path(str(key))
    plain = ssl.PEM_cert_to_DER_cert(issued.cert_chain_pems[0].bytes().decode())
    fingerprint = hashlib.sha256(plain).hexdigest()
    return Papers(context, authority, trusted, certificate, key, fingerprint)


async def number(url: str, tls: Tls) -> str:
    """The cluster's version, asked for over TLS."""
    connection = Connection([url], Credentials(), tls)
    try:
        return (await ClusterView.of(connection).nodes.version()).number
    finally:
        await connection.close()


async def test_a_server_is_trusted_by_its_authority_its_fingerprint_or_on_demand(
    elasticsearch_url: str, tmp_path: Path
) -> None:
    given = papers(tmp_path)
    colons = ":".join(given.fingerprint[n : n + 2] for n in range(0, 64, 2)).upper()
    async with TlsFront(elasticsearch_url, given.server) as front:
        for tls in (
            Tls(authorities=given.authorities),
            Tls(fingerprint=given.fingerprint),
            Tls(fingerprint=colons),
            Tls(verification="none"),
        ):
            assert (await number(front.url, tls)).startswith("8.19")
        for tls in (Tls(), Tls(verification="certificate"), Tls(fingerprint="00" * 32)):
            with pytest.raises(ClusterUnreachable) as refused:
                await number(front.url, tls)
            assert "cannot be reached" in refused.value.message or (
                "secure connection" in refused.value.message
            )


async def test_a_certificate_for_another_host_is_refused_but_where_only_it_counts(
    elasticsearch_url: str, tmp_path: Path
) -> None:
    given = papers(tmp_path, "elsewhere.example")
    async with TlsFront(elasticsearch_url, given.server) as front:
        with pytest.raises(ClusterUnreachable):
            await number(front.url, Tls(authorities=given.authorities))
        tls = Tls("certificate", authorities=given.authorities)
        assert (await number(front.url, tls)).startswith("8.19")


async def test_a_server_that_asks_for_a_client_certificate_gets_it(
    elasticsearch_url: str, tmp_path: Path
) -> None:
    given = papers(tmp_path)
    given.authority.configure_trust(given.server)  # pyright: ignore[reportUnknownMemberType]
    given.server.verify_mode = ssl.CERT_REQUIRED
    async with TlsFront(elasticsearch_url, given.server) as front:
        with pytest.raises(ClusterUnreachable):
            await number(front.url, Tls(authorities=given.authorities))
        tls = Tls(authorities=given.authorities, certificate=given.certificate, key=given.key)
        assert (await number(front.url, tls)).startswith("8.19")


async def test_a_password_is_sent_as_utf_8_and_headers_of_ones_own_with_every_request(
    relay: Relay, es: Elastic
) -> None:
    es.put("/a")
    credentials = Credentials("jürgen", "pässwört€", headers={"x-tenant": "one"})
    connection = Connection([relay.url], credentials)
    await Cluster.for_worker(connection, lambda: None).indices.look(A)
    await Cluster.for_worker(connection, lambda: None).indices.block_writes(A)
    await connection.close()
    assert len(relay.seen) == 2
    for seen in relay.seen:
        scheme, _, pair = seen.headers["authorization"].partition(" ")
        assert (scheme, base64.b64decode(pair).decode()) == ("Basic", "jürgen:pässwört€")
        assert seen.headers["x-tenant"] == "one"
    assert "one" not in repr(credentials)


@pytest.mark.parametrize("call", ["PUT /a/_block/write", "POST /a/_refresh"])
async def test_a_login_that_has_changed_meanwhile_is_tried_before_a_401_is_trouble(
    relay: Relay, es: Elastic, call: str
) -> None:
    es.put("/a")
    keys = ["old"]

    async def refuse(_: Seen) -> web.Response:
        keys.append("new")
        return web.json_response(LOGIN_WANTED, status=401)

    relay.when("*", "", refuse)
    connection = Connection([relay.url], lambda: Credentials(api_key=keys[-1]))
    await CHANGES[call](Cluster.for_worker(connection, lambda: None))
    await connection.close()
    assert [seen.headers["authorization"] for seen in relay.seen] == ["ApiKey old", "ApiKey new"]


async def test_a_login_that_is_the_same_is_not_tried_again(relay: Relay) -> None:
    relay.answer("*", "", 401, LOGIN_WANTED, times=None)
    connection = Connection([relay.url], lambda: Credentials(api_key="old"))
    assert isinstance(
        await trouble(Cluster.for_worker(connection, lambda: None).nodes.version()),
        CredentialsRefused,
    )
    await connection.close()
    assert len(relay.seen) == 1


async def test_authorities_are_read_again_when_their_file_changes(
    elasticsearch_url: str, tmp_path: Path
) -> None:
    old, new = trustme.CA(), trustme.CA()
    trusted, context = tmp_path / "ca.pem", ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    old.cert_pem.write_to_path(str(trusted))
    new.issue_cert("127.0.0.1").configure_cert(context)  # pyright: ignore[reportUnknownMemberType]
    async with TlsFront(elasticsearch_url, context) as front:
        connection = Connection([front.url], Credentials(), Tls(authorities=trusted))
        cluster = Cluster.for_worker(connection, lambda: None)
        assert isinstance(await trouble(cluster.nodes.version()), ClusterUnreachable)
        trusted.write_text("half of it")
        assert isinstance(await trouble(cluster.nodes.version()), ClusterUnreachable)
        new.cert_pem.write_to_path(str(trusted))
        assert (await cluster.nodes.version()).major == 8
        old.cert_pem.write_to_path(str(trusted))
        assert isinstance(await trouble(cluster.nodes.version()), ClusterUnreachable)
        await connection.close()


async def test_a_client_certificate_may_have_an_encrypted_key(
    elasticsearch_url: str, tmp_path: Path
) -> None:
    given = papers(tmp_path)
    given.authority.configure_trust(given.server)  # pyright: ignore[reportUnknownMemberType]
    given.server.verify_mode = ssl.CERT_REQUIRED
    mine = given.authority.issue_cert("client@reindex-queue.example")
    mine.cert_chain_pems[0].write_to_path(str(given.certificate))
    hidden = written_key(tmp_path / "hidden", mine, "passphrase")
    tls = Tls(
        authorities=given.authorities,
        certificate=given.certificate,
        key=hidden,
        passphrase=lambda: "passphrase",
    )
    async with TlsFront(elasticsearch_url, given.server) as front:
        assert (await number(front.url, tls)).startswith("8.19")


def test_what_is_asked_for_a_caller_goes_without_our_own_certificate() -> None:
    """A realm that reads certificates would let every caller in as this service."""
    authorities = Path("authorities.pem")
    ours = Tls(authorities=authorities, certificate=Path("our.pem"), key=Path("our.key"))
    assert ours.of_nobody == Tls(authorities=authorities)
