"""Comparing documents of both sides. Pure: documents in, words out."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

import orjson

from app.domain.errors import DocumentsDiffer
from app.domain.operation import Operation
from app.elastic.answers import Document

SHOWN = 10
"""Differing documents that an error names."""
_SHOWN_CHARACTERS = 60


def differences(
    source: Sequence[Document], target: Sequence[Document], *, versions: bool
) -> list[str]:
    """The documents of `source` that `target` lacks or has otherwise, in words.

    `versions` False: Elasticsearch counts them itself (a time series).
    """
    found = {(document.id, document.routing): document for document in target}
    faults: list[str] = []
    for document in source:
        other = found.get((document.id, document.routing))
        words = ["missing"] if other is None else list(_differing(document, other, versions))
        if words:
            faults.append(f"{_shown(document)} ({', '.join(words)})")
    return faults


def refuse(operation: Operation, faults: Sequence[str]) -> None:
    """Raises the `DocumentsDiffer` that names the first of `faults`, if there are any."""
    if not faults:
        return
    more = f" and {len(faults) - SHOWN} more" if len(faults) > SHOWN else ""
    raise DocumentsDiffer(
        f"Documents in {operation.new_index_name} are not as in {operation.source_name}, though "
        f"their number is the same: {'; '.join(faults[:SHOWN])}{more}. Both indices were kept: "
        f"{operation.source_name} is as before. Look at both, then post the index again."
    )


def _differing(left: Document, right: Document, versions: bool) -> Iterator[str]:
    if versions and left.version != right.version:
        yield f"_version {left.version} → {right.version}"
    if _canonical(left.source) != _canonical(right.source):
        yield "_source"


def _canonical(source: Any) -> bytes:
    """The same bytes for the same JSON; as Python values 1, 1.0 and true would be equal."""
    try:
        return orjson.dumps(source, option=orjson.OPT_SORT_KEYS)
    except TypeError:  # half a surrogate pair, a number of more than 64 bits
        return json.dumps(source, sort_keys=True).encode()


def _shown(document: Document) -> str:
    shown = document.id[:_SHOWN_CHARACTERS] + ("…" if len(document.id) > _SHOWN_CHARACTERS else "")
    return f"{shown} with routing {document.routing}" if document.routing else shown
