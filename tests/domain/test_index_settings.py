"""Index settings: what must be equal between source and target, and what may differ."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.index_settings import (
    ALLOCATION,
    BLOCKS,
    DEPRECATED,
    GONE,
    RESTORED,
    STAMP,
    WHILE_COPYING,
    added_mappings,
    blocks_on,
    copied,
    differing_settings,
    missing_mappings,
    to_restore,
)

KEYS = st.sampled_from(["index.number_of_shards", "index.codec", "index.mode", "index.sort.field"])
FLAT = st.dictionaries(KEYS, st.sampled_from(["1", "2", "best_compression"]), max_size=4)
TREES: st.SearchStrategy[Any] = st.recursive(
    st.sampled_from(["keyword", "long", True, 3]),
    lambda inner: st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=12,
)
MAPPINGS = st.dictionaries(st.sampled_from("abcd"), TREES, max_size=4)

OWN_TO_EACH_INDEX = {
    "index.uuid": "u",
    "index.creation_date": "1",
    "index.provided_name": "n",
    "index.version.created": "7171599",
    "index.version.upgraded": "8536000",
    "index.history.uuid": "h",
    "index.verified_before_close": "true",
    "index.verified_read_only": "true",
    "index.blocks.write": "true",
    "index.resize.source.name": "other",
    "index.number_of_routing_shards": "30",
    STAMP: "an operation",
}

KIBANAS_PRIVATE = (
    "index.allocation.existing_shards_allocator",
    "index.blocks.write",
    "index.creation_date",
    "index.frozen",
    "index.history.uuid",
    "index.merge.enabled",
    "index.provided_name",
    "index.resize.source.name",
    "index.resize.source.uuid",
    "index.routing.allocation.initial_recovery._id",
    "index.search.throttled",
    "index.source_only",
    "index.shrink.source.name",
    "index.shrink.source.uuid",
    "index.store.snapshot.repository_name",
    "index.store.snapshot.snapshot_name",
    "index.store.snapshot.snapshot_uuid",
    "index.store.snapshot.index_name",
    "index.store.snapshot.index_uuid",
    "index.uuid",
    "index.verified_before_close",
    "index.version.created",
    "index.mapper.dynamic",
    "index.version.upgraded",
)


@given(FLAT)
def test_equal_settings_do_not_differ(flat: dict[str, str]) -> None:
    assert differing_settings(flat, dict(flat)) == []


@given(FLAT, FLAT)
def test_each_differing_key_is_named_once_with_both_values(
    source: dict[str, str], target: dict[str, str]
) -> None:
    said = differing_settings(source, target)
    differing = [key for key in sorted({*source, *target}) if source.get(key) != target.get(key)]
    assert [line.split(" ")[0] for line in said] == differing
    for key, line in zip(differing, said, strict=True):
        assert source.get(key, "not set") in line
        assert target.get(key, "not set") in line


@pytest.mark.parametrize("key", [*OWN_TO_EACH_INDEX, *WHILE_COPYING])
def test_what_belongs_to_one_index_or_to_the_copy_is_not_a_difference(key: str) -> None:
    values = {**OWN_TO_EACH_INDEX, **WHILE_COPYING}
    assert differing_settings({}, {key: values[key]}) == []
    assert differing_settings({key: values[key]}, {}) == []


def test_a_lost_and_an_added_setting_are_differences() -> None:
    assert differing_settings({"index.codec": "best_compression"}, {}) == [
        "index.codec (best_compression → not set)"
    ]
    assert differing_settings({}, {"index.mapping.total_fields.limit": "5"}) == [
        "index.mapping.total_fields.limit (not set → 5)"
    ]


@pytest.mark.parametrize("key", sorted(GONE))
def test_a_setting_of_7_that_a_new_index_cannot_have_may_be_missing(key: str) -> None:
    assert differing_settings({key: "1"}, {}) == []
    assert differing_settings({"archived.index.of.a.plugin": "1"}, {}) == []


# --- what is copied where the cluster has no `_create_from` (Kibana's tests S1 to S4)


def test_of_no_settings_nothing_is_copied() -> None:
    assert copied({}) == {}


def test_private_and_deprecated_settings_are_not_copied() -> None:
    private = dict.fromkeys([*KIBANAS_PRIVATE, *DEPRECATED], "x")
    shards = {"index.number_of_shards": "5"}
    assert copied({**private, **shards, "index.number_of_replicas": "1"}) == shards


@pytest.mark.parametrize("key", ["index.translog.retention.size", "index.translog.retention.age"])
def test_translog_retention_goes_with_soft_deletes_and_stays_without(key: str) -> None:
    assert copied({key: "1", "index.soft_deletes.enabled": "true"}) == {}
    assert copied({key: "1", "index.soft_deletes.enabled": "false"}) == {key: "1"}
    assert copied({key: "1"}) == {key: "1"}


def test_what_the_copy_overrides_is_remembered_also_where_it_was_not_set() -> None:
    found = to_restore({"index.number_of_replicas": "2", "index.hidden": "true"})
    assert set(found) == {*RESTORED, "index.hidden"} == {*WHILE_COPYING, ALLOCATION}
    assert found["index.number_of_replicas"] == "2"
    assert found["index.hidden"] == "true"
    assert found["index.refresh_interval"] is None


def test_blocks_are_those_that_are_on() -> None:
    flat = {"index.blocks.write": "true", "index.blocks.read": "false", "index.codec": "true"}
    assert blocks_on(flat) == {"index.blocks.write": "true"}
    all_on: dict[str, str] = dict.fromkeys(BLOCKS, "true")
    assert blocks_on(all_on) == all_on
    assert blocks_on({}) == {}


@given(MAPPINGS)
def test_equal_mappings_have_nothing_missing_or_added(mappings: dict[str, Any]) -> None:
    assert missing_mappings(mappings, mappings) == []
    assert added_mappings(mappings, mappings) == []


@given(MAPPINGS, MAPPINGS)
def test_mappings_are_equal_exactly_if_nothing_is_missing_or_added(
    source: dict[str, Any], target: dict[str, Any]
) -> None:
    said = [*missing_mappings(source, target), *added_mappings(source, target)]
    assert bool(said) == (source != target)


def test_missing_changed_and_added_fields_are_told_by_their_paths() -> None:
    source = {"properties": {"a": {"type": "long"}, "b": {"type": "keyword"}, "c": {}}}
    target = {"properties": {"a": {"type": "text"}, "c": {}, "d": {"type": "ip"}}}
    assert missing_mappings(source, target) == ["properties.b", "properties.a.type"]
    assert added_mappings(source, target) == ["properties.d"]
