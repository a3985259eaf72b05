"""Claims: which index is in use by which job, so that no two do with one what they must not.

A claim is taken and freed in the transaction that begins or ends what it is for, under the lock of
the cluster's row; so nobody can come in between.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Executable, delete, exists, literal, or_, union_all
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel import col, select

from app.domain.errors import InUse
from app.domain.names import IndexName
from app.store.rows import read_tuples
from app.store.tables import ClaimRow, JobRow
from app.store.transactions import Transaction

_COLUMNS = ["cluster_id", "index_name", "job_id", "exclusive"]


async def take(
    transaction: Transaction, job_id: str, names: Sequence[IndexName], *, exclusive: bool = True
) -> None:
    """Marks `names`, too, as in use by the job: `exclusive`, or beside others that only read them.

    Raises `InUse` where another job is in the way; then nothing is taken.
    """
    wanted = list(dict.fromkeys(names))
    in_the_way: list[ColumnElement[bool]] = [
        col(ClaimRow.cluster_id) == transaction.cluster_id,
        col(ClaimRow.index_name).in_(wanted),
        col(ClaimRow.job_id) != job_id,
        *([] if exclusive else [col(ClaimRow.exclusive).is_(True)]),
    ]
    taken = await transaction.execute(_insert(transaction, job_id, wanted, in_the_way, exclusive))
    if taken.all():
        return
    index, other, about = (await transaction.execute(_user(in_the_way))).one()
    raise InUse(index, other, about)


async def in_use(reader: AsyncEngine, cluster_id: str, name: IndexName) -> InUse | None:
    """Which job uses that index, alone or beside others."""
    this = [col(ClaimRow.cluster_id) == cluster_id, col(ClaimRow.index_name) == name]
    for index, job_id, about in await read_tuples(reader, _user(this)):
        return InUse(index, job_id, about)
    return None


def _user(claims: Sequence[ColumnElement[bool]]) -> Executable:
    """What `InUse` is told of the first of these claims."""
    return (
        select(ClaimRow.index_name, ClaimRow.job_id, JobRow.index_name)
        .join(JobRow, col(JobRow.id) == col(ClaimRow.job_id))
        .where(*claims)
        .limit(1)
    )


def _insert(
    transaction: Transaction,
    job_id: str,
    names: Sequence[IndexName],
    in_the_way: Sequence[ColumnElement[bool]],
    exclusive: bool,
) -> Any:
    """All `names` where nothing is in the way, else none; answers those that are claimed now. What
    the job claims already, since it begins anew, is never weakened."""
    free_now = ~exists().where(*in_the_way)
    rows = [
        select(
            literal(transaction.cluster_id), literal(name), literal(job_id), literal(exclusive)
        ).where(free_now)
        for name in names
    ]
    dialect = postgresql if transaction.connection.dialect.name == "postgresql" else sqlite
    insert = dialect.insert(ClaimRow).from_select(_COLUMNS, union_all(*rows))
    return insert.on_conflict_do_update(
        index_elements=_COLUMNS[:3],
        set_={"exclusive": or_(col(ClaimRow.exclusive), insert.excluded.exclusive)},
    ).returning(col(ClaimRow.index_name))


async def free(transaction: Transaction, job_id: str) -> None:
    """The job uses no index any more."""
    await transaction.execute(delete(ClaimRow).where(col(ClaimRow.job_id) == job_id))
