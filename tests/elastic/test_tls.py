"""TLS to the cluster: trusted authorities, host names, client certificates, fingerprints."""

from __future__ import annotations

import hashlib
import ssl
from dataclasses import dataclass
from pathlib import Path

import pytest
import trustme

from app.domain.errors import ClusterUnreachable
from app.elastic.cluster import ClusterView
from app.elastic.connection import Connection
from app.elastic.credentials import Credentials, Tls
from testbed.tls import TlsFront


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
