"""The commands about tokens: `token create`, `list`, `revoke`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

from pydantic import ValidationError

from app.cli import display
from app.cli.client import Misuse
from app.cli.display import Row, TextTable
from app.cli.requests import Call
from app.cli.session import Session
from app.domain.formatting import parsed_duration
from app.domain.principal import Role
from app.domain.token import NAME_RULE, Token
from app.wire.tokens import NewToken, NewTokenAnswer, TokenList, TokenReport

TOKENS = "/api/v1/tokens"
COLUMNS = ("token", "state", "role", "indices", "clusters", "expires", "last used", "made by")


@dataclass(frozen=True)
class Wish:
    """A token as it is asked for on the command line; `expires`: in which time."""

    name: str
    role: Role
    indices: Sequence[str] = ()
    clusters: Sequence[str] = ()
    expires: str | None = None

    def request(self) -> NewToken:
        """Raises `Misuse`."""
        body: dict[str, Any] = {"name": self.name, "role": self.role.value}
        if self.indices:
            body["indices"] = list(self.indices)
        if self.clusters:
            body["clusters"] = list(self.clusters)
        if self.expires is not None:
            body["expiresAt"] = _end(self.expires)
        try:
            return NewToken.model_validate(body)
        except ValidationError as error:
            fault = error.errors()[0]
            if fault["loc"] == ("name",):
                raise Misuse(f"{self.name!r}: a token's name must be {NAME_RULE}.") from None
            raise Misuse(f"{fault['loc'][0]}: {fault['msg']}") from None


def create(session: Session, wish: Wish) -> None:
    body = wish.request().model_dump(mode="json", by_alias=True, exclude_unset=True)
    session.ask(Call("POST", TOKENS, body=body), NewTokenAnswer, _show_new)


def show_made(session: Session, token: Token, secret: str) -> None:
    """One that was made here, as one that a service has made."""
    answer = NewTokenAnswer(token=TokenReport.of(token), secret=secret)
    if session.as_json:
        session.print_json(answer.model_dump(mode="json", by_alias=True))
    else:
        _show_new(answer)


def list_all(session: Session) -> None:
    session.ask(Call("GET", TOKENS), TokenList, _show_all)


def _show_all(answer: TokenList) -> None:
    if answer.tokens:
        display.show(TextTable(COLUMNS, [_row(token) for token in answer.tokens]))
    else:
        display.say("There is no token yet. Make one: reindex-queue token create NAME --role ROLE")


def revoke(session: Session, name: str) -> None:
    if not name:
        raise Misuse("The name is empty: write the name of a token, as token list shows it.")
    said = f"The token {name} is revoked: it lets nobody in any more."
    asked = Call("DELETE", f"{TOKENS}/{quote(name, safe='')}")
    session.ask(asked, TokenReport, lambda _: display.say(said))


def _show_new(answer: NewTokenAnswer) -> None:
    token = answer.token
    display.show_grid(
        [
            ("token", token.name),
            ("role", token.role),
            ("indices", _listed(token.indices)),
            ("clusters", _listed(token.clusters)),
            ("expires", _day(token.expires_at) or "never"),
            ("secret", answer.secret),
        ]
    )
    display.say("Keep the secret now: it is not shown again.")


def _row(token: TokenReport) -> Row:
    return Row(
        (
            token.name,
            _state(token),
            token.role,
            _listed(token.indices),
            _listed(token.clusters),
            _day(token.expires_at) or "never",
            _day(token.last_used_at),
            token.created_by,
        )
    )


def _state(token: TokenReport) -> str:
    if token.revoked_at is not None:
        return "revoked"
    if token.expires_at is not None and token.expires_at <= datetime.now(UTC):
        return "expired"
    return "valid"


def _listed(names: Sequence[str] | None) -> str:
    return "all" if names is None else ",".join(names)


def _day(at: datetime | None) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC") if at else ""


def _end(text: str) -> str:
    """The time when so much has passed from now. Raises `Misuse`."""
    try:
        seconds = parsed_duration(text)
        end = datetime.now(UTC) + timedelta(seconds=seconds)
    except (ValueError, OverflowError) as error:
        raise Misuse(f"--expires: {error}.") from None
    if not seconds:
        raise Misuse("--expires 0: leave it out for a token that never expires.")
    return end.isoformat(timespec="seconds")
