"""The settings, all from the environment; named as Kibana's image names them where it has them."""

from __future__ import annotations

import ipaddress
import json
import re
import ssl
from collections.abc import Callable, Iterable
from difflib import get_close_matches
from enum import StrEnum
from functools import partial
from typing import Annotated, Any, Literal, TypeVar
from urllib.parse import urlsplit

from pydantic import (
    Field,
    FilePath,
    SecretStr,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from app.domain.addresses import AllowList
from app.domain.errors import Refused
from app.domain.files import load_authorities, load_pair
from app.domain.formatting import parsed_duration
from app.domain.hours import Hours, HoursEnd, Schedule
from app.domain.names import IndexName
from app.domain.operation import FULL_UP_TO, FullUpTo, ProofLevel
from app.domain.pace import LEAST_RATE, MOST_RATE, MOST_WINDOWS
from app.domain.token import SERVICE
from app.redaction import SHORT, basic, passwords_of
from app.sealing import written_keys
from app.secret_files import (
    READ_LATER,
    SUFFIX,
    LateSecret,
    SecretFile,
    SecretFiles,
    is_secret,
    plain,
)
from app.sendable import check_sendable, custom_headers

T = TypeVar("T")

MOST_SECONDS = 366 * 86_400.0
"""Of a duration that is set: a year."""
MOST_DAYS = 36_500.0
"""Of history: a hundred years."""


class Auth(StrEnum):
    """How callers log in. `NONE`: they do not; `LOGIN`: with what the settings say; `TOKENS`: with
    a token of the database; `ELASTICSEARCH`: with the login that they have at the cluster."""

    NONE = "none"
    LOGIN = "login"
    TOKENS = "tokens"
    ELASTICSEARCH = "elasticsearch"


class Settings(BaseSettings):
    """Read once at start. Raises pydantic's `ValidationError` naming the variable at fault."""

    model_config = SettingsConfigDict(
        extra="ignore",
        frozen=True,
        hide_input_in_errors=True,
        env_ignore_empty=True,  # a container file often passes on what nobody has set
    )

    elasticsearch_hosts: Annotated[list[str], NoDecode] = ["http://localhost:9200"]
    elasticsearch_username: str | None = None
    elasticsearch_password: SecretStr | None = None
    elasticsearch_apikey: SecretStr | None = None
    elasticsearch_serviceaccounttoken: SecretStr | None = None
    elasticsearch_ssl_certificateauthorities: FilePath | None = None
    elasticsearch_ssl_certificate: FilePath | None = None
    elasticsearch_ssl_key: FilePath | None = None
    elasticsearch_ssl_keypassphrase: SecretStr | None = None
    elasticsearch_ssl_verificationmode: Literal["full", "certificate", "none"] = "full"
    elasticsearch_ssl_fingerprint: str | None = Field(
        default=None, pattern="^([0-9a-fA-F]{2}:?){31}[0-9a-fA-F]{2}$"
    )
    elasticsearch_customheaders: SecretStr | None = None
    elasticsearch_requesttimeout: int = Field(default=30_000, ge=1_000, le=600_000)
    database_url: SecretStr = SecretStr("sqlite:///reindex-queue.db")
    server_host: str = "127.0.0.1"
    server_port: int = Field(default=5602, ge=0, le=65535)
    server_username: str | None = None
    server_password: SecretStr | None = None
    server_apikey: SecretStr | None = None
    server_auth: Annotated[tuple[Auth, ...] | None, NoDecode] = None
    server_metrics_token: SecretStr | None = None
    server_allow_anonymous: bool = False
    server_trusted_proxies: Annotated[tuple[str, ...], NoDecode] = ()
    server_ssl_certificate: FilePath | None = None
    server_ssl_key: FilePath | None = None
    server_ssl_keypassphrase: SecretStr | None = None
    server_keepalivetimeout: int = Field(default=75_000, ge=1_000, le=3_600_000)
    server_publicbaseurl: str | None = None
    server_basepath: str = Field(default="", pattern="^(/.*[^/])?$")
    server_xsrf_disableprotection: bool = True
    reindex_cluster_id: str = Field(default="default", min_length=1, max_length=64)
    reindex_cluster_uuid: str | None = Field(default=None, pattern=r"^[\w-]{1,64}$")
    reindex_prefix_major: int | None = Field(default=None, ge=7, le=99)
    reindex_max_singles: int = Field(default=2, ge=1, le=20)
    reindex_window_documents: int = Field(default=500_000, ge=1)
    reindex_batch_documents: int = Field(default=2_000, ge=1, le=10_000)
    reindex_window_seconds: float = Field(default=60.0, gt=0, allow_inf_nan=False)
    reindex_windows_in_flight: int = Field(default=3, ge=1, le=MOST_WINDOWS)
    reindex_requests_per_second: float | None = Field(
        default=None, ge=LEAST_RATE, le=MOST_RATE, allow_inf_nan=False
    )
    reindex_hours: Annotated[Schedule | None, NoDecode] = None
    reindex_hours_end: HoursEnd = HoursEnd.FINISH
    reindex_hours_grace: float = Field(default=7_200.0, ge=0.0, le=MOST_SECONDS)
    reindex_max_block: float = Field(default=14_400.0, ge=0.0, le=MOST_SECONDS)
    reindex_require_snapshot: float = Field(default=0.0, ge=0.0, le=MOST_SECONDS)
    reindex_health_gate: bool = True
    reindex_health_seconds: float = Field(default=5.0, ge=0.1, le=3600.0)
    reindex_search_probe: IndexName | None = None
    reindex_search_probe_seconds: float = Field(default=0.5, gt=0.0, le=4.0)
    reindex_synchronous_documents: int = Field(default=1_000, ge=0, le=10_000)
    reindex_proof: ProofLevel = ProofLevel.AUTO
    reindex_proof_full_up_to: Annotated[FullUpTo, NoDecode] = FULL_UP_TO
    reindex_keep_old_index: bool = False
    reindex_keep_days: float = Field(default=7.0, ge=0.0, le=3650.0)
    reindex_history_days: float | None = Field(default=None, ge=1.0, le=MOST_DAYS)
    reindex_audit_days: float = Field(default=400.0, ge=1.0, le=MOST_DAYS)
    reindex_hold_policy: Literal["wait", "skip"] = "wait"
    reindex_hold_skip_seconds: float = Field(default=60.0, ge=0.0)
    reindex_lost_target_seconds: float = Field(default=600.0, ge=0.0)
    reindex_secret_keys: SecretStr | None = None
    reindex_webhook_allow: Annotated[AllowList, NoDecode] = AllowList()
    reindex_lease_seconds: float = Field(default=15.0, ge=1.0, le=600.0)
    reindex_log_level: str = Field(default="INFO", pattern="^(DEBUG|INFO|WARNING|ERROR)$")
    reindex_log_json: bool = False

    @field_validator("elasticsearch_hosts", mode="before")
    @classmethod
    def _hosts(cls, value: Any) -> Any:
        """One URL, a comma list, or a JSON array of URLs."""
        if not isinstance(value, str):
            return value
        text = value.strip()
        if text.startswith("["):
            try:
                return json.loads(text)
            except ValueError as error:
                raise ValueError("is not a valid JSON array of URLs") from error
        return [part.strip() for part in text.split(",") if part.strip()]

    @field_validator("server_auth", mode="before")
    @classmethod
    def _auth(cls, value: Any) -> Any:
        """`login, tokens`: the ways divided by a comma, each once."""
        if not isinstance(value, str):
            return value
        names = list(dict.fromkeys(part.strip().lower() for part in value.split(",")))
        if unknown := [name for name in names if name not in [*Auth]]:
            known = ", ".join(Auth)
            raise ValueError(f"{unknown[0][:40]!r} is no way to log in; there are: {known}")
        return tuple(Auth(name) for name in names)

    @field_validator("server_trusted_proxies", mode="before")
    @classmethod
    def _proxies(cls, value: Any) -> Any:
        """`10.0.0.5, 10.1.0.0/16, ::1`: addresses and networks divided by commas."""
        if not isinstance(value, str):
            return value
        return tuple(_network(part.strip()) for part in value.split(",") if part.strip())

    @field_validator("reindex_hours", mode="before")
    @classmethod
    def _hours(cls, value: Any) -> Any:
        """`22:00-06:00 Europe/Berlin`, several divided by a semicolon; nothing is always."""
        if not isinstance(value, str):
            return value
        parts = [_parsed(Hours.parse, part) for part in value.split(";") if part.strip()]
        return tuple(parts) or None

    @field_validator(
        "reindex_hours_grace", "reindex_max_block", "reindex_require_snapshot", mode="before"
    )
    @classmethod
    def _seconds(cls, value: Any) -> Any:
        """`26h`, `90m`, `1d12h`; a number without a unit could be anything."""
        return parsed_duration(value) if isinstance(value, str) else value

    @field_validator("reindex_proof_full_up_to", mode="before")
    @classmethod
    def _full_up_to(cls, value: Any) -> Any:
        """`100000, 256mb`: documents, and bytes on disk; 0 of either is never."""
        if not isinstance(value, str):
            return value
        try:
            return FullUpTo.parse(value)
        except ValueError:
            raise ValueError("must be documents and a size, such as 100000, 256mb") from None

    @field_validator("reindex_search_probe", mode="before")
    @classmethod
    def _searched(cls, value: Any) -> Any:
        """One index or alias: of a pattern it would not be known what was slow."""
        return _parsed(IndexName, value) if isinstance(value, str) and value else value or None

    @field_validator("reindex_webhook_allow", mode="before")
    @classmethod
    def _allowed(cls, value: Any) -> Any:
        """`*.example.com:443, 10.1.0.0/16`: names, addresses and networks, divided by a comma."""
        return _parsed(AllowList.parse, value) if isinstance(value, str) else value

    @field_validator("elasticsearch_hosts")
    @classmethod
    def _full_urls(cls, hosts: list[str]) -> list[str]:
        """The client needs scheme, host and port; without one it is the scheme's, as in Kibana."""
        return [_full_url(host) for host in hosts] or _no_host()

    @field_validator("reindex_cluster_id")
    @classmethod
    def _cluster_id(cls, value: str) -> str:
        if value == SERVICE:
            raise ValueError("is what the database has for the service itself; choose another")
        return value

    @field_validator("server_publicbaseurl")
    @classmethod
    def _public(cls, value: str | None) -> str | None:
        if value is not None:
            parts = urlsplit(value)
            if parts.scheme not in ("http", "https") or not parts.hostname:
                raise ValueError("must be a full URL such as https://reindex.example")
        return value

    @field_validator("*", mode="before")
    @classmethod
    def _without_line_break(cls, value: Any, info: ValidationInfo) -> Any:
        """A secret is often written to a file, and so into a variable, with a line break at its
        end, which is no part of it."""
        assert info.field_name
        if isinstance(value, str) and is_secret(cls.model_fields[info.field_name]):
            return plain(value) or _empty()
        return value

    @field_validator(
        "server_username",
        "server_password",
        "server_apikey",
        "server_metrics_token",
        "elasticsearch_username",
        "elasticsearch_apikey",
        "elasticsearch_serviceaccounttoken",
        "elasticsearch_customheaders",
    )
    @classmethod
    def _can_be_sent(cls, value: Any, info: ValidationInfo) -> Any:
        assert info.field_name
        text = value.get_secret_value() if isinstance(value, SecretStr) else value
        if text is not None:
            check_sendable(info.field_name, text)
        return value

    @model_validator(mode="after")
    def _one_login(self) -> Settings:
        logins = {
            "ELASTICSEARCH_APIKEY": self.elasticsearch_apikey,
            "ELASTICSEARCH_USERNAME": self.elasticsearch_username,
            "ELASTICSEARCH_SERVICEACCOUNTTOKEN": self.elasticsearch_serviceaccounttoken,
        }
        given = [name for name, value in logins.items() if value]
        if len(given) > 1:
            raise ValueError(f"set {' or '.join(given)}, not both")
        if bool(self.elasticsearch_username) != bool(self.elasticsearch_password):
            raise ValueError("set ELASTICSEARCH_USERNAME and ELASTICSEARCH_PASSWORD, or neither")
        if bool(self.server_username) != bool(self.server_password):
            raise ValueError("set SERVER_USERNAME and SERVER_PASSWORD, or neither")
        return self

    @model_validator(mode="after")
    def _ways_in(self) -> Settings:
        """A way that is named is open, and none that is set is left closed by mistake."""
        ways = self.server_auth or ()
        login = "SERVER_USERNAME and SERVER_PASSWORD, or SERVER_APIKEY"
        if Auth.NONE in ways and len(ways) > 1:
            raise ValueError("SERVER_AUTH: none lets everybody in, so name it alone")
        if Auth.NONE in ways and self.has_login:
            raise ValueError(f"SERVER_AUTH is none: take away {login}, or name login")
        if Auth.LOGIN in ways and not self.has_login:
            raise ValueError(f"SERVER_AUTH names login: set {login}")
        return self

    @model_validator(mode="after")
    def _whole_tls(self) -> Settings:
        pairs = {
            "ELASTICSEARCH_SSL": (
                self.elasticsearch_ssl_certificate,
                self.elasticsearch_ssl_key,
                self.elasticsearch_ssl_keypassphrase,
            ),
            "SERVER_SSL": (
                self.server_ssl_certificate,
                self.server_ssl_key,
                self.server_ssl_keypassphrase,
            ),
        }
        for name, (certificate, key, passphrase) in pairs.items():
            if bool(certificate) != bool(key):
                raise ValueError(f"set {name}_CERTIFICATE and {name}_KEY, or neither")
            if certificate and key:
                opens = passphrase.get_secret_value() if passphrase else None
                load_pair(_context(), name, certificate, key, opens)
        if authorities := self.elasticsearch_ssl_certificateauthorities:
            load_authorities(_context(), "ELASTICSEARCH_SSL_CERTIFICATEAUTHORITIES", authorities)
        if self.elasticsearch_ssl_fingerprint and self.elasticsearch_ssl_certificate:
            raise ValueError(
                "ELASTICSEARCH_SSL_FINGERPRINT does not go with a client certificate; "
                "use ELASTICSEARCH_SSL_CERTIFICATEAUTHORITIES"
            )
        return self

    def secret(self, name: str) -> Callable[[], str | None]:
        """A secret whenever it is asked for: that of a file is read again when the file changes.

        What is answered raises `ValueError` for a file that cannot be read, of those settings alone
        that the service can do without."""
        if name in READ_LATER:
            return LateSecret(name.upper(), self._plain(name))
        given = self._plain(name)
        check = partial(check_sendable, name)
        return SecretFile.of(name.upper(), given, check) or (lambda: given)

    def secrets(self) -> set[str]:
        """All that must not be shown, also as it is sent."""
        found = {
            value.get_secret_value()
            for name, field in type(self).model_fields.items()
            if is_secret(field) and name != "database_url" and (value := getattr(self, name))
        }
        headers = custom_headers(self._plain("elasticsearch_customheaders"))
        found |= {value for value in headers.values() if len(value) >= SHORT}  # not every tenant
        found |= set(written_keys(self._plain("reindex_secret_keys") or ""))
        for service in ("elasticsearch", "server"):
            password = self._plain(f"{service}_password")
            if password:
                found.add(basic(getattr(self, f"{service}_username"), password))
        return found | passwords_of(self.database_url.get_secret_value())

    def _plain(self, name: str) -> str | None:
        value: SecretStr | None = getattr(self, name)
        return value.get_secret_value() if value else None

    @property
    def public_origin(self) -> str:
        """As a browser names the pages that people see; empty where nothing is set."""
        parts = urlsplit((self.server_publicbaseurl or "").lower())
        usual = {"https": ":443", "http": ":80"}.get(parts.scheme, "")
        host = parts.netloc.removesuffix(usual) if usual else parts.netloc
        return f"{parts.scheme}://{host}" if host else ""

    @property
    def auth(self) -> tuple[Auth, ...]:
        """The ways in that are open. Unless somebody names them: the login, where one is set."""
        return self.server_auth or ((Auth.LOGIN,) if self.has_login else (Auth.NONE,))

    @property
    def guarded(self) -> bool:
        """True where callers have to log in."""
        return Auth.NONE not in self.auth

    @property
    def has_login(self) -> bool:
        """True where a login is set, be it open or not."""
        return bool(self.server_username or self.server_apikey)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Secrets also from the files that `NAME_FILE` names."""
        del dotenv_settings, file_secret_settings
        return init_settings, env_settings, SecretFiles(settings_cls)


_MEANT = {
    "ELASTICSEARCH_API_KEY": "ELASTICSEARCH_APIKEY",
    "ELASTICSEARCH_CA_CERTS": "ELASTICSEARCH_SSL_CERTIFICATEAUTHORITIES",
    "ELASTICSEARCH_CLOUD_ID": "ELASTICSEARCH_HOSTS",
    "ELASTICSEARCH_HOST": "ELASTICSEARCH_HOSTS",
    "ELASTICSEARCH_PINGTIMEOUT": "ELASTICSEARCH_REQUESTTIMEOUT",
    "ELASTICSEARCH_SERVICE_ACCOUNT_TOKEN": "ELASTICSEARCH_SERVICEACCOUNTTOKEN",
    "ELASTICSEARCH_SERVICE_TOKEN": "ELASTICSEARCH_SERVICEACCOUNTTOKEN",
    "ELASTICSEARCH_TOKEN": "ELASTICSEARCH_SERVICEACCOUNTTOKEN",
    "ELASTICSEARCH_URL": "ELASTICSEARCH_HOSTS",
    "ELASTICSEARCH_USER": "ELASTICSEARCH_USERNAME",
}
"""What others call some of the settings."""

_OF_AN_ORCHESTRATOR = re.compile(
    r"ELASTICSEARCH_(PORT(_\d+_(TCP|UDP)(_(ADDR|PORT|PROTO))?)?|SERVICE_(HOST|PORT(_\w+)?)|TEST_\w+)"
)
"""Made of a service's name by Kubernetes and Docker; and what our own tests are told."""


def misspelt(names: Iterable[str]) -> list[tuple[str, str | None]]:
    """Variables that look like ours and are none, each with the one that may be meant.

    `REINDEX_QUEUE_…` are the command line's, and what orchestrators make of a service's name.
    """
    fields = Settings.model_fields.items()
    known = {name.upper() for name, _ in fields}
    known |= {f"{n.upper()}{SUFFIX}" for n, field in fields if is_secret(field)}
    odd = [
        name
        for name in sorted(names)
        if name.startswith(("ELASTICSEARCH_", "REINDEX_", "SERVER_"))
        and not name.startswith("REINDEX_QUEUE_")
        and not _OF_AN_ORCHESTRATOR.fullmatch(name)
        and name not in known
    ]
    return [(name, _meant(name, known)) for name in odd]


def _meant(name: str, known: Iterable[str]) -> str | None:
    plain = name.removesuffix(SUFFIX)
    return _MEANT.get(plain) or next(iter(get_close_matches(name, known, 1)), None)


def _network(text: str) -> str:
    try:
        network = ipaddress.ip_network(text)
    except ValueError:
        raise ValueError(
            f"{text[:60]!r} is no address and no network; write them as 10.0.0.5 or 10.1.0.0/16"
        ) from None
    return text if "/" in text else str(network.network_address)


def _parsed(parse: Callable[[str], T], text: str) -> T:
    """A refusal of the domain as what pydantic tells with the variable at fault."""
    try:
        return parse(text)
    except Refused as error:
        raise ValueError(error.message) from error


def _context() -> ssl.SSLContext:
    """To read files with as TLS would, so that a wrong one is told at the start."""
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def _empty() -> str:
    raise ValueError("is empty")


def _no_host() -> list[str]:
    raise ValueError("names no host")


def _full_url(host: str) -> str:
    wrong = ValueError("must be full URLs such as http://localhost:9200")
    try:
        parts = urlsplit(host)
        port = parts.port
    except ValueError:
        raise wrong from None
    if "@" in parts.netloc:
        raise ValueError(
            "must not contain a user name or password; "
            "use ELASTICSEARCH_USERNAME and ELASTICSEARCH_PASSWORD"
        )
    known = parts.scheme in ("http", "https") and parts.hostname
    if not known or parts.query or parts.fragment or " " in host or parts.netloc.endswith(":"):
        raise wrong
    default = 443 if parts.scheme == "https" else 80
    authority = parts.netloc if port is not None else f"{parts.netloc}:{default}"
    return f"{parts.scheme}://{authority}{parts.path}"
