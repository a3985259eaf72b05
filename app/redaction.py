"""Redaction: no secret leaves in a text of the log, whoever has put it there."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections.abc import Callable, Iterable, Mapping
from typing import Any, cast
from urllib.parse import quote, quote_plus, unquote

from app.domain.formatting import printable
from app.domain.token import PREFIX

HIDDEN = "***"
SHORT = 6
"""Characters; a secret of fewer is hidden only where it stands alone: words have it, too."""
MOST_SECRETS = 1_000
"""Beyond that the ones that were told first are forgotten, but for those that are always there."""
MOST_DEPTH = 6

_CREDENTIALS = re.compile(
    r"\b(authorization[\"']?\s*[:=]\s*[\"']?\w+|(?:basic|bearer|apikey)(?=\s+\S*[\d=+/_]))"
    r"(\s+)[\w.~+/=:-]{6,}",
    re.IGNORECASE,
)
"""What follows the scheme of a login: of a header, or a word that does not look like a word."""
_LOGIN_OF_ADDRESS = re.compile(r"(://[^\s/:@\"]*):[^\s/\"]*@")
_PASSWORD_OF_ADDRESS = re.compile(r"\b((?:ssl)?password=)[^\s&'\"\\]+", re.IGNORECASE)
_IN_ADDRESS = re.compile(r"[?&](?:ssl)?password=([^&]+)")
_TOKEN = re.compile(rf"{PREFIX}[A-Za-z0-9_-]{{43}}")
"""The secret of a token, which the service has made and does not know any more."""
_NAMED = re.compile(r"password|passphrase|secret|api_?key|authorization", re.IGNORECASE)
"""A value under such a name is hidden whatever it is."""
_PLAIN = frozenset({"timestamp", "level"})


class Redactor:
    """Knows secrets, in all the spellings in which a log may have them."""

    def __init__(self) -> None:
        self._secrets: dict[str, None] = {}
        self._lasting: frozenset[str] = frozenset()
        self._inside = self._whole = re.compile(r"(?!)")

    def keep(self, secrets: Iterable[str]) -> None:
        """As `learn`, for those that are never forgotten: what the settings say."""
        lasting = frozenset(secrets)
        self._lasting |= lasting
        self.learn(lasting)

    def learn(self, secrets: Iterable[str]) -> None:
        """From now on these are hidden; those that were known stay so, for they may be rotated
        out and still be valid somewhere."""
        new = [secret for secret in secrets if secret and secret not in self._secrets]
        if not new:
            return
        self._secrets |= dict.fromkeys(new)
        passing = [one for one in self._secrets if one not in self._lasting]
        for one in passing[: max(0, len(passing) - MOST_SECRETS)]:
            del self._secrets[one]
        spelt = {spelling for secret in self._secrets for spelling in _spellings(secret)}
        self._inside = _any_of(spelt)
        # A line that is written already must stay well-formed: no quote of it may be taken away.
        self._whole = _any_of({one for one in spelt if len(one) >= SHORT and '"' not in one})

    def values(self, given: Mapping[Any, Any]) -> dict[Any, Any]:
        """The values of a line, at any depth, without secrets."""
        return {
            self._inner(key, 0): value if key in _PLAIN else self._named(key, value, 0)
            for key, value in given.items()
        }

    def line(self, text: str) -> str:
        """The same for a line as it is written."""
        return self._text(text, self._whole)

    def _named(self, key: Any, value: Any, depth: int) -> Any:
        if isinstance(key, str) and _NAMED.search(key) and isinstance(value, (str, bytes)):
            return HIDDEN if value else value
        return self._inner(value, depth)

    def _inner(self, value: Any, depth: int) -> Any:
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, str):
            return self._text(value, self._inside)
        if depth < MOST_DEPTH and isinstance(value, Mapping):
            items = cast(Mapping[Any, Any], value).items()
            return {
                self._inner(key, depth + 1): self._named(key, one, depth + 1) for key, one in items
            }
        if depth < MOST_DEPTH and isinstance(value, (list, tuple, set, frozenset)):
            return [self._inner(one, depth + 1) for one in cast(Iterable[Any], value)]
        return self._shown(value)

    def _shown(self, value: Any) -> Any:
        """Anything else as it is, unless what is shown of it has a secret."""
        try:
            both = [repr(value), str(value)]
        except Exception:
            return f"<{type(value).__name__}>"
        return (
            value
            if all(self._text(one, self._inside) == one for one in both)
            else (self._text(both[0], self._inside))
        )

    def _text(self, text: str, secrets: re.Pattern[str]) -> str:
        text = secrets.sub(HIDDEN, text)
        text = _TOKEN.sub(HIDDEN, text)
        text = _CREDENTIALS.sub(rf"\1\2{HIDDEN}", text)
        text = _LOGIN_OF_ADDRESS.sub(rf"\1:{HIDDEN}@", text)
        return _PASSWORD_OF_ADDRESS.sub(rf"\1{HIDDEN}", text)


def basic(username: str, password: str) -> str:
    """How a header spells a login, which is as good as the password."""
    return b64encode(f"{username}:{password}".encode()).decode()


def passwords_of(address: str) -> set[str]:
    """Those in an address, as they are written and as they are meant."""
    found = set(_IN_ADDRESS.findall(address))
    userinfo = address.partition("://")[2].split("/", 1)[0].rpartition("@")[0]
    found.add(userinfo.partition(":")[2])
    return {one for password in found for one in (password, unquote(password)) if one}


def _spellings(secret: str) -> set[str]:
    """As it is, and as JSON, Python, an address, a header and our own lines write it."""
    plain = secret.encode(errors="surrogateescape")
    return {
        secret,
        json.dumps(secret)[1:-1],
        json.dumps(secret, ensure_ascii=False)[1:-1],
        repr(secret)[1:-1],
        repr(plain)[2:-1],
        printable(secret),
        quote(plain, safe=""),
        quote(plain),
        quote_plus(plain),
        b64encode(plain).decode(),
    }


def _any_of(spellings: Iterable[str]) -> re.Pattern[str]:
    """The longest first: one may be the beginning of another."""
    parts = [_alone(one) for one in sorted(spellings, key=lambda one: (-len(one), one))]
    return re.compile("|".join(parts) or r"(?!)")


def _alone(spelling: str) -> str:
    found = re.escape(spelling)
    return found if len(spelling) >= SHORT else rf"(?<!\w){found}(?!\w)"


redactor = Redactor()
"""Of this process."""
hide_always: Callable[[Iterable[str]], None] = redactor.keep
hide: Callable[[Iterable[str]], None] = redactor.learn
