"""No secret leaves in a line of the log, whoever logs it and wherever it stands in it."""

from __future__ import annotations

import io
import json
import logging
from base64 import b64encode
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import pytest

from app import telemetry
from app.domain.token import new_secret
from app.redaction import MOST_SECRETS, Redactor, passwords_of
from app.settings import Settings

KEY = "9X4oGkQm1uWlYbN0aZ3vTqJ5rE7sHc2dPf8iLx6yB0A="
VARIABLES = {
    "ELASTICSEARCH_USERNAME": "elastic",
    "ELASTICSEARCH_PASSWORD": 'with "quote" \\ and ü€',
    "ELASTICSEARCH_CUSTOMHEADERS": '{"x-proxy-key": "of-the-proxy-1"}',
    "DATABASE_URL": "postgresql://me:p%40ss%2Fw0rd@db/queue?sslpassword=of+the+key",
    "SERVER_USERNAME": "ops",
    "SERVER_PASSWORD": "a b%c:d",
    "SERVER_APIKEY": "k-123",
    "REINDEX_SECRET_KEYS": f"{KEY},{KEY[::-1]}",
}
SECRETS = {
    "password": VARIABLES["ELASTICSEARCH_PASSWORD"],
    "header": "of-the-proxy-1",
    "database": "p@ss/w0rd",
    "database as it is written": "p%40ss%2Fw0rd",
    "key of the database": "of+the+key",
    "own password": "a b%c:d",
    "own key": "k-123",
    "login as it is sent": b64encode(b"ops:a b%c:d").decode(),
    "secret key": KEY,
    "old secret key": KEY[::-1],
    "line break inside": "one\ntwo\tthree",
}


@dataclass
class Odd:
    secret_of_it: str


Log = Callable[[Any, str], None]


def fails(text: str) -> None:
    raise RuntimeError(f"cannot use {text} here")


def with_traceback(log: Any, secret: str) -> None:
    try:
        try:
            fails(secret)
        except RuntimeError as error:
            raise ValueError("outer") from error
    except ValueError:
        log.exception("it_failed")


def with_group(log: Any, secret: str) -> None:
    group = ExceptionGroup("several", [ValueError(secret), KeyError(secret)])
    log.error("it_failed", exc_info=group)


POSITIONS: dict[str, Log] = {
    "event": lambda log, secret: log.warning(f"it was {secret}!"),
    "value": lambda log, secret: log.info("event", value=secret),
    "value among words": lambda log, secret: log.info("event", value=f"({secret})"),
    "name of a value": lambda log, secret: log.info("event", **{secret: 1}),
    "mapping": lambda log, secret: log.info("event", values={"a": {"b": [secret]}}),
    "key of a mapping": lambda log, secret: log.info("event", values={"a": {secret: 1}}),
    "deep inside": lambda log, secret: log.info("event", v=[[[[[[[[[[secret]]]]]]]]]]),
    "set": lambda log, secret: log.info("event", values={secret}),
    "bytes": lambda log, secret: log.info("event", value=secret.encode()),
    "object": lambda log, secret: log.info("event", value=Odd(secret)),
    "error as a value": lambda log, secret: log.info("event", error=ValueError(secret)),
    "json in a text": lambda log, secret: log.info("event", value=json.dumps({"a": secret})),
    "python in a text": lambda log, secret: log.info("event", value=repr([secret])),
    "part of an address": lambda log, secret: log.info("e", url=f"/a?b={quote(secret, safe='')}"),
    "traceback": with_traceback,
    "group of errors": with_group,
    "standard library": lambda _, secret: logging.getLogger("a.b").warning("it %s", secret),
    "its values": lambda _, secret: logging.getLogger("a.b").warning("%(a)s", {"a": [secret]}),
    "its traceback": lambda _, secret: with_traceback(logging.getLogger("a.b"), secret),
}


