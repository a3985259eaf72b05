"""What can be sent in the headers of HTTP: names, secrets, and headers of one's own."""

from __future__ import annotations

import json
import re
from typing import Any, cast

_HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_OURS = frozenset(
    {
        "accept",
        "accept-encoding",
        "authorization",
        "connection",
        "content-encoding",
        "content-length",
        "content-type",
        "host",
        "transfer-encoding",
        "x-opaque-id",
    }
)


def check_sendable(setting: str, text: str) -> None:
    """Raises `ValueError` for a value of that setting (in small letters) that no header carries: a
    login that nobody could send would close every door."""
    if setting in ("elasticsearch_apikey", "elasticsearch_serviceaccounttoken"):
        if not _is_line(text) or " " in text:
            raise ValueError("must be plain ASCII without blanks, as Elasticsearch has given it")
        if setting == "elasticsearch_apikey" and ":" in text:
            raise ValueError("must be the encoded key: id and api_key with a colon, in base64")
    elif setting == "elasticsearch_username":
        if ":" in text or not text.isprintable():
            raise ValueError("must not contain a colon, line breaks or control characters")
    elif setting == "elasticsearch_customheaders":
        custom_headers(text)
    elif setting.startswith("server_"):
        _check_own_login(setting, text)


def _check_own_login(setting: str, text: str) -> None:
    if not text or text != text.strip():
        raise ValueError("must not be empty, nor begin or end with a blank")
    if not text.isprintable():
        raise ValueError("must not contain line breaks or control characters")
    if setting == "server_username" and ":" in text:
        raise ValueError("must not contain a colon")
    if setting in ("server_apikey", "server_metrics_token") and not text.isascii():
        raise ValueError("must be plain ASCII")


def custom_headers(text: str | None) -> dict[str, str]:
    """The headers that every request to Elasticsearch carries besides. Raises `ValueError`."""
    try:
        found: Any = json.loads(text) if text else {}
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise ValueError('must be a JSON object of headers such as {"x-tenant": "one"}')
    for name, value in cast(dict[str, Any], found).items():
        if not _HEADER.fullmatch(name) or not isinstance(value, str) or not _is_line(value):
            raise ValueError("must be headers with a line of plain ASCII each")
        if name.lower() in _OURS:
            raise ValueError(f"must not set {name.lower()}, which the service sets itself")
    return cast(dict[str, str], found)


def _is_line(text: str) -> bool:
    return text.isascii() and text.isprintable()
