"""The target gets settings, copies and state of the source: before the swap, and after it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any

from app.copying.tasks import end_returned
from app.domain import filling, index_settings
from app.domain.errors import Failure
from app.domain.holds import HoldCause
from app.domain.operation import Operation, Source
from app.elastic.answers import IndexState, Looked
from app.elastic.cluster import Cluster
from app.jobs.phases import Again, Done, Hold, Outcome, Work
from app.upgrades.steps.guard import restore_source
from app.upgrades.steps.identity import observe, target_in
from app.upgrades.steps.target import target_differences

SHOWN_AFTER = 0.1


async def restore_settings(work: Work[Operation], cluster: Cluster) -> Outcome:
    """Restores, flushes and waits for the copies; never goes on to the swap without them.

    A source that was yellow when it was taken had fewer copies, and no more are waited for: with
    one node and one replica green would never come (`_cluster/health` 408).
    """
    operation = work.job
    assert operation.source is not None
    looked = await observe(operation.pair, cluster, mappings=True)
    target, source = target_in(looked, operation.pair), _source(looked, operation)
    if source is not None and target.stamp and (opened := _opened(source, target)):
        await cluster.indices.put_dynamic(
            operation.new_index_name, opened
        )  # while limits are still raised
        return Again()
    recorded = operation.source.settings
    wanted = index_settings.given_back_first(recorded, index_settings.RESTORED)
    wanted |= filling.limits_given_back(source.settings, target.settings) if source else {}
    wanted[index_settings.STAMP] = None
    if operation.source.closed or operation.source.blocks.keys() & index_settings.NO_WRITES:
        wanted["index.blocks.write"] = "true"  # no writable moment between the swap and the finish
    if not _is_ready(target, wanted, operation):
        await _make_ready(target, wanted, operation, cluster)
        looked = await observe(operation.pair, cluster, mappings=True)
        target, source = target_in(looked, operation.pair), _source(looked, operation)
        if not _is_ready(target, wanted, operation):
            return Again(after=SHOWN_AFTER)
    if source is not None:
        _refuse_differences(source, target, operation)
    active = await cluster.shards.active_copies(operation.new_index_name)
    if active < operation.source.active_copies:
        # a node that left for good took some of the source's, too
        now = await cluster.shards.active_copies(operation.source_name)
        least = min(operation.source.active_copies, max(now, target.shards))
        if active < least:
            text = f"{target.name} has {active} of {least} shard copies active"
            return Hold(HoldCause.COPIES_AWAY, text, SHOWN_AFTER)
    last = index_settings.given_back_last(recorded)
    if changes := differing(target, last):
        before = {key: target.settings.get(key) for key in changes}
        await cluster.indices.put_settings(operation.new_index_name, changes, before)
        return Again()
    return Done()


def _source(looked: Looked, operation: Operation) -> IndexState | None:
    """The source, if it is still there: the swap says what becomes of one that is not."""
    assert operation.source is not None
    state = looked.get(operation.source_name)
    return state if state is not None and state.uuid == operation.source.uuid else None


def _opened(source: IndexState, target: IndexState) -> dict[str, Any]:
    """What gives the target the source's `dynamic` back; empty where it has it."""
    wanted = filling.dynamic_set(source.mappings)
    if not index_settings.missing_mappings(wanted, target.mappings):
        return {}
    return filling.dynamic_request(source.mappings)


def _refuse_differences(source: IndexState, target: IndexState, operation: Operation) -> None:
    """Raises `Failure` where the target, which is as it will stay now, is not as its source."""
    if faults := target_differences(source, target, operation.mode):
        raise Failure(
            "target_changed",
            f"{target.name} does not have the settings or mappings of {source.name} in the end: "
            f"{', '.join(faults[:5])}. Post the index again.",
        )


def _is_ready(target: IndexState, wanted: dict[str, str | None], operation: Operation) -> bool:
    marked = operation.keeps_source or operation.marker in target.aliases
    return marked and not differing(target, wanted)


async def _make_ready(
    target: IndexState, wanted: dict[str, str | None], operation: Operation, cluster: Cluster
) -> None:
    """Settings, flush and the marker of the swap side by side: each takes the master its time."""
    name, settings = operation.new_index_name, differing(target, wanted)
    changes: list[Awaitable[None]] = []
    if settings:
        before = {key: target.settings.get(key) for key in settings}
        changes += [
            cluster.indices.put_settings(name, settings, before),
            cluster.indices.flush(name),
        ]
    if not operation.keeps_source and operation.marker not in target.aliases:
        changes.append(cluster.aliases.put_marker(name, operation.marker))
    await asyncio.gather(*changes)


def differing(target: IndexState, wanted: dict[str, str | None]) -> dict[str, str | None]:
    """What still has to be set. A setting taken away may come back as its default."""
    found = {key: target.settings.get(key) for key in wanted}
    defaults = {"index.number_of_replicas": "1"}
    return {
        key: value
        for key, value in wanted.items()
        if found[key] != value and not (value is None and found[key] == defaults.get(key))
    }


HIDDEN = "index.hidden"


async def finish(work: Work[Operation], cluster: Cluster) -> Outcome:
    """Visible again if it was, closed if it was, blocked if it was."""
    operation = work.job
    assert operation.source is not None
    if await end_returned(work, cluster):
        return Again(after=0.3)
    target = target_in(await cluster.indices.look(operation.new_index_name), operation.pair)
    hidden = operation.source.settings.get(HIDDEN)
    wanted = {HIDDEN: hidden, **operation.source.lifecycle}
    if index_settings.POLICY in target.settings:  # by a template: it would delete it one day
        wanted.setdefault(index_settings.POLICY, None)
    before = {key: target.settings.get(key) for key in wanted}
    if before != wanted:
        await cluster.indices.put_settings(operation.new_index_name, wanted, before)
    if operation.source.closed and not target.closed:
        await cluster.indices.close(operation.new_index_name)
    if target.set_blocks != operation.source.blocks:  # last: they refuse the others
        keys = sorted(target.set_blocks.keys() | operation.source.blocks.keys())
        blocks = {key: operation.source.blocks.get(key) for key in keys}
        await cluster.indices.put_settings(operation.new_index_name, blocks, target.set_blocks)
    look_again = await cluster.indices.look(operation.new_index_name)
    if not _as_it_was(target_in(look_again, operation.pair), operation.source):
        return Again(after=0.1)
    if operation.keeps_source and not isinstance(
        waits := await restore_source(work, cluster), Done
    ):
        return waits
    tasks = [window.task_id for window in work.windows if window.task_id]
    if tasks:
        await cluster.tasks.forget(tasks)
    return Done()


def _as_it_was(target: IndexState, source: Source) -> bool:
    return (
        target.settings.get(HIDDEN) == source.settings.get(HIDDEN)
        and target.closed == source.closed
        and source.blocks == target.set_blocks
    )
