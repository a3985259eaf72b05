"""What is wrong with a request, and the remedy, in one sentence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from app.wire.notation import NOT_BLANK, PAGE, PRINTABLE, TIME_OF_DAY

_KINDS: dict[type[Any], str] = {
    dict: "object",
    list: "array",
    str: "string",
    bool: "boolean",
    type(None): "null",
}
_EXPECTED = {
    "list_type": "array",
    "string_type": "string",
    "model_type": "object",
    "model_attributes_type": "object",
    "dict_type": "object",
}
_BOOLEAN, _WHOLE, _NUMBER = "true or false", "a whole number", "a number"
_MUST_BE = {
    "bool_type": _BOOLEAN,
    "bool_parsing": _BOOLEAN,
    "int_type": _WHOLE,
    "int_parsing": _WHOLE,
    "int_parsing_size": _WHOLE,
    "int_from_float": _WHOLE,
    "float_type": _NUMBER,
    "float_parsing": _NUMBER,
    "finite_number": _NUMBER,
    "literal_error": "{expected}",
    "enum": "{expected}",
    "greater_than_equal": "at least {ge:g}",
    "less_than_equal": "at most {le:,.0f}",
}
"""By pydantic's type of the fault; in braces what its context has."""
_PATTERNS = {
    NOT_BLANK: "it must not be blank",
    TIME_OF_DAY: "it must be a time of day, such as 22:00",
    PAGE: "it must be what the page before has as next",
    PRINTABLE: "it must have printable characters of ASCII only",
}


def sentence(error: Mapping[str, Any]) -> str:
    """Of one of pydantic's faults, such as `[request query.limit]: it must be at most 500`.

    What Kibana refuses as well is worded as there.
    """
    where, *path = (str(part) for part in error["loc"])
    kind, given = error["type"], error.get("input")
    context: Mapping[str, Any] = error.get("ctx", {})
    if kind == "said":
        return str(error["msg"])
    if kind == "json_invalid":
        return f"[request body]: not valid JSON: {context['error']}"
    place = f"[request {'.'.join([where, *path])}]"
    if kind in _EXPECTED:
        got = _KINDS.get(cast(type[Any], type(given)), "number")
        return f"{place}: expected value of type [{_EXPECTED[kind]}] but got [{got}]"
    if kind == "missing" and not path:
        return f"{place}: expected value of type [object] but got [undefined]"
    return f"{place}: {_length(kind, given, context) or _words(kind, context) or error['msg']}"


def _length(kind: str, given: Any, context: Mapping[str, Any]) -> str:
    """Empty where the length is not the fault."""
    if kind == "too_long" and not isinstance(given, str):
        size, most = context["actual_length"], context["max_length"]
        return f"array size is [{size}], but cannot be greater than [{most}]"
    if kind in ("too_long", "string_too_long"):
        return f"it has {len(given):,} characters, but may have {context['max_length']:,} at most"
    if kind == "string_too_short":
        return "it must not be empty"
    return "it must have one entry at least" if kind == "too_short" else ""


def _words(kind: str, context: Mapping[str, Any]) -> str:
    """Empty for a fault that has no words of its own."""
    if kind == "missing":
        return "it is missing, and must be sent"
    if kind == "extra_forbidden":
        return "definition for this key is missing. /docs lists the keys."
    if kind == "string_pattern_mismatch":
        return _PATTERNS.get(context["pattern"], "")
    return f"it must be {_MUST_BE[kind]}".format(**context) if kind in _MUST_BE else ""
