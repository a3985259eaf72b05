"""From rows to domain values."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, cast

from sqlalchemy import CursorResult, Executable
from sqlalchemy.ext.asyncio import AsyncEngine

from app.domain.job import Job
from app.domain.operation import REWRITE, Operation
from app.store.tables import JobRow
from app.store.trouble import translating

Models = Mapping[str, type[Job]]
"""By kind, the class of its jobs; those of a kind that is not there are plain jobs."""

OPERATIONS_ONLY: Models = {REWRITE: Operation}
WHOLE_JOB: Any = JobRow
"""For `returning`, whose types do not know the class of a table, though it takes one."""
_COLUMNS = frozenset(JobRow.model_fields) - {"record"}


def job_of(row: Mapping[Any, Any], models: Models) -> Job:
    """A job of the class of its kind, with its record."""
    fields = dict(row)
    record: dict[str, Any] = fields.pop("record") or {}
    model = models.get(fields["kind"], Job)
    return model.model_validate({**record, **fields})


def operation_of(row: Mapping[Any, Any]) -> Operation:
    """Of a row that is known to be of a rewrite."""
    return cast(Operation, job_of(row, OPERATIONS_ONLY))


def columns_of(job: Job, changes: Mapping[str, Any]) -> dict[str, Any]:
    """What is changed as column values: enums as what they are stored as, models as JSON. A field
    without a column is stored with the others of the record."""
    columns = {key: plain(value) for key, value in changes.items() if key in _COLUMNS}
    if changes.keys() - _COLUMNS:
        columns["record"] = record_of(job.model_copy(update=dict(changes)))
    return columns


def record_of(job: Job) -> dict[str, Any] | None:
    """The fields that have no column; None where they say nothing."""
    names = set(type(job).model_fields) - _COLUMNS
    return job.model_dump(mode="json", include=names, exclude_defaults=True) or None


def plain(value: Any) -> Any:
    if isinstance(value, list):
        return [plain(one) for one in cast(list[Any], value)]
    dump = getattr(value, "model_dump", None)
    return dump(mode="json") if dump else getattr(value, "value", value)


async def read_rows(reader: AsyncEngine, query: Executable) -> list[dict[str, Any]]:
    """Rows by column name, without the ORM: it would take half of the time of a long list."""
    async with _reading(reader, query) as found:
        keys = list(found.keys())
        return [dict(zip(keys, row, strict=True)) for row in found]


async def read_tuples(reader: AsyncEngine, query: Executable) -> Sequence[Sequence[Any]]:
    """Rows as bare as they come."""
    async with _reading(reader, query) as found:
        return found.all()


@asynccontextmanager
async def _reading(reader: AsyncEngine, query: Executable) -> AsyncGenerator[CursorResult[Any]]:
    with translating():
        async with reader.connect() as connection:
            yield await connection.execute(query)
