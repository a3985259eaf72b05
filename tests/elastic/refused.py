"""Documents that a copy refuses, each with a value that must be told nowhere."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from app.copying.tasks import judge_task
from app.domain.errors import DocumentsRefused
from app.elastic.answers import TaskState
from app.elastic.quoting import without_values
from tests.elasticsearch import Elastic

SECRET = "zsecretz"


def of_type(kind: str, **more: Any) -> dict[str, Any]:
    return {"properties": {"f": {"type": kind, **more}}}


OBJECT = {"properties": {"f": {"properties": {"a": {"type": "long"}}}}}


@dataclass(frozen=True)
class Conflict:
    """`value` of the field `f`; `mappings` and `settings` of the new index; `known`: what is kept
    of Elasticsearch's text; `quoted`: its answer has the value (None: as bytes, or not, by series).
    """

    value: Any
    mappings: dict[str, Any]
    known: str
    settings: dict[str, Any] = field(default_factory=dict[str, Any])
    quoted: bool | None = True


def parsed(kind: str, value: Any = SECRET, **more: Any) -> Conflict:
    return Conflict(value, of_type(kind, **more), f"failed to parse field [f] of type [{kind}]")


CONFLICTS = {
    "date": parsed("date"),
    "date format": parsed("date", format="yyyy"),
    "long": parsed("long"),
    "integer": parsed("integer", 4_711_471_147),
    "boolean": parsed("boolean"),
    "ip": parsed("ip"),
    "geo_point": parsed("geo_point", f"a{SECRET}"),
    "range": parsed("date_range", {"gte": SECRET}),
    "text": parsed("text", {"b": SECRET}),
    "object": Conflict(SECRET, OBJECT, "as object, but found a concrete value", quoted=False),
    "too long": Conflict(SECRET * 5_000, of_type("keyword"), "", quoted=None),
    "strict": Conflict(
        {"b": SECRET},
        {"dynamic": "strict", **OBJECT},
        "dynamic introduction of [b] within [f] is not allowed",
        quoted=False,
    ),
    "fields": Conflict(
        {"b": SECRET, "c": SECRET, "d": SECRET},
        OBJECT,
        "failed to parse: Limit of total fields [3] has been exceeded",
        settings={"index.mapping.total_fields.limit": 3},
        quoted=False,
    ),
    "completion": Conflict({"input": "a", "weight": SECRET}, of_type("completion"), ""),
}


def is_told_without_its_value(es: Elastic, conflict: Conflict) -> None:
    """A real copy is refused, and nothing that the service keeps of it has the value."""
    for index in ("old", "new"):
        es.request("DELETE", f"/{index}")
    alone = {"number_of_replicas": 0}
    es.put("/old", {"mappings": {"enabled": False}, "settings": alone})
    settings = {**alone, **conflict.settings}
    es.put("/new", {"mappings": conflict.mappings, "settings": settings})
    es.put("/old/_doc/7?refresh=true", {"f": conflict.value})
    body = {"source": {"index": "old"}, "dest": {"index": "new"}}
    answer = es.request("POST", "/_reindex", body).json()
    secret = "4711471147" if conflict.value == 4_711_471_147 else SECRET
    assert conflict.quoted in (None, secret in str(answer)), answer
    task = TaskState(True, {}, without_values(answer), None)
    with pytest.raises(DocumentsRefused) as refused:
        judge_task(task)
    (document,) = refused.value.documents
    assert document.id == "7"
    assert document.type.endswith("_exception")
    assert conflict.known in document.reason
    for told in (str(task), str(document), refused.value.message):
        assert secret not in told
        assert str([*SECRET.encode()])[1:20] not in told  # how Lucene shows it
