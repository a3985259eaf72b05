"""The `_reindex` request of one window."""

from __future__ import annotations

from typing import Any

from app.domain.operation import Operation
from app.domain.windows import Window


def body(operation: Operation, window: Window) -> dict[str, Any]:
    """External versions keep the documents' versions and make a second run write nothing (its
    conflicts are counted, not fatal). A time series takes no versions: there `create` does that. A
    slice with as many parts as shards reads one shard; where those are forbidden, a window is a
    range of sequence numbers of all shards.
    """
    assert operation.source is not None
    bounds = {"gte": window.from_seq_no, "lt": window.to_seq_no}
    bounds = {key: value for key, value in bounds.items() if value is not None}
    source: dict[str, Any] = {
        "index": operation.source_name,
        "size": window.size,
        "query": {"range": {"_seq_no": bounds}} if bounds else {"match_all": {}},
    }
    if operation.source.shards > 1 and operation.source.sliced:
        source["slice"] = {"id": window.shard, "max": operation.source.shards}
    once = {"op_type": "create"} if operation.source.time_series else {"version_type": "external"}
    return {
        "conflicts": "proceed",
        "source": source,
        "dest": {"index": operation.new_index_name, "pipeline": "_none", **once},
    }
