"""What a target has otherwise than its source while it is filled."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from app.domain.filling import (
    RAISED,
    as_limited,
    closed_to_new_fields,
    dynamic_closed,
    dynamic_request,
    dynamic_set,
    limits_for_documents,
    limits_given_back,
    limits_raised,
)
from app.domain.index_settings import missing_mappings

_LEAF: st.SearchStrategy[Any] = st.sampled_from(
    [{"type": "keyword"}, {"type": "flattened"}, {"type": "long"}]
)
_SET: list[dict[str, str]] = [{"dynamic": d} for d in ("true", "false", "strict", "runtime")]
_DYNAMIC = st.sampled_from([{}, *_SET])
_KINDS: list[dict[str, Any]] = [{"type": "object"}, {"type": "nested", "include_in_root": True}]
_KIND = st.sampled_from([{}, *_KINDS])


def _level(dynamic: Any, kind: Any, fields: Any) -> Any:
    return {**kind, **dynamic, "properties": fields}


def _object(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    fields = st.dictionaries(st.sampled_from(["a", "dynamic", "properties"]), inner, max_size=3)
    return st.builds(_level, _DYNAMIC, _KIND, fields)


_FIELD: st.SearchStrategy[Any] = st.recursive(_LEAF, _object, max_leaves=8)
_FIELDS = st.dictionaries(st.sampled_from("ab"), _FIELD, max_size=2)
MAPPINGS: st.SearchStrategy[Any] = st.builds(_level, _DYNAMIC, st.just({}), _FIELDS)


def _opened(level: Any) -> list[str]:
    """Every `dynamic` that is set, by an independent walk."""
    found = [level["dynamic"]] if "dynamic" in level else []
    for child in level.get("properties", {}).values():
        if child.get("type", "object") in ("object", "nested"):
            found += _opened(child)
    return found


@given(MAPPINGS)
def test_a_closed_mapping_sets_no_dynamic_but_false_and_changes_nothing_else(mappings: Any) -> None:
    closed = closed_to_new_fields(mappings)
    assert set(_opened(closed)) <= {"false"}
    assert len(_opened(closed)) == len(_opened(mappings))
    assert all(path.endswith("dynamic") for path in missing_mappings(mappings, closed))


@given(MAPPINGS)
def test_what_is_given_back_makes_the_mapping_what_it_was(mappings: Any) -> None:
    closed = closed_to_new_fields(mappings)
    assert _merged(closed, dynamic_set(mappings)) == mappings
    request = dynamic_request(mappings)
    assert not missing_mappings(dynamic_set(mappings), _merged(closed, request))
    assert bool(request) == bool(dynamic_closed(mappings)) == (closed != mappings)


def _merged(tree: Any, part: Any) -> Any:
    merged: dict[str, Any] = dict(tree)
    for key, value in part.items():
        merged[key] = _merged(tree[key], value) if isinstance(value, dict) else value
    return merged


def test_a_mapping_may_be_as_deep_as_its_limit_lets_it() -> None:
    """Deeper than Python calls itself."""
    mappings: dict[str, Any] = {"type": "nested", "dynamic": "strict"}
    for _ in range(1_500):
        mappings = {"properties": {"o": mappings}}
    closed = closed_to_new_fields(mappings)
    assert len(missing_mappings(mappings, closed)) == 1
    assert not missing_mappings(dynamic_set(mappings), mappings)
    assert dynamic_request(mappings)["properties"]["o"]["type"] == "object"
    assert limits_for_documents(mappings)


def test_an_object_is_named_with_the_parameters_that_cannot_be_changed() -> None:
    rows = {"type": "nested", "include_in_root": True}
    inner = {"o": {"dynamic": "strict", "properties": {"n": {"type": "long"}}}}
    mappings = {"date_detection": False, "properties": {"r": {**rows, "properties": inner}}}
    there = {"type": "object", "dynamic": "strict"}
    assert dynamic_request(mappings) == {"properties": {"r": {**rows, "properties": {"o": there}}}}
    closed = {"type": "object", "dynamic": "false"}
    assert dynamic_request(mappings, "false") == {
        "properties": {"r": {**rows, "properties": {"o": closed}}}
    }


def test_what_is_not_looked_into_is_left_as_it_is() -> None:
    off = {"type": "object", "enabled": False, "dynamic": "strict"}
    assert dynamic_closed({"properties": {"off": off, "n": {"type": "long"}}}) == {}
    assert dynamic_closed({"enabled": False, "dynamic": "strict"}) == {}


def test_raised_limits_are_the_sources_again_whatever_they_were() -> None:
    fields, rows = "index.mapping.total_fields.limit", "index.mapping.nested_objects.limit"
    source = {fields: "5", "index.codec": "default"}
    target = {**source, **RAISED}
    assert as_limited(source, target) == source
    back = limits_given_back(source, target)
    assert back.keys() == RAISED.keys()
    assert (back[fields], back[rows]) == ("5", None)
    assert limits_given_back(source, source) == {}


def test_a_limit_that_drops_fields_is_not_raised() -> None:
    drops = {"index.mapping.total_fields.ignore_dynamic_beyond_limit": "true"}
    assert "index.mapping.total_fields.limit" not in limits_raised(drops)
    assert limits_raised({}) == RAISED


def test_documents_in_documents_are_not_counted_while_they_are_copied() -> None:
    rows = {"properties": {"o": {"properties": {"r": {"type": "nested"}}}}}
    assert limits_for_documents(rows).keys() == {"index.mapping.nested_objects.limit"}
    assert limits_for_documents({"properties": {"nested": {"type": "keyword"}}}) == {}
