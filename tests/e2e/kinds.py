"""The kinds of index that `make prove` sends through, and what must have become of each."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass, field
from typing import Any

from app.domain.job import Status
from tests.conditions import eventually
from tests.e2e.process import ServiceProcess
from tests.elasticsearch import Elastic
from tests.upgrades.portrait import Contents, as_found, contents, made_anew

AWAY = 503
"""The answer of a service without its database: what was asked for is noted or not."""
LONG = 600.0
"""Seconds; whoever asks has a deadline for the whole."""


def _nothing(_es: Elastic, _name: str) -> None:
    pass


@dataclass(frozen=True)
class Kind:
    """`fill` makes the index, `seal` comes after its documents were noted.

    `ask` is what a client does beyond the first POST, `settings` are given to the service,
    `ends_as` is the status in the end, where it is not `completed` because `ask` came too late;
    with a `copy` the old index is then kept beside the new one, and `back` means that it has the
    name again. `stays`: the old index keeps its name and only its aliases move
    (`deleteOldIndex: false`).
    """

    fill: Callable[[Elastic, str], None]
    seal: Callable[[Elastic, str], None] = _nothing
    ask: Callable[[ServiceProcess, str], Awaitable[None]] | None = None
    ends_as: Status = Status.COMPLETED
    late: bool = False
    copy: bool = False
    back: bool = False
    stays: bool = False
    settings: dict[str, str] = field(default_factory=dict[str, str])


class Subject:
    """One index of a kind under a name of its own, and what it was before."""

    def __init__(self, es: Elastic, kind: Kind, name: str) -> None:
        self._es = es
        self.kind = kind
        self.name = name
        self.target = f"reindexed-v8-{name}"
        kind.fill(es, name)
        self._documents = contents(es, name)
        kind.seal(es, name)
        self._aliases = es.aliases(name)
        self._found = as_found(es, name)
        self._make = made_anew(es, name)

    def wrote(self, document_id: str, source: Any) -> None:
        """Somebody has indexed a new document into it."""
        written = Contents(document_id, None, 1, source)
        self._documents = sorted([*self._documents, written], key=lambda d: (d.id, d.routing or ""))

    @property
    def size(self) -> int:
        """How many documents it must have."""
        return len(self._documents)

    def faults(self, status: int, allowed: Collection[int] = ()) -> list[str]:
        """What is not as it should be after the end, in words; opens what is closed or blocked.

        `allowed`: how it may have ended, where that is not for its kind to say.
        """
        usual = {self.kind.ends_as, *([Status.COMPLETED] if self.kind.late else [])}
        if status not in (allowed or usual):
            return [f"the operation ended with status {status}"]
        swapped = status == Status.COMPLETED or self.kind.back
        indices, copies = self.indices(), self._copies()
        holder = self.target if swapped else self.name
        if self.kind.back:
            holder = next(iter(copies), self.target)
        kept = self.kind.copy and status == Status.COMPLETED
        expected = {holder, *(copies if kept else ()), *([self.name] if self.kind.stays else [])}
        if indices != expected or len(copies) != (kept or self.kind.back):
            return [f"the indices are {sorted(indices)}"]
        faults = [*self._changes(holder, swapped), *self._litter()]
        if kept:
            faults += self._unfit(*copies)
        if self.kind.stays:
            return [*faults, *self._left(), *self._differing(holder, holder)]
        return [*faults, *self._differing(self.name, holder)]

    def remove(self) -> None:
        """Takes everything of it out of the cluster, whatever state it is in."""
        indices = self.indices()
        names = ",".join(indices)
        if indices and self._es.request("DELETE", f"/{names}").is_success:
            return
        for index in indices:  # a block is in the way
            self._open_up(index)
            self._es.delete(f"/{index}")

    def _changes(self, holder: str, swapped: bool) -> list[str]:
        own_name = {self.name: {"is_hidden": False}} if swapped and not self.kind.stays else {}
        wanted, found = {**self._aliases, **own_name}, self._es.aliases(holder)
        faults = [] if found == wanted else [f"aliases: {wanted} → {found}"]
        before = self._make if swapped else self._found
        after = made_anew(self._es, holder) if swapped else as_found(self._es, holder)
        keys = before.keys() | after.keys()
        if self.kind.back:  # a clone says it explicitly
            keys -= {"index.routing_partition_size"}
        differing = [k for k in keys if before.get(k) != after.get(k)]
        return faults + [f"{k}: {before.get(k)} → {after.get(k)}" for k in sorted(differing)]

    def _litter(self) -> list[str]:
        listed = self._es.get("/_alias/.rq-*?expand_wildcards=all")
        faults = [
            f"{index} still has a marker alias" for index in listed if index in self.indices()
        ]
        if [task for task in self._es.copy_tasks() if f"[{self.name}]" in task["description"]]:
            faults.append("a copy task still runs")
        return faults

    def _unfit(self, copy: str) -> list[str]:
        """What a kept copy lacks that waits for a rollback."""
        found = self._es.settings(copy)
        keys = ("index.hidden", "index.blocks.write", "index.verified_read_only")
        faults = [f"the kept copy lacks {key}" for key in keys if found.get(key) != "true"]
        if self._es.aliases(copy):
            faults.append("the kept copy has aliases")
        return [*faults, *self._differing(copy, copy)]

    def _left(self) -> list[str]:
        """What is not as it was of an old index that has only given its aliases away."""
        wanted: dict[str, Any] = {**self._found, "aliases": []}
        found = as_found(self._es, self.name)
        keys = [key for key in wanted.keys() | found.keys() if wanted.get(key) != found.get(key)]
        faults = [f"old index: {key}: {wanted.get(key)} → {found.get(key)}" for key in sorted(keys)]
        return [*faults, *self._differing(self.name, self.name)]

    def _differing(self, name: str, holder: str) -> list[str]:
        self._open_up(holder)
        found = contents(self._es, name)
        if found == self._documents:
            return []
        lost = [d.id for d in self._documents if d not in found]
        return [f"of {len(self._documents)} documents {len(lost)} are lost or changed: {lost[:5]}"]

    def indices(self) -> set[str]:
        """What there is of it in the cluster now."""
        own = {index for index in self._es.indices() if index in (self.name, self.target)}
        return own | self._copies()

    def _copies(self) -> set[str]:
        return {index for index in self._es.indices() if index.startswith(f"kept-{self.name}-")}

    def _open_up(self, index: str) -> None:
        if blocks := self._es.blocks(index):
            self._es.put(f"/{index}/_settings", dict.fromkeys(blocks))
        if self._es.is_closed(index):
            self._es.post(f"/{index}/_open?wait_for_active_shards=1")


def _plain(es: Elastic, name: str) -> None:
    """Three shards, documents with a routing, versions, a gap in the sequence numbers."""
    shards = {"number_of_shards": 3, "number_of_replicas": 0, "refresh_interval": "-1"}
    es.put(f"/{name}", {"settings": shards})
    es.bulk(name, [{"n": n, "text": f"first {n}"} for n in range(60)])
    es.bulk(name, [{"n": n, "text": f"routed {n}"} for n in range(60)], routing="r")
    es.bulk(name, [{"n": n, "text": f"again {n}"} for n in range(20)])
    es.delete(f"/{name}/_doc/5")


def _many_shards(es: Elastic, name: str) -> None:
    """Five shards of about 24 documents: two or three windows each."""
    es.put(f"/{name}", {"settings": {"number_of_shards": 5, "number_of_replicas": 0}})
    es.bulk(name, [{"n": n} for n in range(120)])


def _aliased(es: Elastic, name: str) -> None:
    aliases: dict[str, dict[str, Any]] = {
        f"{name}-plain": {},
        f"{name}-filtered": {"filter": {"term": {"n": 1}}},
        f"{name}-routed": {"index_routing": "a", "search_routing": "a,b"},
        f"{name}-written": {"is_write_index": True},
        f"{name}-unseen": {"is_hidden": True},
    }
    es.put(f"/{name}", {"aliases": aliases})
    es.bulk(name, [{"n": n} for n in range(10)])


def _small(es: Elastic, name: str) -> None:
    es.put(f"/{name}", {"aliases": {f"{name}-alias": {}}})
    es.bulk(name, [{"n": n} for n in range(10)])


def _close(es: Elastic, name: str) -> None:
    """Closed, and blocked as strictly as can be without hiding it."""
    es.post(f"/{name}/_close")
    es.put(f"/{name}/_settings", {"index.blocks.read_only": True, "index.blocks.read": True})


def _empty(es: Elastic, name: str) -> None:
    es.put(f"/{name}", {"mappings": {"properties": {"n": {"type": "short"}}}})


def _large(es: Elastic, name: str) -> None:
    """Copied one document after the other, which leaves the time to cancel it."""
    es.put(f"/{name}", {"aliases": {f"{name}-alias": {}}})
    es.bulk(name, [{"n": n} for n in range(4000)])


def _paged(es: Elastic, name: str) -> None:
    """More documents than are compared by one search."""
    es.put(f"/{name}", {"settings": {"number_of_replicas": 0}})
    es.bulk(name, [{"n": n} for n in range(1100)])


def _malformed(es: Elastic, name: str) -> None:
    """One document that the target will not take: the mapping became stricter after it."""
    lenient = {"properties": {"n": {"type": "integer", "ignore_malformed": True}}}
    es.put(f"/{name}", {"mappings": lenient, "aliases": {f"{name}-alias": {}}})
    es.bulk(name, [*[{"n": n} for n in range(5)], {"n": "not a number"}])
    strict = {"properties": {"n": {"type": "integer", "ignore_malformed": False}}}
    es.put(f"/{name}/_mapping", strict)


async def _cancel(service: ServiceProcess, name: str) -> None:
    """Cancels when the copy is under way; nothing where it has ended already."""

    async def asked() -> bool:
        operation = await service.api.operation(name)
        if operation["status"] != Status.IN_PROGRESS:
            return True
        return bool(operation["reindexTaskId"]) and await service.api.cancel(name) != AWAY

    await eventually(asked, f"{name} is copied", LONG)


async def _cancel_late(service: ServiceProcess, name: str) -> None:
    """Cancels while the old index is cloned; nothing where that is over."""

    async def asked() -> bool:
        operation = await service.api.operation(name)
        step = operation["lastCompletedStep"]
        if operation["status"] != Status.IN_PROGRESS or step > 55:
            return True
        return step == 55 and await service.api.cancel(name) != AWAY

    await eventually(asked, f"{name} is cloned", LONG, pause=0.01)


async def _roll_back(service: ServiceProcess, name: str) -> None:
    """Asks for the rollback once it is completed; nothing where that was done before."""
    while (operation := await service.api.newest_ended(name, LONG))["state"] == "completed":
        answer = await service.api.roll_back(operation["id"])
        if answer.status_code != AWAY:
            assert answer.status_code == 200, answer.text
            return


async def _expired(service: ServiceProcess, name: str) -> None:
    """Waits until the kept copy is known to be gone."""

    async def gone() -> bool:
        return (await service.api.newest_ended(name, LONG))["keptCopy"]["state"] == "removed"

    await eventually(gone, f"the kept copy of {name} is gone", LONG)


KEPT = {"REINDEX_KEEP_OLD_INDEX": "true"}

KINDS: dict[str, Kind] = {
    "plain": Kind(
        _plain,
        settings={"REINDEX_WINDOW_DOCUMENTS": "25", "REINDEX_SYNCHRONOUS_DOCUMENTS": "0"},
    ),
    "many-shards": Kind(
        _many_shards,
        settings={"REINDEX_WINDOW_DOCUMENTS": "12", "REINDEX_SYNCHRONOUS_DOCUMENTS": "0"},
    ),
    "aliased": Kind(_aliased),
    "old-stays": Kind(_aliased, stays=True),
    "closed": Kind(_small, seal=_close),
    "empty": Kind(_empty),
    "compared": Kind(_paged, settings={"REINDEX_PROOF": "full", "REINDEX_BATCH_DOCUMENTS": "200"}),
    "cancelled": Kind(
        _large, ask=_cancel, ends_as=Status.CANCELLED, settings={"REINDEX_BATCH_DOCUMENTS": "1"}
    ),
    "failing": Kind(_malformed, ends_as=Status.FAILED),
    "kept": Kind(_aliased, copy=True, settings=KEPT),
    "kept-cancelled": Kind(
        _aliased,
        ask=_cancel_late,
        ends_as=Status.CANCELLED,
        late=True,
        copy=True,
        settings=KEPT,
    ),
    "expired": Kind(_aliased, ask=_expired, settings={**KEPT, "REINDEX_KEEP_DAYS": "0"}),
    "rolled-back": Kind(
        _aliased,
        seal=_close,
        ask=_roll_back,
        ends_as=Status.CANCELLED,
        back=True,
        settings=KEPT,
    ),
}
