"""Answers that are not Elasticsearch's: what in between gave them, and what to do about it."""

from __future__ import annotations

import re
from typing import Any

from elastic_transport import ApiResponseMeta

from app.domain.errors import NotElasticsearch
from app.domain.texts import capped, printable

_TITLE = re.compile(r"<title[^>]*>(.*?)</title>", re.IGNORECASE | re.DOTALL)
_LOOKED_AT = 20_000
_WHERE = "The address in ELASTICSEARCH_HOSTS"


def not_elasticsearch(meta: ApiResponseMeta, body: Any) -> NotElasticsearch:
    """What to say of an answer of that status, whose body is not one of Elasticsearch's."""
    return NotElasticsearch(_sentence(meta, body))


def _sentence(meta: ApiResponseMeta, body: Any) -> str:
    if 300 <= meta.status < 400:
        return (
            f"{_WHERE} answered with a redirect ({meta.status}), which is not followed: name the "
            "cluster's own address."
        )
    if meta.status in (401, 407):
        return (
            f"{_WHERE} leads to a proxy that wants a login of its own ({meta.status}{_realm(meta)})"
            "; Elasticsearch was not asked. Let the service pass there, name the cluster's own "
            "address, or send what the proxy wants with ELASTICSEARCH_CUSTOMHEADERS."
        )
    if page := _page(meta, body):
        return (
            f"{_WHERE} answered with {meta.status}, but not as Elasticsearch does: {page} came. Is "
            "it the login page of a proxy in between? Let the service pass there, or name the "
            "cluster's own address."
        )
    if 200 <= meta.status < 300:
        return (
            f"{_WHERE} answers, but not as Elasticsearch does: the header X-Elastic-Product is "
            "missing. A proxy in between has to let it pass; or it is no Elasticsearch of 7.14 or "
            "newer."
        )
    return f"{_WHERE} answered with {meta.status}, but not as Elasticsearch does."


def _realm(meta: ApiResponseMeta) -> str:
    """As the proxy names itself."""
    asked = meta.headers.get("www-authenticate") or meta.headers.get("proxy-authenticate") or ""
    return f", {printable(capped(asked, 100))}" if asked else ""


def _page(meta: ApiResponseMeta, body: Any) -> str | None:
    """A web page in words; None where it is none."""
    text = body if isinstance(body, str) else ""
    if "html" not in (meta.mimetype or "") and not text.lstrip()[:15].lower().startswith(
        ("<!doctype html", "<html")
    ):
        return None
    found = _TITLE.search(text[:_LOOKED_AT])
    title = " ".join(found.group(1).split()) if found else ""
    return f"a web page (“{printable(capped(title, 100))}”)" if title else "a web page"
