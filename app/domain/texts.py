"""Texts from outside, made fit to be stored, logged and shown."""

from __future__ import annotations

import re

_FIGURE = re.compile(r"\d[\d.,]*([kmgtp]?b\b)?")
MOST_CHARACTERS = 2_000
"""Of a sentence of Elasticsearch's: a reason may hold a whole document."""


def capped(text: str, most: int = MOST_CHARACTERS) -> str:
    """`text` in at most so many characters, its end left out.

    Half a surrogate pair, which UTF-8 does not know, and NUL, which PostgreSQL does not take,
    become question marks: a reason shows values of documents, and those may hold both.
    """
    short = text if len(text) <= most else text[: most - 1] + "…"
    return short.replace("\0", "?").encode("utf-8", "replace").decode()


def same_but_figures(one: str, other: str) -> bool:
    """True where nothing but figures differs: how full a disk is, how many copies are active."""
    return _FIGURE.sub("", one) == _FIGURE.sub("", other)


def printable(text: str) -> str:
    """`text` in one line that cannot steer a terminal, what cannot be seen written out: `\\x1b` for
    an escape, `\\n` for the end of a line, `\\u200d` for a joiner."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
