"""How thoroughly a copy is proven where nobody has said so. Pure."""

from __future__ import annotations

from app.domain.operation import Source
from app.domain.proof import FullUpTo, ProofLevel


def chosen_proof(
    source: Source, documents: int, size: int, up_to: FullUpTo
) -> tuple[ProofLevel, str]:
    """The level, and what is said of it. `documents` count nested ones; `size` in bytes."""
    possible = source.searchable_seq_nos
    level = up_to.choose(documents, size, possible=possible)
    if level is ProofLevel.FULL:
        return level, f"full: the index has no more than {up_to}"
    if not possible:
        return level, "sample: it has no sequence numbers by which all documents could be read"
    return level, (
        f"sample: the index has more than {up_to}. Full would read both indices through once, "
        "which takes about half as long as the copy"
    )
