"""What is known of an index, in the words of Kibana's API."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from app.api.schemas import Meta, ReindexOperation, StatusAnswer, Warning
from app.reindex.reading import IndexReport, StatusReport, shown_aliases


def status_of(name: str, report: StatusReport) -> StatusAnswer:
    operation = ReindexOperation.of(report.operation) if report.operation else None
    cluster = report.cluster
    if cluster is None:
        return StatusAnswer(reindex_op=operation)
    found = cluster.warnings
    return StatusAnswer(
        reindex_op=operation,
        warnings=None if found is None else [Warning.model_validate(w) for w in found],
        has_required_privileges=cluster.privileged,
        meta=_meta(name, cluster),
    )


def _meta(name: str, report: IndexReport) -> Meta:
    settings: Mapping[str, Any] = report.index.settings if report.index else {}
    return Meta(
        index_name=name,
        reindex_name=report.new_index_name,
        aliases=shown_aliases(report.index),
        is_readonly=bool(report.index and report.index.verified_read_only),
        is_frozen=str(settings.get("index.frozen")) == "true",
        is_in_data_stream=report.data_stream,
        is_follower_index=str(settings.get("index.xpack.ccr.following_index")) == "true",
    )
