"""The settings, all from the environment; named as Kibana's image names them where it has them."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict


class Settings(BaseSettings):
    """Read once at start. Raises pydantic's `ValidationError` naming the variable at fault."""

    model_config = SettingsConfigDict(extra="ignore", frozen=True, hide_input_in_errors=True)

    elasticsearch_hosts: Annotated[list[str], NoDecode] = ["http://localhost:9200"]
    elasticsearch_username: str | None = None
    elasticsearch_password: SecretStr | None = None
    elasticsearch_apikey: SecretStr | None = None
    database_url: SecretStr = SecretStr("sqlite:///reindex-queue.db")
    server_host: str = "127.0.0.1"
    server_port: int = Field(default=5602, ge=0, le=65535)
    server_basepath: str = Field(default="", pattern="^(/.*[^/])?$")
    server_xsrf_disableprotection: bool = True
    reindex_cluster_id: str = Field(default="default", min_length=1, max_length=64)
    reindex_prefix_major: int | None = Field(default=None, ge=7, le=99)
    reindex_max_singles: int = Field(default=2, ge=1, le=20)
    reindex_window_documents: int = Field(default=500_000, ge=1)
    reindex_batch_documents: int = Field(default=2_000, ge=1, le=10_000)
    reindex_windows_in_flight: int = Field(default=3, ge=1, le=50)
    reindex_synchronous_documents: int = Field(default=1_000, ge=0, le=10_000)
    reindex_hold_policy: Literal["wait", "skip"] = "wait"
    reindex_hold_skip_seconds: float = Field(default=60.0, ge=0.0)
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

    @field_validator("elasticsearch_hosts")
    @classmethod
    def _full_urls(cls, hosts: list[str]) -> list[str]:
        """The client needs scheme, host and port: the port defaults to 9200, as in Kibana."""
        return [_full_url(host) for host in hosts] or _no_host()

    @field_validator(
        "elasticsearch_username",
        "elasticsearch_password",
        "elasticsearch_apikey",
        "reindex_prefix_major",
        mode="before",
    )
    @classmethod
    def _empty_is_unset(cls, value: Any) -> Any:
        """A container file often passes every variable on, also those that nobody has set."""
        return None if value == "" else value

    @model_validator(mode="after")
    def _one_login(self) -> Settings:
        if self.elasticsearch_apikey and self.elasticsearch_username:
            raise ValueError("set ELASTICSEARCH_APIKEY or ELASTICSEARCH_USERNAME, not both")
        if bool(self.elasticsearch_username) != bool(self.elasticsearch_password):
            raise ValueError("set ELASTICSEARCH_USERNAME and ELASTICSEARCH_PASSWORD, or neither")
        return self


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
    authority = parts.netloc if port is not None else f"{parts.netloc}:9200"
    return f"{parts.scheme}://{authority}{parts.path}"
