"""What webhooks are sent and how it is signed; the page's example verifies it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from app.domain.announcements import Announcement, class_and_sentence
from app.domain.failure import FailureClass
from app.domain.holds import HoldCause
from app.domain.webhook import LONGEST_PAUSE, new_key, pause_after, signed_headers

PAGE = (Path(__file__).parents[2] / "docs" / "webhooks.md").read_text()
BODY = b'{"kind":"failed"}'


Verify = Callable[[dict[str, str], bytes, str], bool]


def the_example() -> Verify:
    """The function of the page, as somebody would copy it."""
    names: dict[str, Any] = {}
    exec(PAGE.split("```python\n", 1)[1].split("```", 1)[0], names)
    return names["verified"]


def test_a_signature_is_verified_by_the_example_of_the_page() -> None:
    verified = the_example()
    key, other, now = new_key(), new_key(), int(time.time())
    headers = signed_headers("hook:default:1", now, BODY, [key])
    assert verified(headers, BODY, key)
    assert not verified(headers, BODY, other)
    assert not verified(headers, BODY + b" ", key)
    assert not verified({**headers, "webhook-id": "hook:default:2"}, BODY, key)
    assert not verified({**headers, "webhook-timestamp": str(now + 1)}, BODY, key)
    old = signed_headers("hook:default:1", now - 301, BODY, [key])
    assert not verified(old, BODY, key)
    both = signed_headers("hook:default:1", now, BODY, [other, key])
    assert len(both["webhook-signature"].split(" ")) == 2
    assert verified(both, BODY, key)
    assert verified(both, BODY, other)


def test_a_signature_is_that_of_the_convention() -> None:
    """Computed with OpenSSL: `printf '%s' msg_1.1700000000.{} | openssl dgst -sha256 -hmac …`."""
    headers = signed_headers("msg_1", 1_700_000_000, b"{}", ["whsec_MDEyMzQ1Njc4OWFiY2RlZg=="])
    assert headers == {
        "webhook-id": "msg_1",
        "webhook-timestamp": "1700000000",
        "webhook-signature": "v1,3uojc/2kvL+KpJkw4ZNrA/5YjEs9cdfKdc3lXIvRjkk=",
    }


def test_a_pause_grows_and_ends_at_some_minutes() -> None:
    pauses = [pause_after(failures) for failures in range(1, 12)]
    assert pauses[:4] == [2.0, 4.0, 8.0, 16.0]
    assert pauses[-1] == pause_after(10**6) == LONGEST_PAUSE


@pytest.mark.parametrize("cause", HoldCause)
def test_a_hold_is_told_by_its_cause_and_a_sentence(cause: HoldCause) -> None:
    named, sentence = class_and_sentence({"cause": cause.value})
    assert named == cause.value
    assert sentence
    assert sentence.endswith(".")


@pytest.mark.parametrize("kind", FailureClass)
def test_a_failure_is_told_by_its_class_and_a_sentence(kind: FailureClass) -> None:
    named, sentence = class_and_sentence({"class": kind.value})
    assert named == kind.value
    assert sentence
    assert sentence.endswith(".")


@pytest.mark.parametrize(
    "after", [None, "disk_space", ["cause"], {"cause": "a document"}, {"class": ["index"]}, {}]
)
def test_anything_else_that_an_event_has_is_not_told(after: Any) -> None:
    assert class_and_sentence(after) == (None, None)


def test_a_body_is_as_the_page_shows_it() -> None:
    shown = PAGE.split("```json\n", 1)[1].split("\n", 1)[0]
    class_, sentence = class_and_sentence({"cause": "disk_space"})
    made = Announcement(
        number=4711,
        kind="holds",
        at=datetime(2026, 11, 24, 3, 12, 9, 480_000, UTC),
        cluster="default",
        job_id="0b9d2f7c6e5a4d3c8b1a0f9e8d7c6b5a",
        job_kind="rewrite",
        class_=class_,
        sentence=sentence,
    )
    assert made.body.decode() == shown
    assert list(json.loads(shown)) == [
        "number",
        "kind",
        "at",
        "cluster",
        "job",
        "class",
        "sentence",
    ]
