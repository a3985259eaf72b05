"""The patterns that texts of a request must match, and how a refusal says them."""

from __future__ import annotations

NOT_BLANK = r"\S"
TIME_OF_DAY = "^[0-9]{1,2}:[0-9]{2}$"
PAGE = "^[0-9]{1,15}$"
PRINTABLE = "^[ -~]+$"

IN_WORDS = {
    NOT_BLANK: "it must not be blank",
    TIME_OF_DAY: "it must be a time of day, such as 22:00",
    PAGE: "it must be what the page before has as next",
    PRINTABLE: "it must have printable characters of ASCII only",
}
