"""After the swap: the new index gets the state the old one was in. Nothing rolls back from here."""

from __future__ import annotations

from app.copying.tasks import end_returned
from app.domain import lifecycle
from app.domain.operation import Operation, Source
from app.elastic.answers import IndexState
from app.elastic.cluster import Cluster
from app.jobs.phases import Again, Done, Outcome, Work
from app.upgrades.steps.identity import target_in
from app.upgrades.steps.source import restore_source

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
    if lifecycle.POLICY in target.settings:  # by a template: it would delete it one day
        wanted.setdefault(lifecycle.POLICY, None)
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