@pytest.fixture
def redactor(monkeypatch: pytest.MonkeyPatch) -> Redactor:
    """One that knows what the settings above have, in the place of the process's own."""
    for name, value in VARIABLES.items():
        monkeypatch.setenv(name, value)
    made = Redactor()
    made.learn(Settings().secrets())
    made.learn([SECRETS["line break inside"]])
    monkeypatch.setattr(telemetry, "redactor", made)
    return made


@pytest.fixture(params=["json", "console"])
def written(
    request: pytest.FixtureRequest, redactor: Redactor, monkeypatch: pytest.MonkeyPatch
) -> Generator[io.StringIO]:
    """All that the log writes."""
    assert redactor
    stream = io.StringIO()
    monkeypatch.setattr("sys.stderr", stream)
    telemetry.configure(json=request.param == "json", level="DEBUG")
    yield stream
    monkeypatch.undo()
    telemetry.configure(json=False, level="INFO")


@pytest.mark.parametrize("position", POSITIONS)
@pytest.mark.parametrize("kind", SECRETS)
def test_a_secret_leaves_in_no_line(written: io.StringIO, kind: str, position: str) -> None:
    secret = SECRETS[kind]
    POSITIONS[position](telemetry.logger("a.logger"), secret)
    text = written.getvalue()
    assert text.endswith("\n")
    spellings = {
        secret,
        secret.replace("\n", "\\n").replace("\t", "\\t"),
        json.dumps(secret)[1:-1],
        json.dumps(json.dumps(secret)[1:-1])[1:-1],
        json.dumps(secret, ensure_ascii=False)[1:-1],
        repr(secret.encode())[2:-1],
        quote(secret, safe=""),
        b64encode(secret.encode()).decode(),
    }
    assert [one for one in spellings if one in text] == []
    assert "***" in text


def test_a_line_that_cannot_be_written_is_told_without_its_values(written: io.StringIO) -> None:
    (handler,) = [one for one in logging.getLogger().handlers if type(one).__name__ == "_Lines"]
    values = (SECRETS["password"],)
    handler.handle(logging.LogRecord("a.b", logging.ERROR, __file__, 1, "%d", values, None))
    assert written.getvalue() == "A line of the log from a.b is lost: TypeError\n"


def test_lines_in_json_stay_json(written: io.StringIO, request: pytest.FixtureRequest) -> None:
    for secret in SECRETS.values():
        for position in ("event", "mapping", "object", "traceback", "json in a text"):
            POSITIONS[position](telemetry.logger("a.logger"), secret)
    if "json" in request.node.callspec.id:
        lines = [json.loads(line) for line in written.getvalue().splitlines()]
        assert len(lines) == 5 * len(SECRETS)
        assert all({"event", "level", "timestamp"} <= line.keys() for line in lines)


@pytest.mark.parametrize(
    ("text", "hidden"),
    [
        ("GET http://me:hunter2@es:9200/_search", "hunter2"),
        ("postgresql://me:hunter%2F2@db/queue", "hunter%2F2"),
        ("postgresql://db/queue?user=me&password=hunter2&a=b", "hunter2"),
        ("authorization: Basic bWU6aHVudGVy", "bWU6aHVudGVy"),
        ("{'Authorization': 'Bearer abcdefgh'}", "abcdefgh"),
        ('{"authorization": "ApiKey abcdefgh"}', "abcdefgh"),
        ("sent Bearer eyJhbGciOiJIUzI1NiJ9.e30.x-y_z", "eyJhbGciOiJIUzI1NiJ9"),
        ("sent ApiKey VnVhQ2ZHY0JDZGJrUW0tZTVhT3g6dWk=", "VnVhQ2ZHY0JDZGJr"),
    ],
)
def test_logins_are_hidden_also_where_nobody_knows_them(text: str, hidden: str) -> None:
    redactor = Redactor()
    shown = redactor.values({"event": text})["event"]
    assert hidden not in shown
    assert hidden not in redactor.line(text)
    assert "***" in shown


