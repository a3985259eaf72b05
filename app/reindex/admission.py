"""Who is let into the queue: what a request means, and what speaks against it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from app.domain.errors import AlreadyInProgress, InvalidIndexName, MissingPrivileges, Refused
from app.domain.kept import kept_name
from app.domain.names import IndexName, target_name
from app.domain.request import Defaults, ReindexRequest
from app.elastic.answers import Looked
from app.elastic.view import ClusterView
from app.reindex.classifier import (
    keep_refusal,
    mode_refusal,
    proof_refusal,
    refusal,
    target_refusal,
)
from app.reindex.privileges import Need
from app.reindex.surroundings import Surroundings
from app.store.enqueueing import Wanted
from app.store.store import Store
from app.telemetry import logger

log = logger(__name__)


@dataclass(frozen=True)
class RefusedName:
    name: str
    error: Refused


class Admission:
    def __init__(
        self,
        store: Store,
        cluster: ClusterView,
        surroundings: Surroundings,
        major: int | None,
        defaults: Defaults,
    ) -> None:
        self._operations = store.operations
        self._kept_copies = store.kept_copies
        self._cluster = cluster
        self._surroundings = surroundings
        self._major = major
        self._defaults = defaults

    async def target_of(self, name: IndexName) -> IndexName:
        """What `name` would be copied to by Kibana's rule."""
        return target_name(name, self._major or await self._surroundings.one_major())

    async def admit(
        self, requests: Sequence[ReindexRequest]
    ) -> tuple[list[Wanted], list[RefusedName]]:
        """What may be queued, in order, and what not and why.

        An index that has a live operation is left to the store: it is refused or resumed there.

        Raises `MixedVersions`, `ClusterTrouble`, `StoreTrouble`.
        """
        running = await self._surroundings.one_major()
        wanted, refused = self._well_formed(requests, self._major or running)
        live = await self._operations.live_names()
        new = [wish for wish in wanted if wish.index_name not in live]
        examined, faults = await self._examine(new, requests, running) if new else ([], {})
        refused += [RefusedName(name, error) for name, error in faults.items()]
        by_name = {wish.index_name: wish for wish in [*wanted, *examined]}
        good = [by_name[wish.index_name] for wish in wanted if wish.index_name not in faults]
        return good, refused

    async def _examine(
        self, new: Sequence[Wanted], requests: Sequence[ReindexRequest], running: int
    ) -> tuple[list[Wanted], dict[IndexName, Refused]]:
        """`new` with the concrete indices behind their names, and who of them the cluster's state,
        our privileges or our history speak against."""
        looked = await self._cluster.look_at_all(
            [name for wish in new for name in (wish.index_name, wish.new_index_name)]
        )
        new = await self._behind(new, looked)
        streams = await self._cluster.data_streams()
        earlier = await self._operations.completed_targets([wish.index_name for wish in new])
        leftovers = await self._operations.leftover_targets()
        faults = {
            wish.index_name: fault
            for wish in new
            if (
                fault := refusal(wish.source_name, looked, streams, earlier)
                or _of_wish(wish, looked, leftovers, running)
            )
        }
        needs = {
            wish.index_name: _need(wish, looked) for wish in new if wish.index_name not in faults
        }
        return list(new), faults | await self._privilege_faults(needs, requests)

    async def _behind(self, new: Sequence[Wanted], looked: Looked) -> Sequence[Wanted]:
        """A name that a rollback has made the alias of a kept copy stands for that."""
        aliases = [wish.index_name for wish in new if looked.holders(wish.index_name)]
        if not aliases:
            return new
        behind = await self._kept_copies.behind(aliases)
        return [
            replace(wish, concrete_name=behind[wish.index_name])
            if looked.holders(wish.index_name) == [behind.get(wish.index_name)]
            else wish
            for wish in new
        ]

    async def _privilege_faults(
        self, needs: dict[IndexName, Need], requests: Sequence[ReindexRequest]
    ) -> dict[IndexName, Refused]:
        lacking = await self._surroundings.missing_privileges(list(needs.values()))
        if lacking:
            log.warning(
                "privileges_missing", indices=len(lacking), first=next(iter(lacking.items()))
            )
        given = {request.index_name: request.new_index_name for request in requests}
        return {
            name: MissingPrivileges(name, given[name], lacking[need.index])
            for name, need in needs.items()
            if need.index in lacking
        }

    def _well_formed(
        self, requests: Sequence[ReindexRequest], major: int
    ) -> tuple[list[Wanted], list[RefusedName]]:
        """What was asked for with names checked by their form; a name twice counts once."""
        wanted: dict[IndexName, Wanted] = {}
        refused: list[RefusedName] = []
        for request in requests:
            try:
                wish = self._wanted(request, major)
            except InvalidIndexName as error:
                refused.append(RefusedName(request.index_name, error))
                continue
            if wish.index_name in wanted:
                refused.append(RefusedName(wish.index_name, AlreadyInProgress(wish.index_name)))
            else:
                wanted[wish.index_name] = wish
        return list(wanted.values()), refused

    def _wanted(self, request: ReindexRequest, major: int) -> Wanted:
        name, given = IndexName(request.index_name), request.new_index_name
        keep = request.keep_old_index
        if keep is None:
            keep = self._defaults.keep_old_index
        return Wanted(
            index_name=name,
            new_index_name=IndexName(given) if given is not None else target_name(name, major),
            keeps_source=request.keeps_source,
            delete_old_index=request.delete_old_index,
            mode=request.mode,
            proof_level=request.proof or self._defaults.proof,
            keep=keep and not request.keeps_source,  # it stays as it is anyway
        )


def _of_wish(wish: Wanted, looked: Looked, leftovers: set[str], running: int) -> Refused | None:
    """What speaks against how it is wanted."""
    source = looked[wish.source_name]
    return (
        target_refusal(wish.source_name, wish.new_index_name, looked, leftovers)
        or mode_refusal(wish.mode, source)
        or proof_refusal(wish.proof_level, source)
        or (keep_refusal(source, running) if wish.keep else None)
    )


def _need(wish: Wanted, looked: Looked) -> Need:
    """With any name of a kept copy: its own is not known before it is queued."""
    kept = kept_name(wish.index_name, "0" * 32) if wish.keep else None
    aliases = looked[wish.source_name].aliases
    return Need(wish.source_name, wish.new_index_name, aliases, kept)
