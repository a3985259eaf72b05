"""The settings: how they are written, and what a wrong one says."""

from __future__ import annotations

from pathlib import Path

import pytest
import trustme
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from pydantic import ValidationError

from app.settings import Settings, misspelt


def settings(monkeypatch: pytest.MonkeyPatch, **variables: str) -> Settings:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    return Settings()


def refusal(monkeypatch: pytest.MonkeyPatch, **variables: str) -> str:
    with pytest.raises(ValidationError) as caught:
        settings(monkeypatch, **variables)
    return str(caught.value)


@pytest.mark.parametrize(
    ("written", "hosts"),
    [
        ("http://es:9200", ["http://es:9200"]),
        ("http://es", ["http://es:80"]),
        ("http://es/", ["http://es:80/"]),
        ("https://es/prefix", ["https://es:443/prefix"]),
        ("http://es:80", ["http://es:80"]),
        ("http://[::1]", ["http://[::1]:80"]),
        ("http://[::1]:9201", ["http://[::1]:9201"]),
        ("http://a:1,http://b", ["http://a:1", "http://b:80"]),
        (" http://a:1 , http://b:2 ,", ["http://a:1", "http://b:2"]),
        ('["http://a:1", "https://b"]', ["http://a:1", "https://b:443"]),
        (' [ "http://a:1" ] ', ["http://a:1"]),
    ],
)
def test_hosts_are_one_url_a_comma_list_or_a_json_array(
    monkeypatch: pytest.MonkeyPatch, written: str, hosts: list[str]
) -> None:
    assert settings(monkeypatch, ELASTICSEARCH_HOSTS=written).elasticsearch_hosts == hosts


@pytest.mark.parametrize(
    ("written", "said"),
    [
        (" , ", "names no host"),
        ("[]", "names no host"),
        ("localhost:9200", "must be full URLs"),
        ("localhost", "must be full URLs"),
        ("ftp://es:9200", "must be full URLs"),
        ("http://", "must be full URLs"),
        ("http://:9200", "must be full URLs"),
        ("http://es:", "must be full URLs"),
        ("http://es:port", "must be full URLs"),
        ("http://es:99999", "must be full URLs"),
        ("http://es 1:9200", "must be full URLs"),
        ("http://[::1:9200", "must be full URLs"),
        ("http://es:9200?a=b", "must be full URLs"),
        ('["http://a:1"', "not a valid JSON array"),
        ("[1]", "valid string"),
        ('["http://a:1", ""]', "must be full URLs"),
        ("http://elastic:hunter2@es:9200", "ELASTICSEARCH_USERNAME"),
    ],
)
def test_wrong_hosts_are_refused_with_the_remedy(
    monkeypatch: pytest.MonkeyPatch, written: str, said: str
) -> None:
    text = refusal(monkeypatch, ELASTICSEARCH_HOSTS=written)
    assert said in text
    assert "elasticsearch_hosts" in text.lower()
    assert "hunter2" not in text


def test_without_any_variable_the_service_is_local(monkeypatch: pytest.MonkeyPatch) -> None:
    found = settings(monkeypatch)
    assert found.elasticsearch_hosts == ["http://localhost:9200"]
    assert (found.server_host, found.server_port) == ("127.0.0.1", 5602)
    assert found.database_url.get_secret_value().startswith("sqlite:///")


def test_secrets_are_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    found = settings(
        monkeypatch,
        ELASTICSEARCH_USERNAME="elastic",
        ELASTICSEARCH_PASSWORD="hunter2",
        DATABASE_URL="postgresql://me:hunter3@db/queue",
    )
    shown = f"{found!r} {found} {found.model_dump_json()}"
    assert "hunter" not in shown


def test_an_api_key_is_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    found = settings(monkeypatch, ELASTICSEARCH_APIKEY="hunter4")
    assert found.elasticsearch_apikey
    assert "hunter" not in f"{found!r} {found} {found.model_dump_json()}"