@pytest.mark.parametrize(
    "text",
    [
        "a basic authentication was refused",
        "the bearer of this",
        "http://es:9200/logs-2019 me@example.org",
        "ELASTICSEARCH_PASSWORD is wrong",
        "2 hosts: http://a:9200, http://b:9200",
    ],
)
def test_what_is_no_login_stays(text: str) -> None:
    assert Redactor().values({"event": text}) == {"event": text}
    assert Redactor().line(text) == text


def test_what_stands_beside_a_login_in_json_stays() -> None:
    value = {"dsn": "password=hunter2", "url": "http://a:1", "who": "me@x"}
    line = json.dumps({"value": json.dumps(value, separators=(",", ":")), "event": "x"})
    shown = json.loads(json.loads(Redactor().line(line))["value"])
    assert shown == {**value, "dsn": "password=***"}


@pytest.mark.parametrize("name", ["password", "api_key", "apiKey", "Authorization", "my_secret"])
def test_a_value_under_the_name_of_a_secret_is_hidden(name: str) -> None:
    given = {"event": "x", name: "abc", "values": {name: "abc", "other": "abc"}}
    assert Redactor().values(given) == {
        "event": "x",
        name: "***",
        "values": {name: "***", "other": "abc"},
    }


def test_the_secret_of_a_token_is_hidden_wherever_it_stands() -> None:
    made = new_secret()
    for text in (made, f"/x?key={made}&a=b", f"'{made}'", f'b"{made}"'):
        assert made not in Redactor().line(text)
    assert Redactor().line(f"a {made} b") == "a *** b"
    assert Redactor().line("rq_probe") == "rq_probe"


def test_a_short_secret_is_hidden_where_it_stands_alone() -> None:
    redactor = Redactor()
    redactor.learn(["k9x"])
    assert redactor.values({"event": "key k9x, not ak9xb", "number": 9}) == {
        "event": "key ***, not ak9xb",
        "number": 9,
    }


def test_a_number_is_hidden_where_it_is_a_secret_and_times_stay() -> None:
    redactor = Redactor()
    redactor.learn(["12345678", "2026"])
    assert redactor.values({"value": 12345678, "timestamp": "2026-01-01T00:00:00Z"}) == {
        "value": "***",
        "timestamp": "2026-01-01T00:00:00Z",
    }


def test_what_is_rotated_out_stays_hidden_and_the_memory_is_bounded() -> None:
    redactor = Redactor()
    redactor.learn(["the-first-one"])
    redactor.learn(["the-second-one"])
    assert redactor.line("the-first-one the-second-one") == "*** ***"
    redactor.learn(f"secret-number-{n}" for n in range(MOST_SECRETS))
    assert redactor.line("the-first-one") == "the-first-one"
    assert redactor.line("secret-number-7") == "***"


def test_one_secret_may_be_the_beginning_of_another() -> None:
    redactor = Redactor()
    redactor.learn(["secret-a", "secret-a-and-b"])
    assert redactor.line("secret-a-and-b") == "***"


def test_an_object_that_cannot_be_shown_is_named_by_its_class() -> None:
    class Broken:
        def __repr__(self) -> str:
            raise ZeroDivisionError

    assert Redactor().values({"value": Broken()}) == {"value": "<Broken>"}


@pytest.mark.parametrize(
    ("address", "found"),
    [
        ("sqlite:///queue.db", set[str]()),
        ("postgresql://me@db/queue", set[str]()),
        ("postgresql://me:a%2Fb@db/queue", {"a%2Fb", "a/b"}),
        ("postgresql://me:a@b@db/queue", {"a@b"}),
        ("postgresql:///queue?host=/run&password=x%20y", {"x%20y", "x y"}),
    ],
)
def test_the_passwords_of_an_address(address: str, found: set[str]) -> None:
    assert passwords_of(address) == found
