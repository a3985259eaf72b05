"""The secrets that tests use, and the search for them in databases and logs."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus, unquote

import psycopg
from psycopg import sql
from pydantic import SecretStr

SHORTEST = 8
"""Bytes: fewer may occur by themselves, and so may words. Secrets of tests are longer."""
WHOLE_SUITE = 500
"""So many tests at least, and databases and logs must have been there to search."""
_NAMED = re.compile(r"password|passphrase|apikey|token|secret_keys|customheaders", re.IGNORECASE)
_PLACES = re.compile(r"_(file|url)$", re.IGNORECASE)
_TOKEN = re.compile(rb"rq_[A-Za-z0-9_-]{43}")
"""What the service itself makes as the secret of a token: known by its looks, whoever got it."""


_SEALED = re.compile(rb"gAAAA[A-Za-z0-9_-]{60,}")
"""What is encrypted (Fernet): of its letters any three may stand side by side by chance."""


def _blanks(found: re.Match[bytes]) -> bytes:
    return b" " * len(found[0])


class LeakedSecret(AssertionError):
    """A secret is where none may be. The text says which kind and where, and not the secret."""


class SecretsUsed:
    """Secrets that were given to services, with the search for all of them."""

    def __init__(self) -> None:
        self._spelt: dict[str, tuple[str, frozenset[bytes]]] = {}
        self.databases = 0
        self.lines = 0

    def secret(self, text: str, what: str = "a secret") -> str:
        """Remembers `text`, and answers it. Raises `ValueError` where it may occur by itself."""
        if text not in self._spelt:
            if len(text.encode()) < SHORTEST:
                raise ValueError(f"{what} of a test is too short to be searched for: {SHORTEST}.")
            self._spelt[text] = what, frozenset(_spellings(text))
        return text

    def of_settings(self, given: Mapping[str, Any]) -> None:
        """Remembers those among settings, or among the variables of an environment."""
        for name, value in given.items():
            text = value.get_secret_value() if isinstance(value, SecretStr) else value
            if not isinstance(text, str) or not text:
                continue
            if name.lower() == "database_url":
                for password in _passwords_of(text):
                    self.secret(password, name)
            elif _NAMED.search(name) and not _PLACES.search(name):
                for line in re.split(r"[\n,]", text) if "keys" in name.lower() else [text]:
                    if line.strip():
                        self.secret(line.strip(), name)

    def search(self, content: bytes, place: str) -> None:
        """Raises `LeakedSecret` where one of them is in `content`."""
        if found := _TOKEN.search(_SEALED.sub(_blanks, content)):
            raise LeakedSecret(f"{place}, byte {found.start()}: the secret of a token is there")
        for what, spellings in self._spelt.values():
            for spelling in spellings:
                at = content.find(spelling)
                if at >= 0:
                    raise LeakedSecret(f"{place}, byte {at}: {what} is there")

    def search_folder(self, folder: Path) -> None:
        """Every SQLite database, with the files beside it, and every log."""
        for file in sorted(folder.rglob("*")):
            if not file.is_file():
                continue
            if re.search(r"\.db(-wal|-journal)?$", file.name):
                content = file.read_bytes()
                self.databases += content.startswith(b"SQLite format 3")
                self.search(content.replace(b"\0", b""), str(file))  # pages are mostly empty
            elif file.name == "log" or file.suffix == ".log":
                self.search_log(file.read_bytes(), str(file))

    def search_log(self, content: bytes, place: str) -> None:
        self.lines += content.count(b"\n")
        self.search(content, place)

    def search_postgres(self, url: str) -> None:
        """Every row of every table of a PostgreSQL database."""
        with psycopg.connect(url, autocommit=True) as connection:
            found = connection.execute(
                "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'"
            )
            tables = [str(name) for (name,) in found]
            for table in tables:
                rows = sql.SQL("SELECT row_to_json(t)::text FROM {} t").format(
                    sql.Identifier(table)
                )
                content = "\n".join(text for (text,) in connection.execute(rows))
                self.search(content.encode(), f"table {table} of PostgreSQL")
        self.databases += bool(tables)

    def shortfall(self, tests: int) -> str | None:
        """Why the search says nothing, where it was of a run of so many tests."""
        if tests < WHOLE_SUITE or (self.databases and self.lines):
            return None
        return (
            f"secrets were searched for in {self.databases} databases and {self.lines} lines of "
            f"logs of {tests} tests: there should be more"
        )


def _spellings(text: str) -> Iterator[bytes]:
    plain = text.encode()
    for one in (
        text,
        quote(plain, safe=""),
        quote(plain),
        quote_plus(plain),
        json.dumps(text)[1:-1],
        json.dumps(text, ensure_ascii=False)[1:-1],
        repr(text)[1:-1],
    ):
        yield one.encode()
    for before in range(3):  # behind a name and a colon, as in a header
        encoded = b64encode(bytes(before) + plain)
        yield encoded[(before * 8 + 5) // 6 : (before + len(plain)) * 8 // 6]


def _passwords_of(address: str) -> Iterator[str]:
    yield from map(unquote, re.findall(r"[?&](?:ssl)?password=([^&]+)", address))
    login = address.partition("://")[2].split("/", 1)[0].rpartition("@")[0]
    if password := login.partition(":")[2]:
        yield unquote(password)


used = SecretsUsed()
"""Of this process."""
secret = used.secret
