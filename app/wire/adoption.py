"""The shapes of an adoption: a person says that this database goes on."""

from __future__ import annotations

from typing import Literal

from app.wire.notation import Sent, Wire


class AdoptBody(Sent):
    """What is kept of what was there before."""

    keep_tokens: bool = False
    """True: tokens that were made before stay valid, also those that were revoked since the copy of
    the database was made that is at work now, and webhooks stay on. false: all tokens are revoked,
    all sessions are ended, and all webhooks are switched off."""


class MarkReport(Wire):
    """What a database has left in the cluster."""

    instance: str
    """The id of the database; a copy of it has the same."""
    term: int
    """Which term of it, counted from 1; 0: it has left none."""


class AdoptAnswer(Wire):
    """What had kept this database from its work."""

    kind: Literal["newer", "other"]
    """`newer`: the cluster has seen a newer term of this database, as it was restored from an older
    copy, or a copy of it was at work. `other`: another database has worked on the cluster."""
    seen: MarkReport
    """What the cluster has shown."""
    own: MarkReport
    """What this database had left there last."""
    revoked_tokens: list[str]
    """The names of the tokens that are revoked now."""
    switched_off_webhooks: list[str]
    """The names of the webhooks that are switched off now."""
