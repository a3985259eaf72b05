"""Documents that Elasticsearch takes though they are no JSON, or no JSON that Python reads."""

from __future__ import annotations

from urllib.parse import quote

from tests.elasticsearch import Elastic


def nested(levels: int) -> bytes:
    return b'{"a":' * levels + b"1" + b"}" * levels


ODD: dict[str, bytes] = {
    "plain": b'{"n":1}',
    "comment": b'{/* } "_source": hi " */"n":1}',
    "line comment": b'{"n":1 // } hi "\n}',
    "comment behind": b'{"n":1}/* x } */',
    "open comment behind": b'{"n":1} // ,"matched_queries":["x"]}]}}',
    "byte order mark": b'\xef\xbb\xbf{"n":1}',
    "space around": b'  {"n":1}  \n ',
    "utf-16": '{"n":1}'.encode("utf-16-le"),
    "half a pair": b'{"t":"\\ud800"}',
    "half a pair, raw": b'{"t":"\xed\xa0\x80"}',
    "overlong": b'{"t":"\xc0\x80"}',
    "beyond unicode": b'{"t":"\xf5\x80\x80\x80"}',
    "huge": b'{"n":' + b"9" * 400 + b"}",
    "exponent": b'{"n":1e400}',
    "digits": b'{"n":0.12345678901234567890123456789}',
    "none": b"{}",
    "levels": nested(900),
}
"""As 7.17, 8.19 and 9.4 take and keep them, by their ids."""

BINARY: dict[str, tuple[str, bytes]] = {
    "yaml": ("application/yaml", b"---\na: 1\n"),
    "cbor": ("application/cbor", bytes.fromhex("a16161fb7ff8000000000000")),
    "smile": ("application/smile", bytes.fromhex("3a290a01fa8061c2fb")),
}
"""Others that they turn into JSON where they show them."""


def put_odd_ones(es: Elastic, index: str) -> None:
    """Into an index that looks at no field; refreshed."""
    for name, source in ODD.items():
        es.put_as_it_is(f"/{index}/_doc/{quote(name)}", source)
    for name, (kind, source) in BINARY.items():
        es.put_as_it_is(f"/{index}/_doc/{name}", source, kind)
    es.post(f"/{index}/_refresh")


def kept_sources(es: Elastic, index: str) -> dict[str, bytes]:
    """What `index` has of them now, byte for byte."""
    ids = [*ODD, *BINARY]
    return {name: es.request("GET", f"/{index}/_source/{quote(name)}").content for name in ids}
