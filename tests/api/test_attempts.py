"""Failed logins: who has to wait, for how long, and that remembering them costs little."""

from __future__ import annotations

import itertools

import pytest

from app.api.attempts import (
    FEW,
    FORGOTTEN_SECONDS,
    FREE_OF_ADDRESS,
    FREE_OF_NAME,
    LONGEST_SECONDS,
    MOST_KEPT,
    Attempts,
    Guess,
)
from tests.api.conftest import Time

NUMBERS = itertools.count()
WAITS = [1, 2, 4, 8, 16, LONGEST_SECONDS, LONGEST_SECONDS, LONGEST_SECONDS]


def guess(address: str, name: str | None = "ops", text: str | None = None) -> Guess:
    """One that was never sent before, unless a test says what is sent."""
    return Guess(address, name, text or f"guess {next(NUMBERS)}")


def failed(known: Attempts, times: int, address: str, name: str | None = "ops") -> None:
    for _ in range(times):
        known.note_failure(guess(address, name))


def test_a_name_waits_longer_with_every_failure(time: Time) -> None:
    known = Attempts()
    failed(known, FREE_OF_NAME, "10.0.0.1")
    assert known.wait(guess("10.0.0.1")) == 0
    waits: list[float] = []
    for _ in WAITS:
        failed(known, 1, "10.0.0.1")
        waits.append(known.wait(guess("10.0.0.1")))
    assert waits == WAITS
    assert known.wait(guess("10.0.0.1", "eve")) == 0
    time.pass_by(LONGEST_SECONDS)
    assert known.wait(guess("10.0.0.1")) == 0


def test_an_address_waits_whatever_name_it_tries(time: Time) -> None:
    known = Attempts()
    for number in range(FREE_OF_ADDRESS):
        failed(known, 1, "10.0.0.1", f"name-{number}")
    assert known.wait(guess("10.0.0.1", "another")) == 0
    failed(known, 1, "10.0.0.1", "one-more")
    assert known.wait(guess("10.0.0.1", "another")) == 1
    assert known.wait(guess("10.0.0.2", "another")) == 0
    time.pass_by(1)
    assert known.wait(guess("10.0.0.1", "another")) == 0


@pytest.mark.usefixtures("time")
def test_a_name_waits_wherever_it_was_tried_a_few_times() -> None:
    known = Attempts()
    for number in range(FREE_OF_NAME):
        failed(known, FEW, f"10.0.0.{number}")
    for number in range(FREE_OF_NAME):
        assert known.wait(guess(f"10.0.0.{number}")) == LONGEST_SECONDS
    assert known.wait(guess("10.0.0.1", "eve")) == 0


def test_the_first_guesses_of_an_address_are_looked_at_whoever_else_tries_that_name(
    time: Time,
) -> None:
    known = Attempts()
    failed(known, FEW - 1, "10.0.0.2")
    failed(known, FREE_OF_NAME + 9, "10.0.0.1")
    assert known.wait(guess("10.0.0.2")) == 0
    failed(known, 1, "10.0.0.2")
    assert known.wait(guess("10.0.0.2")) > 0
    time.pass_by(FORGOTTEN_SECONDS - 1)
    failed(known, 1, "10.0.0.1")
    time.pass_by(1)
    assert known.wait(guess("10.0.0.2")) == 0


def test_one_wrong_program_each_second_keeps_nobody_else_out(time: Time) -> None:
    known = Attempts()
    old, right = guess("10.0.0.1", "ops", "old"), guess("10.0.0.1", "ops", "right")
    elsewhere = guess("10.0.0.2", "ops", "right")
    refused = 0
    for _ in range(600):
        if known.wait(old):
            refused += 1
        else:
            known.note_failure(old)
        assert known.wait(guess("10.0.0.1")) == 0
        for login in (right, elsewhere):
            assert known.wait(login) == 0
        time.pass_by(1)
    assert refused > 500


@pytest.mark.usefixtures("time")
def test_who_was_let_in_once_waits_for_nobody_who_guesses_beside_them() -> None:
    known = Attempts()
    right = guess("10.0.0.1", "ops", "right")
    known.note_success(right)
    failed(known, FREE_OF_ADDRESS + 9, "10.0.0.1")
    assert known.wait(guess("10.0.0.1")) > 0
    assert known.wait(right) == 0
    known.note_failure(right)  # the password was changed
    assert known.wait(right) == 0
    for _ in range(FREE_OF_NAME):
        known.note_failure(right)
    assert known.wait(right) == 1


@pytest.mark.usefixtures("time")
def test_a_login_forgets_the_failures_of_its_name_and_not_of_its_address() -> None:
    known = Attempts()
    failed(known, FREE_OF_ADDRESS + 3, "10.0.0.1")
    known.note_success(guess("10.0.0.1", "ops", "right"))
    failed(known, 1, "10.0.0.2")
    assert known.wait(guess("10.0.0.2")) == 0
    assert known.wait(guess("10.0.0.1")) == 4


@pytest.mark.usefixtures("time")
def test_a_key_has_no_name_and_is_slowed_down_by_its_address_alone() -> None:
    known = Attempts()
    failed(known, FREE_OF_NAME + 1, "10.0.0.1", None)
    assert known.wait(guess("10.0.0.1", None)) == 1
    assert known.wait(guess("10.0.0.1", "ops")) == 0
    failed(known, FEW, "10.0.0.2", None)
    assert known.wait(guess("10.0.0.2", None)) == 0
    known.note_success(guess("10.0.0.3", None))
    assert known.wait(guess("10.0.0.1", None)) == 1


def test_after_a_while_it_begins_anew(time: Time) -> None:
    known = Attempts()
    failed(known, FREE_OF_NAME + 5, "10.0.0.1")
    time.pass_by(FORGOTTEN_SECONDS)
    failed(known, 1, "10.0.0.1")
    assert known.wait(guess("10.0.0.1")) == 0


@pytest.mark.usefixtures("time")
def test_no_more_than_so_many_are_kept_and_the_oldest_go() -> None:
    known = Attempts()
    failed(known, FREE_OF_ADDRESS + 1, "10.0.0.1")
    assert known.wait(guess("10.0.0.1")) > 0
    for number in range(MOST_KEPT):
        address = f"10.{1 + number // 65536}.{number // 256 % 256}.{number % 256}"
        failed(known, 1, address, f"name-{number}")
        known.note_success(guess(address, "ops"))
    assert len(known) == 2 * MOST_KEPT
    assert known.wait(guess("10.0.0.1")) == 0


@pytest.mark.usefixtures("time")
def test_all_addresses_of_a_network_of_ipv6_are_one() -> None:
    known = Attempts()
    for number in range(FREE_OF_ADDRESS + 1):
        failed(known, 1, f"2001:db8:0:1::{number:x}", f"name-{number}")
    assert known.wait(guess("2001:db8:0:1:ffff::1", "x")) == 1
    assert known.wait(guess("2001:db8:0:2::1", "x")) == 0
    for number in range(FREE_OF_ADDRESS + 1):
        failed(known, 1, "::ffff:10.0.0.1", f"other-{number}")
    assert known.wait(guess("10.0.0.1", "x")) == 1


@pytest.mark.usefixtures("time")
def test_a_name_of_a_megabyte_is_cut() -> None:
    known = Attempts()
    failed(known, FREE_OF_NAME + 1, "10.0.0.1", "x" * 1_000_000)
    assert known.wait(guess("10.0.0.1", "x" * 999_999)) == 1
