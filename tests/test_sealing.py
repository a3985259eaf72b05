"""Stored secrets: what is sealed opens with a key, and only for what it was sealed for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from typer.testing import CliRunner

from app import redaction
from app.cli.commands import cli
from app.domain.errors import SecretUnusable
from app.sealing import Seal, Sealing
from app.settings import Settings
from app.sites.doctor import Check, Severity, of_keys

HOOK = Seal("webhook", "default", "0b9d2f7c")
SECRET = "https://hooks.example/T0/pässwört-€"


def key() -> str:
    """As the command prints it."""
    printed = CliRunner().invoke(cli, ["keys", "new"])
    assert printed.exit_code == 0
    (line,) = printed.output.splitlines()
    return line


def with_keys(*keys: str) -> Sealing:
    return Sealing(lambda: ",".join(keys))


def code_of(act: Callable[[], object]) -> str:
    with pytest.raises(SecretUnusable) as caught:
        act()
    return caught.value.code


def test_what_is_sealed_is_opened_again_and_says_nothing() -> None:
    sealing = with_keys(key())
    sealed = sealing.close(SECRET, HOOK)
    assert sealing.open(sealed, HOOK) == SECRET
    assert sealed.isascii()
    for word in ("hooks", "webhook", "default", HOOK.address):
        assert word not in sealed
    assert sealing.close(SECRET, HOOK) != sealed


@pytest.mark.parametrize("part", ["purpose", "cluster", "address"])
def test_it_opens_for_nothing_else(part: str) -> None:
    sealing = with_keys(key())
    sealed = sealing.close(SECRET, HOOK)
    other = replace(HOOK, **{part: "another"})
    assert code_of(lambda: sealing.open(sealed, other)) == "sealed_for_another"
    assert code_of(lambda: sealing.anew(sealed, other)) == "sealed_for_another"


def test_the_first_key_encrypts_and_all_decrypt() -> None:
    old, new = key(), key()
    sealed = with_keys(old).close(SECRET, HOOK)
    both = with_keys(new, old)
    assert both.open(sealed, HOOK) == SECRET
    assert code_of(lambda: with_keys(new).open(sealed, HOOK)) == "not_opened"
    assert with_keys(new).open(both.close(SECRET, HOOK), HOOK) == SECRET
    assert code_of(lambda: with_keys(old).open(both.close(SECRET, HOOK), HOOK)) == "not_opened"
    assert with_keys(new).open(both.anew(sealed, HOOK), HOOK) == SECRET


@pytest.mark.parametrize("place", [0, 10, 60, -1])
def test_one_that_was_changed_is_not_opened(place: int) -> None:
    sealing = with_keys(key())
    sealed = list(sealing.close(SECRET, HOOK))
    sealed[place] = "A" if sealed[place] != "A" else "B"
    assert code_of(lambda: sealing.open("".join(sealed), HOOK)) == "not_opened"


@pytest.mark.parametrize("sealed", ["", "ü", "plain text", "gAAAA"])
def test_what_was_never_sealed_is_not_opened(sealed: str) -> None:
    assert code_of(lambda: with_keys(key()).open(sealed, HOOK)) == "not_opened"


def test_a_plain_token_of_the_same_key_that_says_nothing_of_its_purpose_is_not_opened() -> None:
    own = key()
    for inside in (b"secret", b'{"purpose": "webhook"}'):
        token = Fernet(own).encrypt(inside).decode()
        assert code_of(lambda token=token: with_keys(own).open(token, HOOK)) == "not_opened"


def test_without_keys_a_sentence_says_how_to_make_one() -> None:
    sealing = Sealing(lambda: None)
    assert code_of(lambda: sealing.close(SECRET, HOOK)) == "no_keys"
    with pytest.raises(SecretUnusable, match="reindex-queue keys new"):
        sealing.open("x", HOOK)


@pytest.mark.parametrize("wrong", ["short", "schlüssel", "A" * 44, "=" * 44])
def test_a_wrong_key_is_told_by_its_number_and_not_shown(wrong: str) -> None:
    sealing = with_keys(key(), wrong)
    assert code_of(lambda: sealing.close(SECRET, HOOK)) == "wrong_keys"
    fault = sealing.report().fault
    assert fault is not None
    assert "number 2 of 2" in fault.message
    assert wrong not in fault.message


@pytest.mark.parametrize("between", [",", "\n", " , ", "\r\n", ",\n"])
def test_keys_are_divided_by_commas_or_lines(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, between: str
) -> None:
    keys = [key(), key(), key()]
    monkeypatch.setenv("REINDEX_SECRET_KEYS", between.join(keys))
    report = Sealing(Settings().secret("reindex_secret_keys")).report()
    assert (report.number, report.fault) == (3, None)
    monkeypatch.delenv("REINDEX_SECRET_KEYS")
    file = tmp_path / "keys"
    file.write_bytes((between.join(keys) + "\n").encode())
    monkeypatch.setenv("REINDEX_SECRET_KEYS_FILE", str(file))
    sealing = Sealing(Settings().secret("reindex_secret_keys"))
    assert sealing.report().number == 3
    file.write_text(keys[0])
    assert sealing.report().number == 1


def test_the_service_starts_whatever_is_wrong_with_the_keys_and_the_doctor_says_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def found() -> list[Check]:
        return of_keys(Sealing(Settings().secret("reindex_secret_keys")).report())

    assert found() == []
    monkeypatch.setenv("REINDEX_SECRET_KEYS", f"{key()},{key()}")
    (well,) = found()
    assert (well.verdict, well.finding) == (Severity.OK, "2, of which the first encrypts")
    monkeypatch.setenv("REINDEX_SECRET_KEYS_FILE", str(tmp_path / "keys"))
    (both,) = found()
    assert "not both" in both.finding
    monkeypatch.setenv("REINDEX_SECRET_KEYS", "")
    (away,) = found()
    assert away.verdict is Severity.WRONG
    assert "No such file" in away.finding
    (tmp_path / "keys").write_text("\n")
    (empty,) = found()
    assert "is empty" in empty.finding
    (tmp_path / "keys").write_text(" , \n ,")
    (none,) = found()
    assert "has no key in it" in none.finding
    (tmp_path / "keys").write_text("no key")
    (wrong,) = found()
    assert "number 1 of 2" in wrong.finding
    assert wrong.remedy is not None
    assert "REINDEX_SECRET_KEYS" in wrong.remedy


def test_what_is_opened_never_comes_into_the_log_after_that(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    redactor = redaction.Redactor()
    monkeypatch.setattr("app.sealing.hide", redactor.learn)
    own = key()
    sealing = with_keys(own)
    sealing.open(sealing.close(SECRET, HOOK), HOOK)
    assert redactor.line(f"{SECRET} {own}") == "*** ***"
