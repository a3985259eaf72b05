"""Taking documents out of an answer that is not JSON as a whole.

A search puts each `_source` into its answer byte for byte as it was sent, and Elasticsearch takes
more than JSON is: comments, also an open one at the end, a byte order mark, UTF-16, UTF-8 that is
none, any nesting (7.17), 1,000 levels (8.19, 9.4). All of that is copied as it is. Where such a
document ends is not to be seen by reading it, so each gets a mark behind it: the name of the query
that found it, which comes after `_source` in a hit (7.17, 8.19, 9.4). The name is made for one
request, so no document has it.

Having Elasticsearch write `_source` anew (by filtering it, or as CBOR) would be no way: that rounds
numbers, and a deep document ends the node (7.17) or the connection (8.19, 9.4).
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping
from typing import Any, cast

import orjson
from msgspec import Raw

_FIRST_HIT, _SOURCE = b'"hits":[', b',"_source":'


def new_name() -> str:
    """For one request."""
    return f"rq-{secrets.token_hex(16)}"


def named(query: Mapping[str, Any], name: str) -> dict[str, Any]:
    """`query`, whose hits carry `name` behind their `_source`."""
    return {"bool": {"must": [query], "_name": name}}


def unframed(data: bytes, name: str) -> dict[str, Any]:
    """The answer to a search by a query of that name, each `_source` as its bytes.

    Raises `ValueError` where it is not one.
    """
    *hits, tail = data.split(b',"matched_queries":["' + name.encode() + b'"]}')
    if not hits:
        return _object(data)
    head, found, hits[0] = hits[0].partition(_FIRST_HIT)
    if not found:
        raise ValueError("a search without hits")
    answer = _object(head + _FIRST_HIT + tail)
    answer["hits"]["hits"] = list(_documents(hits))
    return answer


def _documents(hits: list[bytes]) -> Iterator[dict[str, Any]]:
    """A quote inside of a string is escaped, so the first `_source` is the hit's own."""
    for hit in hits:
        about, found, source = hit.removeprefix(b",").partition(_SOURCE)
        document = _object(about + b"}")
        yield {**document, "_source": Raw(source)} if found else document


def _object(data: bytes) -> dict[str, Any]:
    found = orjson.loads(data)
    if not isinstance(found, dict):
        raise ValueError("not an object")
    return cast(dict[str, Any], found)
