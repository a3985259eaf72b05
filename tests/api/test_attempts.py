"""Failed logins: who has to wait, for how long, and that remembering them costs little."""

from __future__ import annotations

import pytest

from app.api.attempts import (
    FORGOTTEN_SECONDS,
    FREE_OF_ADDRESS,
    FREE_OF_NAME,
    LONGEST_SECONDS,
    MOST_KEPT,
    Attempts,
)
from tests.api.conftest import Time


def failed(known: Attempts, times: int, address: str, name: str | None) -> None:
    for _ in range(times):
        known.note_failure(address, name)


def test_an_address_waits_longer_with_every_failure(time: Time) -> None:
    known = Attempts()
    failed(known, FREE_OF_ADDRESS, "10.0.0.1", None)
    assert known.wait("10.0.0.1", None) == 0
    waits: list[float] = []
    for _ in range(8):
        known.note_failure("10.0.0.1", None)
        waits.append(known.wait("10.0.0.1", "anybody"))
    assert waits == [1, 2, 4, 8, 16, LONGEST_SECONDS, LONGEST_SECONDS, LONGEST_SECONDS]
    assert known.wait("10.0.0.2", None) == 0
    time.pass_by(LONGEST_SECONDS)
    assert known.wait("10.0.0.1", None) == 0


def test_a_name_waits_wherever_it_is_tried(time: Time) -> None:
    known = Attempts()
    for number in range(FREE_OF_NAME):
        known.note_failure(f"10.0.0.{number}", "ops")
    assert known.wait("10.0.1.1", "ops") == 0
    known.note_failure("10.0.0.99", "ops")
    assert known.wait("10.0.1.1", "ops") == 1
    assert known.wait("10.0.1.1", "eve") == 0
    assert known.wait("10.0.1.1", None) == 0
    time.pass_by(1)
    assert known.wait("10.0.1.1", "ops") == 0


@pytest.mark.usefixtures("time")
def test_a_login_forgets_the_failures_of_its_name_and_not_of_its_address() -> None:
    known = Attempts()
    failed(known, FREE_OF_ADDRESS + 3, "10.0.0.1", "ops")
    known.note_success("ops")
    assert known.wait("10.0.0.2", "ops") == 0
    assert known.wait("10.0.0.1", "ops") == 4


def test_after_a_while_it_begins_anew(time: Time) -> None:
    known = Attempts()
    failed(known, FREE_OF_ADDRESS + 5, "10.0.0.1", None)
    time.pass_by(FORGOTTEN_SECONDS)
    known.note_failure("10.0.0.1", None)
    assert known.wait("10.0.0.1", None) == 0


@pytest.mark.usefixtures("time")
def test_no_more_than_so_many_are_kept_and_the_oldest_go() -> None:
    known = Attempts()
    failed(known, FREE_OF_ADDRESS + 1, "10.0.0.1", None)
    for number in range(MOST_KEPT - 1):
        if number % 100 == 0:
            known.note_failure("10.0.0.1", None)
        known.note_failure(f"10.{1 + number // 65536}.{number // 256 % 256}.{number % 256}", None)
    assert len(known) == MOST_KEPT
    assert known.wait("10.0.0.1", None) > 0
    for number in range(MOST_KEPT):
        known.note_failure(f"11.0.{number // 256}.{number % 256}", None)
    assert len(known) == MOST_KEPT
    assert known.wait("10.0.0.1", None) == 0


@pytest.mark.usefixtures("time")
def test_all_addresses_of_a_network_of_ipv6_are_one() -> None:
    known = Attempts()
    for number in range(FREE_OF_ADDRESS + 1):
        known.note_failure(f"2001:db8:0:1::{number:x}", None)
    assert known.wait("2001:db8:0:1:ffff::1", None) == 1
    assert known.wait("2001:db8:0:2::1", None) == 0
    failed(known, FREE_OF_ADDRESS + 1, "::ffff:10.0.0.1", None)
    assert known.wait("10.0.0.1", None) == 1


@pytest.mark.usefixtures("time")
def test_a_name_of_a_megabyte_is_cut() -> None:
    known = Attempts()
    failed(known, FREE_OF_NAME + 1, "10.0.0.1", "x" * 1_000_000)
    assert known.wait("10.0.0.2", "x" * 999_999) == 1
