"""JSON of the cluster's answers."""

from __future__ import annotations

import json
from typing import Any, NotRequired, TypedDict

import msgspec
import orjson
from elastic_transport import JsonSerializer


class Serializer(JsonSerializer):
    """Reads with orjson, which takes a third of the time.

    What only the standard library understands, such as half a surrogate pair, which Elasticsearch
    stores and gives back as it came, is left to it.
    """

    def json_loads(self, data: bytes) -> Any:
        try:
            return orjson.loads(data)
        except orjson.JSONDecodeError:
            return _slowly(data)


class _Hit(TypedDict):
    _id: str
    _routing: NotRequired[str]
    _version: NotRequired[Any]
    _source: NotRequired[msgspec.Raw]


class _Hits(TypedDict):
    total: Any
    hits: list[_Hit]


class _Page(TypedDict):
    timed_out: Any
    _shards: Any
    hits: _Hits


_page = msgspec.json.Decoder(_Page)


class Unparsed(dict[str, Any]):
    """An answer that is not JSON as a whole: `data` are its bytes. Empty as an object."""

    def __init__(self, data: bytes) -> None:
        super().__init__()
        self.data = data


class PageSerializer(JsonSerializer):
    """Reads an answer to a search and leaves each `_source` as its bytes (`msgspec.Raw`).

    That is exact where numbers are longer than 64 bits, and cheap. An answer of another form is
    read whole; one that is no JSON, since it has the `_source` of documents in it, comes as
    `Unparsed`.
    """

    def json_loads(self, data: bytes) -> Any:
        try:
            return _page.decode(data)
        except msgspec.ValidationError:
            return _slowly(data)
        except (msgspec.DecodeError, RecursionError):
            return Unparsed(data)


def _slowly(data: bytes) -> Any:
    try:
        return json.loads(data)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
