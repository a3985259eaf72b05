"""The kept copy: a clone of the source that stays for a while after the swap."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from app.domain.names import MAX_BYTES, IndexName


class Kept(BaseModel):
    """`uuid` and `seq_nos` (by shard) are None until the copy is there and proven.

    `found_closed` and `found_blocks` are of the target when a rollback began: where the rollback
    is refused half-way it is given back as it was.
    """

    model_config = ConfigDict(frozen=True)

    name: IndexName
    uuid: str | None = None
    seq_nos: list[int] | None = None
    found_closed: bool = False
    found_blocks: dict[str, str] | None = None


def kept_name(name: IndexName, operation_id: str) -> IndexName:
    """What the kept copy of `name` is called: `kept-logs-2019-1a2b3c4d`, `.kept-logs-…`.

    The operation's id makes it one of its own; a name that would be too long is cut.
    """
    dot, bare = (".", name[1:]) if name.startswith(".") else ("", name)
    begin, end = f"{dot}kept-", f"-{operation_id[:8]}"
    room = MAX_BYTES - len(begin) - len(end)
    return IndexName(f"{begin}{bare.encode()[:room].decode(errors='ignore')}{end}")
