"""Claims: which index is in use by which job, so that no two do with one what they must not.

A claim is taken and freed in the transaction that begins or ends what it is for, under the lock of
the cluster's row; so nobody can come in between.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import delete
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import col, select

from app.domain.errors import InUse
from app.domain.names import IndexName
from app.store.tables import ClaimRow, JobRow
from app.store.transactions import Transaction


async def take(
    transaction: Transaction, job_id: str, names: Sequence[IndexName], *, exclusive: bool = True
) -> None:
    """Marks `names`, too, as in use by the job: `exclusive`, or beside others that only read them.

    Raises `InUse` where another job is in the way; then nothing is taken.
    """
    wanted = list(dict.fromkeys(names))
    in_the_way = (
        select(ClaimRow.index_name, ClaimRow.job_id, JobRow.index_name)
        .join(JobRow, col(JobRow.id) == col(ClaimRow.job_id))
        .where(
            col(ClaimRow.cluster_id) == transaction.cluster_id,
            col(ClaimRow.index_name).in_(wanted),
            col(ClaimRow.job_id) != job_id,
            *([] if exclusive else [col(ClaimRow.exclusive)]),
        )
        .limit(1)
    )
    for index, other, about in await transaction.execute(in_the_way):
        raise InUse(index, other, about)
    row = {"cluster_id": transaction.cluster_id, "job_id": job_id, "exclusive": exclusive}
    dialect = postgresql if transaction.connection.dialect.name == "postgresql" else sqlite
    taken = dialect.insert(ClaimRow).on_conflict_do_nothing()  # it may have begun anew
    await transaction.bulk(taken, [{**row, "index_name": name} for name in wanted])


async def free(transaction: Transaction, job_id: str) -> None:
    """The job uses no index any more."""
    await transaction.execute(delete(ClaimRow).where(col(ClaimRow.job_id) == job_id))
