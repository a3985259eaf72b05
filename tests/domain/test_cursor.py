"""Cursors: what is written is read again, whatever a cluster is called, and nothing else is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.cursor import cursor_text, parse_cursor
from app.domain.errors import InvalidCursor

NAMES = st.text(
    st.characters(blacklist_categories=["Cs"]),  # half a surrogate pair is no text
    min_size=1,
    max_size=64,
)


@given(st.dictionaries(NAMES, st.integers(0, 10**18 - 1), min_size=1, max_size=5))
def test_a_cursor_is_read_as_it_was_written_and_can_be_sent_in_a_header(
    places: dict[str, int],
) -> None:
    written = cursor_text(places)
    assert parse_cursor(written) == places
    assert written.isascii()
    assert written.isprintable()
    assert " " not in written


def test_what_a_cursor_looks_like() -> None:
    assert cursor_text({"west": 41, "my east:1,2": 0}) == "west:41,my%20east%3A1%2C2:0"
    assert parse_cursor("west:41, east:007") == {"west": 41, "east": 7}


@pytest.mark.parametrize(
    "text",
    [
        *("", "west", "41", ":41", "west:", "west:-1", "west:+1", "west:1.5", "west:1:2"),
        *(
            "west:1,",
            ",west:1",
            "west:1,west:2",
            "west:1,w%65st:2",
            "west:\N{ARABIC-INDIC DIGIT ONE}",
            "%ff:1",
        ),
        "west:1" + "0" * 18,
    ],
)
def test_what_is_no_cursor_is_refused(text: str) -> None:
    with pytest.raises(InvalidCursor, match="is not a cursor of events"):
        parse_cursor(text)


def test_a_long_text_is_not_repeated_whole() -> None:
    with pytest.raises(InvalidCursor) as refused:
        parse_cursor("x" * 10_000)
    assert len(refused.value.message) < 400