def test_secrets_are_not_in_the_text_of_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    text = refusal(
        monkeypatch,
        ELASTICSEARCH_HOSTS="http://elastic:hunter1@es:9200",
        ELASTICSEARCH_USERNAME="elastic",
        ELASTICSEARCH_PASSWORD="hunter2",
        ELASTICSEARCH_APIKEY="hunter3",
        DATABASE_URL="postgresql://me:hunter4@db/queue",
        SERVER_PORT="hunter5",
    )
    assert "hunter" not in text


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        (
            {"ELASTICSEARCH_APIKEY": "k", "ELASTICSEARCH_USERNAME": "u"},
            "ELASTICSEARCH_APIKEY or ELASTICSEARCH_USERNAME, not both",
        ),
        ({"ELASTICSEARCH_USERNAME": "u"}, "ELASTICSEARCH_PASSWORD"),
        ({"ELASTICSEARCH_PASSWORD": "p"}, "ELASTICSEARCH_USERNAME"),
        ({"SERVER_PORT": "70000"}, "server_port"),
        ({"REINDEX_LEASE_SECONDS": "0"}, "reindex_lease_seconds"),
        ({"REINDEX_LOG_LEVEL": "LOUD"}, "reindex_log_level"),
        ({"REINDEX_PREFIX_MAJOR": "six"}, "reindex_prefix_major"),
        ({"REINDEX_BATCH_DOCUMENTS": "10001"}, "reindex_batch_documents"),
        ({"REINDEX_REQUESTS_PER_SECOND": "0"}, "reindex_requests_per_second"),
        ({"REINDEX_REQUESTS_PER_SECOND": "nan"}, "reindex_requests_per_second"),
        ({"REINDEX_REQUESTS_PER_SECOND": "inf"}, "reindex_requests_per_second"),
        ({"REINDEX_HOURS": "22:00-22:00 UTC"}, "never open"),
        ({"REINDEX_HOURS": "at night"}, "reindex_hours"),
        ({"REINDEX_SEARCH_PROBE": "shop-*"}, "must not contain *"),
        ({"REINDEX_SEARCH_PROBE_SECONDS": "0"}, "reindex_search_probe_seconds"),
        ({"SERVER_PUBLICBASEURL": "reindex.example"}, "must be a full URL"),
        ({"SERVER_APIKEY": "schlüssel"}, "plain ASCII"),
        ({"SERVER_APIKEY": "key "}, "begin or end with a blank"),
        ({"SERVER_APIKEY": "one\ntwo"}, "line breaks or control characters"),
        ({"SERVER_METRICS_TOKEN": "schlüssel"}, "plain ASCII"),
        ({"SERVER_METRICS_TOKEN": "token "}, "begin or end with a blank"),
        ({"SERVER_USERNAME": "a:b", "SERVER_PASSWORD": "p"}, "a colon"),
    ],
)
def test_a_wrong_setting_is_named(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], said: str
) -> None:
    assert said in refusal(monkeypatch, **variables)


def test_hours_are_written_as_people_say_them(monkeypatch: pytest.MonkeyPatch) -> None:
    written = "22:00-06:00 Europe/Berlin; sat,sun 00:00-24:00 UTC"
    found = settings(monkeypatch, REINDEX_HOURS=written)
    assert "; ".join(map(str, found.reindex_hours or ())) == written
    assert settings(monkeypatch, REINDEX_HOURS="").reindex_hours is None


def test_empty_variables_mean_that_nothing_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    found = settings(
        monkeypatch,
        ELASTICSEARCH_USERNAME="",
        ELASTICSEARCH_PASSWORD="",
        ELASTICSEARCH_APIKEY="",
        REINDEX_PREFIX_MAJOR="",
        REINDEX_REQUESTS_PER_SECOND="",
        REINDEX_KEEP_OLD_INDEX="",
        SERVER_PORT="",
        SERVER_APIKEY="",
        DATABASE_URL="",
    )
    assert found.server_port == 5602
    assert not found.guarded
    assert not found.elasticsearch_username
    assert found.reindex_prefix_major is None


def test_a_secret_may_come_from_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("from a file\n")
    found = settings(
        monkeypatch, ELASTICSEARCH_USERNAME="us", ELASTICSEARCH_PASSWORD_FILE=str(file)
    )
    assert found.elasticsearch_password is not None
    assert found.elasticsearch_password.get_secret_value() == "from a file"
    assert "from a file" not in repr(found)
    monkeypatch.setenv("ELASTICSEARCH_PASSWORD", "directly")
    with pytest.raises(ValueError, match="ELASTICSEARCH_PASSWORD or ELASTICSEARCH_PASSWORD_FILE"):
        Settings()
    monkeypatch.delenv("ELASTICSEARCH_PASSWORD")
    monkeypatch.setenv("ELASTICSEARCH_PASSWORD_FILE", str(tmp_path / "nothing"))
    with pytest.raises(ValueError, match="ELASTICSEARCH_PASSWORD_FILE: cannot read"):
        Settings()
    file.write_text("\n")
    monkeypatch.setenv("ELASTICSEARCH_PASSWORD_FILE", str(file))
    with pytest.raises(ValueError, match=r"ELASTICSEARCH_PASSWORD_FILE: .* is empty"):
        Settings()


