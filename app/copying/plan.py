"""Cutting a source into windows, by documents and by what they weigh, and cutting long ones
again."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from app.copying.flight import Flight
from app.domain import clock
from app.domain.errors import AnswerTooLarge
from app.domain.events import EventKind, Note
from app.domain.operation import Operation
from app.domain.weights import (
    HEAVIEST_BYTES,
    Budget,
    OnDisk,
    Weights,
    batch_for,
    next_look,
    together,
)
from app.domain.windows import Window, WindowState, cut, cuts_needed, window_for
from app.elastic.answers import ShardStats
from app.elastic.cluster import Cluster
from app.elastic.connection import REMEMBERED_SECONDS
from app.elastic.documents import EVERYTHING
from app.jobs.phases import Work

HEAP_SECONDS = 60.0
"""So old may be what is known of the nodes' heaps."""
MANY_DOCUMENTS = 2_000_000
"""Of more, only those in some stretches are drawn from: each that may be drawn costs a moment."""
STRETCHES = 50
_SHOWS_VECTORS = (9, 2)


async def weigh(
    work: Work[Operation], stats: Mapping[int, ShardStats], cluster: Cluster
) -> tuple[Weights | None, Budget]:
    """What the documents weigh (None: that does not matter, or nothing can be seen), and how much a
    task may take at a time."""
    weights = await _weights(work, stats, cluster)
    heap = await cluster.nodes.smallest_heap(HEAP_SECONDS) if weights else None
    return weights, Budget.of(heap, work.limit.windows_planned * work.limit.copying)


async def _weights(
    work: Work[Operation], stats: Mapping[int, ShardStats], cluster: Cluster
) -> Weights | None:
    """All shards are looked at together: where the documents of one are heavier, it has its share
    of those that are seen."""
    source = work.job.source
    assert source is not None
    shards = [shard.on_disk for shard in stats.values()]
    if all(shard.negligible for shard in shards):
        return None
    whole = together(shards)
    stretched = source.searchable_seq_nos and whole.documents > MANY_DOCUMENTS
    query = _drawn(_stretches(stats) if stretched else EVERYTHING)
    vectors = (await cluster.nodes.versions(REMEMBERED_SECONDS))[0].parts >= _SHOWS_VECTORS
    seen: list[int] = []
    documents = whole.documents
    most = source.result_window
    while size := min(next_look(whole, seen), most):
        try:
            found = await cluster.documents.find(
                work.job.source_name, query, size, with_vectors=vectors
            )
        except AnswerTooLarge:
            if size == 1:
                seen.append(HEAVIEST_BYTES)
                break
            most = size // 4 or 1
            continue
        if not found.page:
            break
        documents = documents if stretched else found.total
        seen += [len(document.source) for document in found.page]
    return Weights.of(seen, documents) if seen else None


def _drawn(among: dict[str, Any]) -> dict[str, Any]:
    """A query that finds some of these at random."""
    return {"function_score": {"query": among, "random_score": {}, "boost_mode": "replace"}}


