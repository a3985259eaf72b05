"""Claims: taken with what they are for, refused by name, and freed by one rule."""

from __future__ import annotations

import pytest

from app.domain import clock
from app.domain.errors import InUse, Outdated
from app.domain.job import Goal, Job, Requested, Status
from app.domain.names import IndexName
from app.domain.operation import Changes, Operation
from app.jobs import transitions
from app.jobs.phases import Done, phase_of
from app.store import jobs
from app.store.role import Lease
from app.store.store import Store
from app.store.transactions import Transaction, Transactions
from app.upgrades.rewrite import Rewrite
from tests.store.database import claims_astray, execute
from tests.store.operations import lease_of, started

KIND = Rewrite()


def names(*given: str) -> list[IndexName]:
    return [IndexName(name) for name in given]


def claimed(database_url: str) -> set[tuple[str, str, bool]]:
    """Index, id of the job, and whether it is claimed for this job alone."""
    rows = execute(database_url, "SELECT index_name, job_id, exclusive FROM claim")
    return {(index, job, bool(exclusive)) for index, job, exclusive in rows}


async def blocked(store: Store, lease: Lease, name: str, *uses: str) -> Operation:
    """An operation in hand that has blocked its source, and uses it and `uses`."""
    operation = await started(store, lease, name)
    changes: Changes = {"writes_blocked_since": clock.now()}
    indices = names(name, *uses)
    return await store.jobs.save(lease.token, operation, changes, (), (), "worker", uses=indices)


async def take(transactions: Transactions, job: Job, *given: str, exclusive: bool = True) -> None:
    async def work(transaction: Transaction) -> None:
        await jobs.take_claim(transaction, job.id, names(*given), exclusive=exclusive)

    await transactions.run(work)


async def at_the_end_of(
    store: Store, lease: Lease, operation: Operation, goal: Goal, position: str
) -> Operation:
    """As the machine saves it when the last phase of the route to `goal` is finished."""
    place: Changes = {"goal": goal, "position_back": position}
    if goal is Goal.FINISH:
        place = {"position": position}
    operation = await store.jobs.save(lease.token, operation, place, (), (), "worker")
    done = transitions.ended(KIND, operation, phase_of(KIND, operation), Done())
    return await store.jobs.save(lease.token, operation, done.changes, (), (), "worker")


async def test_what_a_save_needs_is_claimed_with_it(store: Store, database_url: str) -> None:
    lease = await lease_of(store)
    operation = await blocked(store, lease, "a", "b", "a")
    assert claimed(database_url) == {("a", operation.id, True), ("b", operation.id, True)}
    assert operation.writes_blocked_since is not None
    assert claims_astray(database_url) == []


async def test_a_waiting_job_claims_nothing(store: Store, database_url: str) -> None:
    lease = await lease_of(store)
    await started(store, lease, "a")
    assert claimed(database_url) == set()
    assert claims_astray(database_url) == []


async def test_an_index_in_use_is_refused_with_the_name_of_who_uses_it_and_nothing_is_saved(
    store: Store, database_url: str
) -> None:
    lease = await lease_of(store)
    first = await blocked(store, lease, "a", "shared")
    second = await started(store, lease, "b")
    wanted: Changes = {"position": "prepare", "writes_blocked_since": clock.now()}
    with pytest.raises(InUse) as refused:
        await store.jobs.save(
            lease.token, second, wanted, (), (), "worker", uses=names("b", "shared")
        )
    assert refused.value.message == f"shared is in use by the operation {first.id} on a"
    assert refused.value.about == "a"
    assert {job for _, job, _ in claimed(database_url)} == {first.id}
    assert await store.jobs.load(second.id) == second


async def test_a_save_that_comes_too_late_claims_nothing(store: Store, database_url: str) -> None:
    lease = await lease_of(store)
    operation = await started(store, lease, "a")
    await store.jobs.save(lease.token, operation, {"attempts": 1}, (), (), "worker")
    with pytest.raises(Outdated):
        await store.jobs.save(lease.token, operation, {}, (), (), "worker", uses=names("a"))
    assert claimed(database_url) == set()


async def test_a_second_claim_of_a_job_is_added_to_its_first(
    store: Store, database_url: str
) -> None:
    lease = await lease_of(store)
    operation = await blocked(store, lease, "a", "b")
    await store.jobs.save(lease.token, operation, {}, (), (), "worker", uses=names("a", "c"))
    assert {index for index, _, _ in claimed(database_url)} == {"a", "b", "c"}


@pytest.mark.parametrize("alone_first", [True, False])
async def test_a_second_claim_of_a_job_makes_its_first_no_weaker(
    store: Store, transactions: Transactions, database_url: str, alone_first: bool
) -> None:
    operation = await started(store, await lease_of(store), "a")
    for exclusive in (alone_first, not alone_first):
        await take(transactions, operation, "a", exclusive=exclusive)
    assert claimed(database_url) == {("a", operation.id, True)}


async def test_a_claim_for_itself_alone_is_refused_where_others_read_and_stays_a_shared_one(
    store: Store, transactions: Transactions, database_url: str
) -> None:
    lease = await lease_of(store)
    first, second = [await started(store, lease, name) for name in ("a", "b")]
    for job in (first, second):
        await take(transactions, job, "read", exclusive=False)
    with pytest.raises(InUse):
        await take(transactions, first, "read")
    assert claimed(database_url) == {("read", first.id, False), ("read", second.id, False)}