def test_what_looks_like_a_setting_and_is_none_is_told() -> None:
    names = [
        "REINDEX_KEEP_OLD_INDICES",
        "REINDEX_QUEUE_URL",
        "SERVER_APIKEY_FILE",
        "SERVER_NAME",
        "X",
        "ELASTICSEARCH_SERVICE_PORT_HTTPS",
        "ELASTICSEARCH_PORT_9200_TCP_ADDR",
        "ELASTICSEARCH_SSL_KEYPASSPHRASE_FILE",
    ]
    assert misspelt(names) == [
        ("REINDEX_KEEP_OLD_INDICES", "REINDEX_KEEP_OLD_INDEX"),
        ("SERVER_NAME", "SERVER_USERNAME"),
    ]


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("ELASTICSEARCH_CLOUD_ID", "ELASTICSEARCH_HOSTS"),
        ("ELASTICSEARCH_URL", "ELASTICSEARCH_HOSTS"),
        ("ELASTICSEARCH_HOST", "ELASTICSEARCH_HOSTS"),
        ("ELASTICSEARCH_USER", "ELASTICSEARCH_USERNAME"),
        ("ELASTICSEARCH_API_KEY", "ELASTICSEARCH_APIKEY"),
        ("ELASTICSEARCH_API_KEY_FILE", "ELASTICSEARCH_APIKEY"),
        ("ELASTICSEARCH_PINGTIMEOUT", "ELASTICSEARCH_REQUESTTIMEOUT"),
        ("ELASTICSEARCH_SSL_CERTIFICATE_AUTHORITIES", "ELASTICSEARCH_SSL_CERTIFICATEAUTHORITIES"),
        ("ELASTICSEARCH_SNIFFONSTART", None),
    ],
)
def test_what_others_call_a_setting_is_told_with_the_one_that_is_meant(
    name: str, meant: str | None
) -> None:
    ((found, said),) = misspelt([name])
    assert found == name
    if meant:
        assert said == meant


@pytest.mark.parametrize(
    "secret",
    [
        "ELASTICSEARCH_PASSWORD",
        "ELASTICSEARCH_APIKEY",
        "ELASTICSEARCH_SERVICEACCOUNTTOKEN",
        "SERVER_PASSWORD",
        "SERVER_APIKEY",
        "SERVER_METRICS_TOKEN",
        "DATABASE_URL",
    ],
)
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_line_break_at_the_end_is_no_part_of_a_secret(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, secret: str, end: str
) -> None:
    users = {
        "ELASTICSEARCH_PASSWORD": "ELASTICSEARCH_USERNAME",
        "SERVER_PASSWORD": "SERVER_USERNAME",
    }
    if secret in users:
        monkeypatch.setenv(users[secret], "us")
    found = settings(monkeypatch, **{secret: f"abc{end}"})
    assert getattr(found, secret.lower()).get_secret_value() == "abc"
    assert found.secret(secret.lower())() == "abc"
    monkeypatch.delenv(secret)
    file = tmp_path / "secret"
    file.write_bytes(b"\xef\xbb\xbfabc" + end.encode())
    found = settings(monkeypatch, **{f"{secret}_FILE": str(file)})
    assert getattr(found, secret.lower()).get_secret_value() == "abc"


