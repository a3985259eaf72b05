"""What Elasticsearch says of documents, without what it quotes of them.

Errors of `_reindex`, `_bulk`, searches and `_ingest/_simulate` quote values: `Preview of field's
value: '…'`, `For input string: "…"`, `failed to parse date field […]`, the prefix of a term as
bytes, whole documents in the request that a full queue or an absent shard has refused (measured
with 7.17 and 8.19). So a text is kept only as far as it is known to be without one: its beginning
has one of the forms below. Error types, names of fields, and ids apart from the texts stay.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, cast

FAILED = "failed to parse"
LEFT_OUT = "what Elasticsearch says of it may quote a document, and is left out"
DEEPEST = 12
_DROPPED = frozenset({"script", "script_stack", "suppressed"})
"""Of a script's error: its stack has lines of the script, which may be made of values."""

_F = r"\[[^\[\]]{1,500}\]"
"""A field or an index by its name."""
_N = r"\[\d{1,20}\]"
_BEGIN = r"(?P<begin>(?:\[\d+:\d+\] )?(?:failed to parse: )?)"
"""Where in the source it is, by line and column, and that it is part of something else."""

_OF_DOCUMENTS = (
    rf"failed to parse field {_F} of type \[\w+\]",
    rf"object mapping for {_F} tried to parse field {_F} as object, but found a concrete value",
    rf"mapping set to strict, dynamic introduction of {_F} within {_F} is not allowed",
    rf"Limit of [a-z ]{{1,40}} {_N} has been exceeded"
    rf"(?: while adding new fields {_N}| due to object field {_F})?",
    rf"Field name {_F} is longer than the limit of {_N} characters",
    rf"The number of nested documents has exceeded the allowed limit of {_N}",
    rf"Cannot write to a field alias {_F}",
    rf"Field {_F} is a metadata field and cannot be added inside a document",
    rf"can't merge an? (?:non )?object mapping {_F} with an? (?:non )?object mapping",
    rf"Error executing script on field {_F}",
    rf"\[routing\] is missing for join field {_F}",
    r"routing is required",
    r"field name cannot (?:contain only (?:dots|whitespace)|be an empty string)",
    r"Failed to parse object: expecting token of type \[\w+\] but found \[\w+\]",
    rf"The provided \[\w+\] field {_F} exceeds the maximum depth limit of {_N}",
    rf"Flattened field {_F} contains one immense field",
    r'Document contains at least one immense term in field="[^"\[\]]{1,500}"',
    r"The \[\w+\] similarity (?:does not support vectors with zero magnitude|"
    r"can only be used with unit-length vectors)",
)
_OF_CLUSTERS = (
    rf"index {_F} blocked by: (?:\[[A-Z_]+/\d+/[\w ,.()-]+\];?)+",
    r"rejected execution of \w+ operation \[(?:\w+=-?\d+(?:, )?)+\]",
    r"\[[\w:/.<>-]+\] Data too large, data for \[[\w:/.<>\[\]-]{1,200}\] would be "
    r"\[[\w./]+\], which is larger than the limit of \[[\w./]+\]",
    rf"{_F}{_N} primary shard is not active",
    rf"{_F}\[[\w.:]+\] Node not connected",
    rf"No search context found for id {_N}",
    rf"Trying to create too many scroll contexts\. Must be less than or equal to: {_N}",
    rf"Batch size is too large, size must be less than or equal to: {_N} but was {_N}",
    rf"no such index {_F}",
    rf"pipeline with id {_F} does not exist",
    r"all shards failed",
    r"Partial shards failure",
)
_WHOLE = tuple(re.compile(_BEGIN + form) for form in (*_OF_DOCUMENTS, *_OF_CLUSTERS))

_WITH_GAPS = (
    (
        rf"(?P<a>The \[\w+\] field {_F}) in doc \[.*\] "
        rf"(?P<b>has a different number of dimensions {_N} than defined in the mapping {_N})",
        "{a} {b}",
    ),
    (rf"(?P<a>unknown join name) \[.*\] (?P<b>for field {_F})", "{a} {b}"),
    (
        r"(?P<a>time series index @timestamp value) \[.*\] "
        r"(?P<b>must be (?:larger|smaller) than [\d.:TZ-]{1,40})",
        "{a} {b}",
    ),
)
"""Forms that have a value in their middle; they are known up to their ends."""
_GAPS = tuple((re.compile(_BEGIN + form, re.DOTALL), told) for form, told in _WITH_GAPS)


def without_values(tree: Any, depth: int = DEEPEST) -> Any:
    """An error, or an answer with errors in it, with every `reason` as `known_part` tells it."""
    if isinstance(tree, list):
        return [without_values(one, depth) for one in cast(list[Any], tree)]
    if not isinstance(tree, Mapping):
        return tree
    if depth == 0:
        return {}
    parts = cast(Mapping[str, Any], tree)
    found = {
        key: without_values(value, depth - 1) for key, value in parts.items() if key not in _DROPPED
    }
    if isinstance(reason := parts.get("reason"), str):
        found["reason"] = _told(reason, found.get("caused_by"))
    return found


def _told(reason: str, inside: Any) -> str:
    """7.17 says no more of some documents than that they failed, and the rest in the cause."""
    if reason == FAILED and isinstance(inside, Mapping):
        told = cast(Mapping[str, Any], inside).get("reason")
        return FAILED if told in (None, LEFT_OUT) else f"{FAILED}: {told}"
    return known_part(reason)


def known_part(reason: str) -> str:
    """As much of a reason as is known to quote no document; `LEFT_OUT` where that is nothing."""
    if reason == FAILED:
        return reason
    for form in _WHOLE:
        if found := form.match(reason):
            return found[0]
    for form, told in _GAPS:
        if found := form.fullmatch(reason):
            return found["begin"] + told.format(a=found["a"], b=found["b"])
    return LEFT_OUT
