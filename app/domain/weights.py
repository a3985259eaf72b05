"""What documents weigh as JSON, and how many of them are taken at a time. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

BATCH_BYTES = 10_000_000
"""What a task takes at a time, about."""
HEAVIEST_BYTES = 100_000_000
"""What a task takes at a time where the heaviest documents lie together, at most."""
USUAL_SHARE, HEAVIEST_SHARE = 0.06, 0.08
"""Of the smallest heap: for the batches of all windows in flight, and for one of the heaviest
documents. Elasticsearch refuses writes of more than a tenth of it (7.17, 8.19, 9.4)."""
TOGETHER_SHARE = 0.25
"""Of the smallest heap, where all windows in flight are at their heaviest documents."""
SMALLEST_HEAP = 512 * 2**20
"""Taken for the heap of a cluster that does not tell."""

DEFLATED = 1_030
"""A byte on disk is at most so many of JSON: more is not to be had of DEFLATE, LZ4 reaches 255."""
NEGLIGIBLE_BYTES = 20_000_000
"""All documents of a shard are taken at once whatever they weigh, if they weigh no more."""
LEAST_ON_DISK = 2_000
"""A shard with documents is not smaller (7.17, 8.19, 9.4): where it is told to be, its size is not
known."""

FIRST_ROUND_BYTES, ROUND_BYTES = 64_000_000, 8_000_000
"""What the first look at documents can weigh at the very worst, and each further one, about."""
SAMPLE_DOCUMENTS, SAMPLE_BYTES = 300, 16_000_000
"""So many documents are looked at, or so many bytes of them."""
GROWTH = 8
"""A look has at most so many times more documents than those before it together."""


@dataclass(frozen=True)
class OnDisk:
    """Documents, nested ones included, and the bytes that their shards have on disk."""

    documents: int
    size: int

    @property
    def known(self) -> bool:
        return self.size >= LEAST_ON_DISK

    @property
    def negligible(self) -> bool:
        """True where nobody has to know what they weigh."""
        light = self.known and self.size * DEFLATED <= NEGLIGIBLE_BYTES
        return light or self.documents <= 1


def together(shards: Iterable[OnDisk]) -> OnDisk:
    """All of them; one with documents whose size is not known yet makes that of all unknown."""
    filled = [shard for shard in shards if shard.documents]
    known = all(shard.known for shard in filled)
    size = sum(shard.size for shard in filled) if known else 0
    return OnDisk(sum(shard.documents for shard in filled), size)


@dataclass(frozen=True)
class Weights:
    """Bytes of a document's JSON: on average, of the heaviest that was seen, and of all `documents`
    together, nested ones left out."""

    mean: float
    heaviest: int
    documents: int

    @classmethod
    def of(cls, seen: Sequence[int], documents: int) -> Weights:
        return cls(sum(seen) / len(seen), max(seen), documents)

    def share(self, part: int, whole: int) -> int:
        """Bytes of so many of the documents on disk, of which there are `whole`."""
        return int(self.mean * self.documents * part / max(1, whole))


@dataclass(frozen=True)
class Budget:
    """Bytes of JSON that a task may take at a time: `usual` of average documents, `heaviest` where
    the heaviest lie together."""

    usual: int
    heaviest: int

    @classmethod
    def of(cls, heap: int | None, windows: int) -> Budget:
        """With `windows` in flight on nodes of which the smallest has that heap."""
        heap = heap or SMALLEST_HEAP
        most = min(heap * HEAVIEST_SHARE, heap * TOGETHER_SHARE / windows)
        return cls(
            usual=min(BATCH_BYTES, int(heap * USUAL_SHARE / windows)),
            heaviest=min(HEAVIEST_BYTES, int(most)),
        )


def batch_for(on_disk: OnDisk, weights: Weights | None, budget: Budget, most: int) -> int:
    """How many documents make a batch; 1 to `most`.

    Documents that nobody has looked at are taken to be twice as large as on disk.
    """
    each = on_disk.size / max(1, on_disk.documents)
    if weights is None:
        return _between(1, budget.usual / (2 * each) if each else most, most)
    usual = budget.usual / max(1.0, weights.mean, each)
    return _between(1, min(usual, budget.heaviest / max(1, weights.heaviest)), most)


def next_look(on_disk: OnDisk, seen: Sequence[int]) -> int:
    """How many documents the next look at some of them is to have, 0: enough were seen.

    The first one cannot weigh too much, whatever they are: one where nothing is known.
    """
    left = SAMPLE_DOCUMENTS - len(seen)
    if not seen:
        most = on_disk.size * DEFLATED / max(1, on_disk.documents)
        return _between(1, FIRST_ROUND_BYTES / most if on_disk.known else 1, left)
    if left <= 0 or sum(seen) >= SAMPLE_BYTES or len(seen) >= on_disk.documents:
        return 0
    return _between(1, min(len(seen) * GROWTH, ROUND_BYTES / max(1, *seen)), left)


def _between(least: int, value: float, most: int) -> int:
    return max(least, min(most, int(value)))
