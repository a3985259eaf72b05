"""Kibana's warnings: two always, a third for deprecated settings on 8.x."""

from __future__ import annotations

from app.domain.compatibility import type_lost, warnings_of

STANDING = ["makeIndexReadonly", "replaceIndexWithAlias"]


def kinds(settings: dict[str, str], major: int) -> list[str]:
    return [warning["warningType"] for warning in warnings_of(settings, major)]


def test_a_clean_index_has_the_two_standing_warnings_in_order() -> None:
    assert kinds({"index.number_of_replicas": "1"}, 8) == STANDING


def test_deprecated_settings_are_named_in_their_order_on_8() -> None:
    settings = {
        "index.soft_deletes.enabled": "true",
        "index.force_memory_term_dictionary": "true",
        "index.translog.retention.age": "5d",
    }
    assert kinds(settings, 8) == [*STANDING, "indexSetting"]
    assert warnings_of(settings, 8)[-1]["meta"] == {
        "deprecatedSettings": [
            "index.soft_deletes.enabled",
            "index.force_memory_term_dictionary",
            "index.translog.retention.age",
        ]
    }
    assert kinds(settings, 9) == STANDING


def test_retention_alone_is_not_deprecated() -> None:
    assert kinds({"index.translog.retention.age": "5d"}, 8) == STANDING


def test_a_mapping_type_of_its_own_is_warned_of_where_it_can_be_named() -> None:
    text = type_lost("books", "book", 7)
    assert text is not None
    assert "mapping type book of books becomes _doc" in text
    assert type_lost("books", "_doc", 7) is None
    assert type_lost("books", "book", 8) is None  # no request of 8.x names a type
