"""Names: what is a concrete index name, and Kibana's rule for the target's."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from app.api.errors import http_status_of
from app.domain.errors import InvalidIndexName
from app.domain.names import MAX_BYTES, IndexName, source_name, target_name

ANY_TEXT = st.text(min_size=0, max_size=300)
NEAR_NAMES = st.text(alphabet='ab.-_+*?,/\\<>|"#: \tAéß日\u0000\u200b%', max_size=20)
PLAIN = st.from_regex(r"[a-z0-9.][a-z0-9._+-]{0,40}", fullmatch=True).filter(
    lambda name: name not in (".", "..")
)
MAJORS = st.integers(min_value=7, max_value=12)


def accepted(text: str) -> IndexName | None:
    try:
        return IndexName(text)
    except InvalidIndexName:
        return None


@pytest.mark.parametrize(
    ("name", "rule"),
    [
        ("", "empty"),
        (".", "means something else"),
        ("..", "means something else"),
        ("_all", "means something else"),
        ("a*", "must not contain *"),
        ("a?", "must not contain ?"),
        ("a,b", "must not contain ,"),
        ("a/b", "must not contain /"),
        ("a\\b", "must not contain \\"),
        ('a"b', 'must not contain "'),
        ("a<b", "must not contain <"),
        ("a>b", "must not contain >"),
        ("a|b", "must not contain |"),
        ("a#b", "must not contain #"),
        ("a:b", "must not contain :"),
        ("a b", "must not contain space"),
        ("-a", "must not start with"),
        ("_a", "must not start with"),
        ("+a", "must not start with"),
        ("Logs", "lower case"),
        ("É", "lower case"),
        ("a\x00b", "NUL"),
        ("a\ud800b", "half a character"),
        ("x" * 256, "longer than 255 bytes"),
        ("é" * 128, "longer than 255 bytes"),
        ("日" * 86, "longer than 255 bytes"),
    ],
)
def test_each_rule_of_a_name_is_told_in_words(name: str, rule: str) -> None:
    with pytest.raises(InvalidIndexName) as caught:
        IndexName(name)
    assert rule in caught.value.message
    assert http_status_of(caught.value) == 400


@pytest.mark.parametrize(
    "name",
    [
        "a",
        ".a",
        "...",
        "a-b_c+d",
        "%2f",
        "2020",
        "ß",
        "日" * 85,
        "é" * 127,
        "x" * 255,
        "a=b&c;d",
        "a\nb",
        "a\u200d\xa0\xad\ue000\t",
    ],
)
def test_every_name_that_elasticsearch_takes_is_accepted(name: str) -> None:
    assert IndexName(name) == name


def test_a_very_long_name_is_not_repeated_whole_in_the_message() -> None:
    with pytest.raises(InvalidIndexName) as caught:
        IndexName("x" * 100_000)
    assert len(caught.value.message) < 300


@given(st.one_of(ANY_TEXT, NEAR_NAMES, PLAIN))
def test_an_accepted_name_can_only_mean_one_index(text: str) -> None:
    name = accepted(text)
    if name is None:
        return
    assert name == text
    assert not set('*?,/\\<>|"# :') & set(text)
    assert text not in (".", "..", "_all")
    assert text[0] not in "-_+"
    assert text == text.lower()
    assert 0 < len(text.encode("utf-8")) <= MAX_BYTES


@given(PLAIN)
def test_ordinary_names_are_accepted(name: str) -> None:
    assume(name[0] not in "-_+")
    assert accepted(name) == name


@given(st.one_of(ANY_TEXT, NEAR_NAMES))
def test_pydantic_checks_a_name_too(text: str) -> None:
    adapter = TypeAdapter(IndexName)
    if accepted(text) is None:
        with pytest.raises((InvalidIndexName, ValidationError)):
            adapter.validate_python(text)
    else:
        assert isinstance(adapter.validate_python(text), IndexName)


@pytest.mark.parametrize(
    ("name", "source", "target", "major"),
    [
        ("myindex", "myindex", "reindexed-v8-myindex", 8),
        (".myinternal", ".myinternal", ".reindexed-v8-myinternal", 8),
        ("reindexed-v7-myindex", "myindex", "reindexed-v8-myindex", 8),
        (".reindexed-v7-myinternal", ".myinternal", ".reindexed-v8-myinternal", 8),
        ("dummydata", "dummydata", "reindexed-v8-dummydata", 8),
        ("reindexed-v7-6.0-data", "6.0-data", "reindexed-v8-6.0-data", 8),
        ("reindexed-v6-myindex", "reindexed-v6-myindex", "reindexed-v8-reindexed-v6-myindex", 8),
        ("reindexed-v8-myindex", "reindexed-v8-myindex", "reindexed-v8-reindexed-v8-myindex", 8),
        ("reindexed-v7-reindexed-v7-x", "x", "reindexed-v8-x", 8),
        ("foo-reindexed-v7-bar", "foo-bar", "reindexed-v8-foo-bar", 8),
        (
            ".ds-logs-2024.01.01-000001",
            ".ds-logs-2024.01.01-000001",
            ".reindexed-v8-ds-logs-2024.01.01-000001",
            8,
        ),
        ("partial-foo", "partial-foo", "reindexed-v8-partial-foo", 8),
        ("restored-foo", "restored-foo", "reindexed-v8-restored-foo", 8),
        (".ml-state", ".ml-state", ".reindexed-v7-ml-state", 7),
        ("reindexed-v8-foo", "foo", "reindexed-v9-foo", 9),
    ],
)
def test_kibanas_table_of_names(name: str, source: str, target: str, major: int) -> None:
    assert source_name(name, major) == source
    assert target_name(IndexName(name), major) == target


def test_kibanas_rule_does_not_look_at_the_case_of_letters() -> None:
    assert source_name("reindexed-v7-myIndex", 8) == "myIndex"
    assert source_name(".myInternalIndex", 8) == ".myInternalIndex"


@given(PLAIN, MAJORS)
def test_a_target_is_another_valid_name_with_the_prefix_and_the_dot_kept(
    text: str, major: int
) -> None:
    name = accepted(text)
    assume(name is not None and f"reindexed-v{major - 1}-" not in name)
    assert name is not None
    target = target_name(name, major)
    assert target != name
    assert target.startswith("." if name.startswith(".") else f"reindexed-v{major}-")
    assert target.endswith(name.removeprefix("."))
    assert accepted(target) == target


@given(PLAIN, MAJORS)
def test_one_major_later_the_prefix_is_replaced_and_not_stacked(text: str, major: int) -> None:
    name = accepted(text)
    assume(name is not None)
    assert name is not None
    bare = source_name(name, major + 1)
    assume(bare == name and f"reindexed-v{major - 1}-" not in name)
    once = target_name(name, major)
    assert source_name(once, major + 1) == name
    assert target_name(once, major + 1) == target_name(name, major + 1)


@pytest.mark.parametrize("name", ["x" * 242, "x" * 40 + "é" * 101, "." + "x" * 241])
def test_the_longest_target_is_255_bytes(name: str) -> None:
    assert len(target_name(IndexName(name), 8).encode()) == MAX_BYTES
    with pytest.raises(InvalidIndexName) as caught:
        target_name(IndexName(name + "x"), 8)
    assert caught.value.message.startswith("The target ")


def test_a_name_of_nothing_but_the_earlier_prefix_still_has_a_target() -> None:
    assert target_name(IndexName("reindexed-v7-"), 8) == "reindexed-v8-"