def test_a_password_may_have_any_letters_also_where_the_locale_has_none(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "password"
    file.write_bytes("pässwört€".encode())
    found = settings(
        monkeypatch, ELASTICSEARCH_USERNAME="jürgen", ELASTICSEARCH_PASSWORD_FILE=str(file)
    )
    assert found.secret("elasticsearch_password")() == "pässwört€"
    file.write_bytes("pässwört€".encode("latin-1", "replace"))
    with pytest.raises(ValueError, match="it is not text in UTF-8"):
        Settings()


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"ELASTICSEARCH_APIKEY": "a\nb"}, "plain ASCII without blanks"),
        ({"ELASTICSEARCH_APIKEY": "schlüssel"}, "plain ASCII without blanks"),
        ({"ELASTICSEARCH_APIKEY": "id:key"}, "must be the encoded key"),
        ({"ELASTICSEARCH_APIKEY": "\n"}, "is empty"),
        ({"ELASTICSEARCH_SERVICEACCOUNTTOKEN": "a b"}, "plain ASCII without blanks"),
        ({"ELASTICSEARCH_USERNAME": "a:b", "ELASTICSEARCH_PASSWORD": "p"}, "a colon"),
        ({"ELASTICSEARCH_CUSTOMHEADERS": "x-tenant: one"}, "must be a JSON object"),
        ({"ELASTICSEARCH_CUSTOMHEADERS": '["x"]'}, "must be a JSON object"),
        ({"ELASTICSEARCH_CUSTOMHEADERS": '{"x": 1}'}, "a line of plain ASCII each"),
        ({"ELASTICSEARCH_CUSTOMHEADERS": '{"x": "a\\nb"}'}, "a line of plain ASCII each"),
        ({"ELASTICSEARCH_CUSTOMHEADERS": '{"Authorization": "x"}'}, "must not set authorization"),
        ({"ELASTICSEARCH_REQUESTTIMEOUT": "0"}, "elasticsearch_requesttimeout"),
    ],
)
def test_what_cannot_be_sent_is_refused_at_the_start_by_a_sentence(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], said: str
) -> None:
    assert said in refusal(monkeypatch, **variables)


def test_a_secret_of_a_file_is_read_again_when_the_file_changes(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    first.write_text("one\n")
    second.write_text("two\n")
    link = tmp_path / "key"
    link.symlink_to(first)
    key = settings(monkeypatch, ELASTICSEARCH_APIKEY_FILE=str(link)).secret("elasticsearch_apikey")
    assert key() == "one"
    link.unlink()
    assert key() == "one"  # it is being replaced, as Kubernetes does it
    link.symlink_to(second)
    assert key() == "two"
    second.write_text("not a key")
    assert key() == "two"
    second.write_text("")
    assert key() == "two"
    second.write_text("three")
    assert key() == "three"


def written_key(file: Path, leaf: trustme.LeafCert, passphrase: str | None = None) -> Path:
    key = load_pem_private_key(leaf.private_key_pem.bytes(), None)
    hidden = BestAvailableEncryption(passphrase.encode()) if passphrase else NoEncryption()
    file.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, hidden))
    return file


@pytest.mark.parametrize("prefix", ["ELASTICSEARCH_SSL", "SERVER_SSL"])
def test_a_key_that_cannot_be_used_is_told_by_what_is_wrong_with_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, prefix: str
) -> None:
    authority = trustme.CA()
    leaf, other = authority.issue_cert("a.example"), authority.issue_cert("b.example")
    certificate, der = tmp_path / "certificate", tmp_path / "der"
    leaf.cert_chain_pems[0].write_to_path(str(certificate))
    plain_key = written_key(tmp_path / "plain", leaf)
    hidden = written_key(tmp_path / "hidden", leaf, "pässphrase")
    strange = written_key(tmp_path / "strange", other)
    der.write_bytes(b"\x30\x82")

    def given(key: Path, passphrase: str = "", shown: Path = certificate) -> dict[str, str]:
        return {
            f"{prefix}_CERTIFICATE": str(shown),
            f"{prefix}_KEY": str(key),
            f"{prefix}_KEYPASSPHRASE": passphrase,
        }

    assert settings(monkeypatch, **given(plain_key))
    assert settings(monkeypatch, **given(hidden, "pässphrase\n"))
    for variables, said in (
        (given(hidden), f"{prefix}_KEY: it is encrypted; set {prefix}_KEYPASSPHRASE"),
        (given(hidden, "wrong"), f"that {prefix}_KEYPASSPHRASE opens"),
        (given(strange), f"{prefix}_KEY: it is not the key of {prefix}_CERTIFICATE"),
        (given(der), f"{prefix}_KEY: not a private key in PEM form"),
        (given(certificate), f"{prefix}_KEY: not a private key in PEM form"),
        (given(plain_key, shown=plain_key), f"{prefix}_CERTIFICATE: not a certificate in PEM form"),
    ):
        assert said in refusal(monkeypatch, **variables)


