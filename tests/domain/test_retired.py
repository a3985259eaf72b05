"""What only a new index of 8.x refuses, and what it becomes."""

from __future__ import annotations

from typing import Any

from app.domain.index_settings import retired, without_defaults


def test_each_is_named_with_its_field_and_what_it_becomes() -> None:
    inner = {"middle": {"type": "keyword", "fields": {"deep": {"type": "keyword"}}}}
    contexts = [{"name": f"c{n}", "type": "category"} for n in range(12)]
    properties: dict[str, Any] = {
        "title": {"type": "text", "boost": 2},
        "o": {"properties": {"day": {"type": "date", "format": "basicDate||yyyyMdd||x"}}},
        "at": {"type": "date_range", "format": "strictDateOptionalTime"},
        "suggest": {"type": "completion", "contexts": contexts},
        "outer": {"type": "keyword", "fields": inner},
    }
    mappings = {"_field_names": {"enabled": False}, "properties": properties}
    settings = {"index.analysis.filter.own.type": "nGram", "index.codec": "default"}
    assert sorted(retired(mappings, settings)) == [
        "12 contexts of suggest: 10 at most",
        "_field_names (enabled): leave it out",
        "boost 2 of title: give it to the query",
        "format basicDate of o.day: basic_date",
        "format strictDateOptionalTime of at: strict_date_optional_time",
        "the multi-fields of outer.middle: copy_to another field",
        "type nGram of filter.own: ngram",
    ]


def test_what_8_takes_is_not_named() -> None:
    properties: dict[str, Any] = {
        "boost": {"type": "keyword", "fields": {"t": {"type": "text"}}},
        "day": {"type": "date", "format": "yyyy-MM-dd'T'HH:mm||date_time||week_date"},
        "c": {"type": "completion", "contexts": [{"name": "c", "type": "category"}]},
    }
    assert retired({"_field_names": {"enabled": True}, "properties": properties}, {}) == []


def test_a_default_that_was_said_is_left_out() -> None:
    mappings = {"_field_names": {"enabled": True}, "dynamic": "strict"}
    assert without_defaults(mappings) == {"dynamic": "strict"}
    assert without_defaults({"_field_names": {"enabled": "true"}}) == {}
    kept: dict[str, Any] = {"_field_names": {"enabled": False}}
    assert without_defaults(kept) == kept