def _stretches(stats: Mapping[int, ShardStats]) -> dict[str, Any]:
    """A query for `MANY_DOCUMENTS`, about, in stretches that are spread over the shards."""
    documents = sum(shard.documents for shard in stats.values())
    last = max(shard.max_seq_no for shard in stats.values())
    length = max(1, last * MANY_DOCUMENTS // documents // STRETCHES)
    starts = [last * n // STRETCHES for n in range(STRETCHES)]
    ranges = [{"range": {"_seq_no": {"gte": n, "lt": n + length}}} for n in starts]
    return {"bool": {"filter": {"bool": {"should": ranges}}}}


RECENT = 5
"""So many of the windows that ended last tell the speed."""
LEAST_PART = 1_000
"""Of a part; smaller ones would cost more than they save."""


def split_long(flight: Flight, windows: Sequence[Window], longest: float) -> bool:
    """Cuts each of `windows` that would take more than `longest` seconds; True where one was cut.

    The parts have to be saved before one of them is sent: a task is found again by the number and
    attempt of its window, and must never be taken for the one of a window with another range.
    """
    source = flight.operation.source
    assert source is not None
    speed = _speed(list(flight.windows.values()))
    ends = flight.operation.source_seq_nos
    if speed is None or ends is None or not source.searchable_seq_nos:
        return False
    number, any_cut = max(flight.windows) + 1, False
    for window in windows:
        parts = _parts(window.documents, speed, longest)
        last = ends[window.shard] if source.sliced else max(ends)
        cut = split(window, parts, last, number)
        if len(cut) > 1:
            number, any_cut = number + len(cut) - 1, True
            flight.notes.append(_note(flight, window, len(cut), speed))
            for part in cut:
                flight.put(part)
    return any_cut


def split(window: Window, parts: int, last: int, number: int) -> list[Window]:
    """`window` in at most `parts` ranges of equal length, which cover the same sequence numbers.

    `last`: the highest sequence number of the shard; `number`: of the second part. The first part
    keeps the window's number with another attempt, so that no task for the whole is taken for it.
    """
    low = window.from_seq_no or 0
    high = last + 1 if window.to_seq_no is None else window.to_seq_no
    inner = {low + (high - low) * n // parts for n in range(1, parts) if low < high} - {low, high}
    edges = [window.from_seq_no, *sorted(inner), window.to_seq_no]
    if len(edges) < 3:
        return [window]
    share, rest = divmod(window.documents, len(edges) - 1)
    cut: list[Window] = []
    for n, (start, end) in enumerate(pairwise(edges)):
        changes = {
            "number": number + n - 1 if n else window.number,
            "attempt": 1 if n else window.attempt + 1,
            "from_seq_no": start,
            "to_seq_no": end,
            "documents": share + (1 if n < rest else 0),
        }
        cut.append(window.model_copy(update=changes))
    return cut


def _parts(documents: int, speed: float, longest: float) -> int:
    """Into how many parts; each then takes about two thirds of the longest time."""
    if documents / speed <= longest:
        return 1
    most = max(1, documents // LEAST_PART)
    return min(most, math.ceil(documents / speed / (longest * 2 / 3)))


def _speed(windows: Sequence[Window]) -> float | None:
    """Documents, as the plan counts them, a second of one window in flight; None before one has
    ended."""
    done = sorted(
        (ended := clock.as_of_now(w.ended_at), ended - clock.as_of_now(w.started_at), w.documents)
        for w in windows
        if w.state is WindowState.DONE and w.started_at and w.ended_at
    )[-RECENT:]
    seconds = sum(taken.total_seconds() for _, taken, _ in done)
    documents = sum(planned for _, _, planned in done)
    return documents / seconds if documents and seconds > 0 else None


def _note(flight: Flight, window: Window, parts: int, speed: float) -> Note:
    text = f"window {window.number} in {parts} parts, at {speed:,.0f} documents a second"
    return Note(what=EventKind.WINDOW_CUT, index=flight.operation.index_name, text=text)


MOST_WINDOWS = 2_000
"""Of an operation, about, for the sake of a low limit: each costs a row and a task."""
LEAST_DOCUMENTS = 2_000
"""Below which a window is not made smaller for the sake of a low limit."""


async def windows_of(
    work: Work[Operation], stats: dict[int, ShardStats], cluster: Cluster
) -> list[Window]:
    """Divides each shard's range of sequence numbers into windows of about the same size.

    The source stands still, so `_seq_no` is a stable coordinate. A shard without documents has no
    window.
    """
    operation, limits = work.job, work.limits
    most = min(limits.batch_documents, _result_window(operation))
    weights, budget = await weigh(work, stats, cluster)
    there = sum(shard.documents for shard in stats.values())
    windows: list[Window] = []
    parts = stats if operation.source and operation.source.sliced else _as_one(stats)
    for number in sorted(parts):
        shard = parts[number]
        if not shard.documents:
            continue
        json = weights.share(shard.documents, there) if weights else 0
        boundaries = await _boundaries(work, number, shard, json, cluster)
        batch = batch_for(OnDisk(shard.documents, shard.size), weights, budget, most)
        windows += cut(number, len(windows), shard.documents, boundaries, batch)
    return windows


def _as_one(stats: dict[int, ShardStats]) -> dict[int, ShardStats]:
    """All shards as if they were one: their sequence numbers are counted together."""
    return {
        0: ShardStats(
            documents=sum(shard.documents for shard in stats.values()),
            max_seq_no=max(shard.max_seq_no for shard in stats.values()),
            size=sum(shard.size for shard in stats.values()),
        )
    }


def _result_window(operation: Operation) -> int:
    """`source.size` must not be above the source's `index.max_result_window` (400 otherwise)."""
    assert operation.source is not None
    return operation.source.result_window


def _documents(most: int, there: int, work: Work[Operation]) -> int:
    """Of a window. A limited one is as long as others: what is stopped then loses little."""
    share = work.limit.share(work.limit.windows_planned)
    if share is None:
        return most
    least = max(LEAST_DOCUMENTS, there // MOST_WINDOWS)
    return min(most, max(least, int(share * work.limits.window_seconds)))


async def _boundaries(
    work: Work[Operation], shard: int, stats: ShardStats, json: int, cluster: Cluster
) -> list[int]:
    limits = work.limits
    source = work.job.source
    assert source is not None
    parts = source.shards if source.sliced else 1
    least = -(-work.limit.windows_planned // parts)
    most = window_for(stats.documents, stats.size, limits.window_documents, json)
    there = stats.documents * parts
    cuts = cuts_needed(stats.documents, _documents(most, there, work), least)
    if not cuts or not source.searchable_seq_nos:
        return []
    percents = [100 * (n + 1) / (cuts + 1) for n in range(cuts)]
    index = work.job.source_name
    only = shard if source.sliced else None
    estimated = await cluster.documents.percentiles_of_seq_no(index, only, percents)
    return [math.ceil(value) for value in estimated if math.isfinite(value)]