def test_tls_files_are_read_at_the_start(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "ca.pem"
    file.write_text("not a certificate")
    said = refusal(monkeypatch, ELASTICSEARCH_SSL_CERTIFICATEAUTHORITIES=str(file))
    assert "not a certificate in PEM form" in said
    monkeypatch.delenv("ELASTICSEARCH_SSL_CERTIFICATEAUTHORITIES")
    assert "_CERTIFICATE and ELASTICSEARCH_SSL_KEY" in refusal(
        monkeypatch, ELASTICSEARCH_SSL_CERTIFICATE=str(file)
    )


def test_one_way_to_log_in_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    said = refusal(
        monkeypatch, ELASTICSEARCH_APIKEY="key", ELASTICSEARCH_SERVICEACCOUNTTOKEN="token"
    )
    assert "not both" in said
    monkeypatch.delenv("ELASTICSEARCH_APIKEY")
    assert "set SERVER_USERNAME and SERVER_PASSWORD" in refusal(monkeypatch, SERVER_USERNAME="ops")


def test_durations_are_written_with_their_unit(monkeypatch: pytest.MonkeyPatch) -> None:
    found = settings(
        monkeypatch,
        REINDEX_HOURS_GRACE="90m",
        REINDEX_MAX_BLOCK="0",
        REINDEX_REQUIRE_SNAPSHOT="26h",
        REINDEX_HOURS_END="give-back",
    )
    assert (found.reindex_hours_grace, found.reindex_max_block) == (5_400, 0)
    assert found.reindex_require_snapshot == 93_600
    assert found.reindex_hours_end == "give-back"


@pytest.mark.parametrize(
    "name", ["REINDEX_HOURS_GRACE", "REINDEX_MAX_BLOCK", "REINDEX_REQUIRE_SNAPSHOT"]
)
@pytest.mark.parametrize("written", ["26", "a day", "-1h"])
def test_a_duration_that_is_none_is_named(
    monkeypatch: pytest.MonkeyPatch, name: str, written: str
) -> None:
    said = refusal(monkeypatch, **{name: written})
    assert name.lower() in said
    assert "write it as 26h" in said


def test_an_end_of_the_hours_that_is_none_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    said = refusal(monkeypatch, REINDEX_HOURS_END="stop")
    assert "finish" in said
    assert "give-back" in said


@pytest.mark.parametrize(
    ("variables", "ways"),
    [
        ({}, "none"),
        ({"SERVER_AUTH": "none"}, "none"),
        ({"SERVER_APIKEY": "k"}, "login"),
        ({"SERVER_USERNAME": "ops", "SERVER_PASSWORD": "p"}, "login"),
        ({"SERVER_AUTH": "tokens"}, "tokens"),
        ({"SERVER_AUTH": "tokens", "SERVER_APIKEY": "k"}, "tokens"),
        ({"SERVER_AUTH": " Login , tokens,login", "SERVER_APIKEY": "k"}, "login,tokens"),
        ({"SERVER_AUTH": "elasticsearch"}, "elasticsearch"),
        ({"SERVER_AUTH": "tokens, Elasticsearch"}, "tokens,elasticsearch"),
        ({"SERVER_AUTH": ""}, "none"),
    ],
)
def test_callers_log_in_as_it_is_said_or_with_the_login_that_is_set(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], ways: str
) -> None:
    made = settings(monkeypatch, **variables)
    assert ",".join(made.auth) == ways
    assert made.guarded is (ways != "none")


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"SERVER_TRUSTED_PROXIES": "10.0.0.1,proxy"}, "'proxy' is no address and no network"),
        ({"SERVER_TRUSTED_PROXIES": "10.0.0.1/8"}, "is no address and no network"),
        ({"SERVER_AUTH": "none,elasticsearch"}, "none lets everybody in, so name it alone"),
        ({"SERVER_AUTH": "password"}, "'password' is no way to log in"),
        ({"SERVER_AUTH": "tokens,"}, "'' is no way to log in"),
        ({"SERVER_AUTH": "none,tokens"}, "none lets everybody in, so name it alone"),
        ({"SERVER_AUTH": "none", "SERVER_APIKEY": "k"}, "SERVER_AUTH is none: take away"),
        ({"SERVER_AUTH": "login"}, "SERVER_AUTH names login: set SERVER_USERNAME"),
        ({"SERVER_AUTH": "login,tokens"}, "SERVER_AUTH names login"),
        ({"REINDEX_CLUSTER_ID": "_service"}, "choose another"),
    ],
)
def test_ways_to_log_in_that_do_not_fit_are_refused_by_a_sentence(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], said: str
) -> None:
    assert said in refusal(monkeypatch, **variables)
