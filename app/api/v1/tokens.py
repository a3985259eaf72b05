"""`/api/v1/tokens`: what programs log in with: made, listed and revoked."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Body, Depends, Path, Request
from pydantic import AfterValidator

from app.api.access import ADMIN, Caller
from app.api.documenting import BODIES
from app.api.v1 import documented
from app.sites.site import Sites
from app.sites.token_desk import TokenDesk
from app.wire.notation import without_nul
from app.wire.tokens import NewToken, NewTokenAnswer, TokenList, TokenReport

router = APIRouter(prefix="/api/v1/tokens", tags=["Tokens"])


async def _desk(request: Request) -> TokenDesk:
    sites = request.app.state.sites
    assert isinstance(sites, Sites)
    return sites.tokens


async def _unlimited(caller: Caller) -> None:
    """Whoever is limited could give themselves a token that is not. Raises `LimitedCaller`."""
    caller.require_everything()


Desk = Annotated[TokenDesk, Depends(_desk)]
UNLIMITED_ADMIN = (*ADMIN, Depends(_unlimited))
TokenPath = Annotated[
    str,
    AfterValidator(without_nul),
    Path(title="Token", description="Its name", examples=["nightly"]),
]


@router.get("", summary="List tokens", dependencies=UNLIMITED_ADMIN, responses=documented.TOKENS)
async def list_tokens(desk: Desk) -> TokenList:
    """Every token that was ever made, with its role and limits, and when it was used last."""
    return TokenList(tokens=[TokenReport.of(token) for token in await desk.all()])


@router.post(
    "", summary="Make a token", dependencies=UNLIMITED_ADMIN, responses=documented.NEW_TOKEN
)
async def create_token(
    body: Annotated[NewToken, Body(openapi_examples=BODIES["v1_token"])],
    desk: Desk,
    caller: Caller,
) -> NewTokenAnswer:
    """The answer has the secret, which is stored nowhere and cannot be shown again.

    It lets in where `SERVER_AUTH` names `tokens`. Its limits are judged by the names of the
    concrete indices, source and new one, when an index is posted and again when its turn comes.
    """
    made = await desk.create(body.grant(), caller.name)
    return NewTokenAnswer(token=TokenReport.of(made.token), secret=made.secret)


@router.delete(
    "/{tokenName}",
    summary="Revoke a token",
    dependencies=UNLIMITED_ADMIN,
    responses=documented.REVOKED_TOKEN,
)
async def revoke_token(tokenName: TokenPath, desk: Desk, caller: Caller) -> TokenReport:
    """It lets nobody in from now on, at no service with the same database. What was posted with it
    goes on."""
    return TokenReport.of(await desk.revoke(tokenName, caller.name))