async def test_those_that_only_read_share_an_index(
    store: Store, transactions: Transactions, database_url: str
) -> None:
    lease = await lease_of(store)
    first, second = [await started(store, lease, name) for name in ("a", "b")]
    await take(transactions, first, "read", exclusive=False)
    await take(transactions, second, "read", exclusive=False)
    assert claimed(database_url) == {("read", first.id, False), ("read", second.id, False)}


@pytest.mark.parametrize(("first_alone", "second_alone"), [(True, False), (False, True)])
async def test_an_index_is_not_read_while_somebody_has_it_alone_nor_the_other_way_round(
    store: Store,
    transactions: Transactions,
    database_url: str,
    first_alone: bool,
    second_alone: bool,
) -> None:
    lease = await lease_of(store)
    first, second = [await started(store, lease, name) for name in ("a", "b")]
    await take(transactions, first, "read", exclusive=first_alone)
    with pytest.raises(InUse) as refused:
        await take(transactions, second, "free", "read", exclusive=second_alone)
    assert refused.value.message == f"read is in use by the operation {first.id} on a"
    assert claimed(database_url) == {("read", first.id, first_alone)}


async def test_the_claims_of_another_cluster_are_in_nobodys_way(
    store: Store, database_url: str
) -> None:
    lease = await lease_of(store)
    operation = await blocked(store, lease, "a")
    execute(database_url, "UPDATE claim SET cluster_id = 'another'")
    other = await blocked(store, lease, "b", "a")
    assert {job for _, job, _ in claimed(database_url)} == {operation.id, other.id}


@pytest.mark.parametrize("status", [Status.COMPLETED, Status.FAILED, Status.CANCELLED])
async def test_claims_are_freed_with_the_end(
    store: Store, database_url: str, status: Status
) -> None:
    lease = await lease_of(store)
    operation, other = [await blocked(store, lease, name) for name in ("a", "b")]
    changes: Changes = {"status": status, "writes_blocked_since": None}
    await store.jobs.save(lease.token, operation, changes, (), (), "worker")
    assert {job for _, job, _ in claimed(database_url)} == {other.id}
    assert claims_astray(database_url) == []


@pytest.mark.parametrize(
    ("goal", "before_the_last"),
    [
        (Goal.FINISH, "swap"),
        (Goal.FAIL, "drop_kept"),
        (Goal.CANCEL, "drop_kept"),
        (Goal.PARK, "take_marker"),
        (Goal.GIVE_BACK, "drop_kept"),
        (Goal.ROLL_BACK, "swap_back"),
    ],
)
async def test_claims_are_freed_at_the_end_of_every_route_but_that_to_a_pause(
    store: Store, database_url: str, goal: Goal, before_the_last: str
) -> None:
    lease = await lease_of(store)
    operation = await blocked(store, lease, "a", "b")
    operation = await at_the_end_of(store, lease, operation, goal, before_the_last)
    assert claimed(database_url) == set()
    assert claims_astray(database_url) == []
    assert operation.writes_blocked_since is None


async def test_claims_stay_with_a_paused_job_until_it_is_cancelled(
    store: Store, database_url: str
) -> None:
    lease = await lease_of(store)
    operation = await blocked(store, lease, "a")
    operation = await at_the_end_of(store, lease, operation, Goal.PAUSE, "")
    assert operation.status is Status.PAUSED
    assert claimed(database_url) == {("a", operation.id, True)}
    assert claims_astray(database_url) == []
    assert await store.requested_actions.leave([operation.id], Requested.CANCEL, "caller") == {
        operation.id
    }
    assert claimed(database_url) == {("a", operation.id, True)}
    operation = await store.operations.load(operation.id)
    await at_the_end_of(store, lease, operation, Goal.CANCEL, "drop_kept")
    assert claimed(database_url) == set()


async def test_claims_are_gone_where_a_job_is_cancelled_that_was_given_back(
    store: Store, database_url: str
) -> None:
    """It is as one that was never started, so that nobody but the API ends it."""
    lease = await lease_of(store)
    operation = await blocked(store, lease, "a")
    operation = await at_the_end_of(store, lease, operation, Goal.GIVE_BACK, "drop_kept")
    assert operation.started_at is None
    assert await store.requested_actions.end_waiting([operation.id], "caller") == {operation.id}
    assert claimed(database_url) == set()
    assert claims_astray(database_url) == []


async def test_what_is_freed_can_be_claimed_by_the_next(store: Store, database_url: str) -> None:
    lease = await lease_of(store)
    operation = await blocked(store, lease, "a", "shared")
    changes: Changes = {"status": Status.FAILED}
    await store.jobs.save(lease.token, operation, changes, (), (), "worker")
    other = await blocked(store, lease, "b", "shared")
    assert ("shared", other.id, True) in claimed(database_url)


async def test_claims_that_go_astray_are_found(store: Store, database_url: str) -> None:
    lease = await lease_of(store)
    one, other = [await blocked(store, lease, name) for name in ("a", "b")]
    execute(database_url, "UPDATE job SET writes_blocked_since = NULL WHERE index_name = 'a'")
    execute(database_url, "DELETE FROM claim WHERE index_name = 'b'")
    assert claims_astray(database_url) == [
        f"a is claimed by {one.id}, which is not in hand",
        f"b is in the hands of {other.id}, which claims nothing",
    ]
    execute(database_url, "UPDATE job SET status = 1, writes_blocked_since = NULL")
    execute(database_url, "DELETE FROM claim")
    assert claims_astray(database_url) == []
