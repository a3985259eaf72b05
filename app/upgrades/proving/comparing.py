"""Comparing documents of both sides. Pure: documents in, words out."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any, cast

from app.domain.errors import DocumentsDiffer
from app.domain.operation import Operation
from app.elastic.answers import Document

ROUNDING = 1e-6
"""A few of the smallest steps of a 32-bit floating-point number."""
SHOWN = 10
"""Differing documents that an error names."""
_SHOWN_CHARACTERS = 60


@dataclass(frozen=True)
class Measure:
    """What must be the same. `versions` False: Elasticsearch counts them itself (a time series).

    `vectors`: they are kept apart from `_source` and put into it again (9.2 and newer). Those of
    similarity `cosine` are kept at length 1, so that each copy may round them differently (9.4).
    """

    versions: bool
    vectors: bool


def differences(
    source: Sequence[Document], target: Sequence[Document], measure: Measure
) -> list[str]:
    """The documents of `source` that `target` lacks or has otherwise, in words."""
    found = {(document.id, document.routing): document for document in target}
    faults: list[str] = []
    for document in source:
        other = found.get((document.id, document.routing))
        words = ["missing"] if other is None else list(_differing(document, other, measure))
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


def _differing(left: Document, right: Document, measure: Measure) -> Iterator[str]:
    if measure.versions and left.version != right.version:
        yield f"_version {left.version} → {right.version}"
    if left.source != right.source and not _same(left.source, right.source, measure):
        yield "_source"


def _same(left: bytes, right: bytes, measure: Measure) -> bool:
    """Whether they are the same JSON, written otherwise."""
    try:
        one, other = json.loads(left), json.loads(right)
        return _canonical(one) == _canonical(other) or (measure.vectors and _alike(one, other))
    except (RecursionError, ValueError):  # nested too deeply, a number of too many digits
        return False


def _canonical(source: Any) -> str:
    """The same for the same JSON; as Python values 1, 1.0 and true would be equal."""
    return json.dumps(source, sort_keys=True)


def _alike(left: Any, right: Any) -> bool:
    """The same but for the rounding of vectors: lists of floating-point numbers."""
    if isinstance(left, dict) and isinstance(right, dict):
        one, other = cast(dict[str, Any], left), cast(dict[str, Any], right)
        return one.keys() == other.keys() and all(_alike(one[key], other[key]) for key in one)
    if isinstance(left, list) and isinstance(right, list):
        pairs = list(zip_longest(cast(list[Any], left), cast(list[Any], right)))
        if all(isinstance(a, float) and isinstance(b, float) for a, b in pairs):
            return all(math.isclose(a, b, rel_tol=ROUNDING) for a, b in pairs)
        return all(_alike(a, b) for a, b in pairs)
    return _canonical(left) == _canonical(right)


def _shown(document: Document) -> str:
    shown = document.id[:_SHOWN_CHARACTERS] + ("…" if len(document.id) > _SHOWN_CHARACTERS else "")
    return f"{shown} with routing {document.routing}" if document.routing else shown
