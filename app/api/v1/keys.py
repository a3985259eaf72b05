"""`/api/v1/keys`: stored secrets are encrypted with the first key."""

from __future__ import annotations

from fastapi import APIRouter

from app.api.access import AllSites, Caller
from app.api.v1 import documented
from app.api.v1.tokens import UNLIMITED_ADMIN
from app.wire.keys import RotationAnswer

router = APIRouter(prefix="/api/v1/keys", tags=["Keys"])


@router.post(
    "/rotate",
    summary="Encrypt secrets anew",
    dependencies=UNLIMITED_ADMIN,
    responses=documented.ROTATED,
)
async def rotate_keys(sites: AllSites, caller: Caller) -> RotationAnswer:
    """Encrypts every stored secret with the first key of `REINDEX_SECRET_KEYS`.

    Put a new key before the others, start each service again or wait until it has read the file,
    then ask for this. When nothing is left that could not be opened, the older keys can go.
    """
    done = await sites.key_rotation.rotate(caller.name)
    return RotationAnswer(encrypted=done.encrypted, not_opened=done.not_opened)
