"""Indices as only a new cluster makes them: vectors, sources that are put together, time series."""

from __future__ import annotations

from typing import Any

from tests.elasticsearch import Elastic

VECTORS = {"hidden-vectors": {}, "shown-vectors": {"mapping.exclude_source_vectors": False}}


def make_new(es: Elastic) -> list[str]:
    """Creates them and answers their names. `synthetic` needs a trial licence."""
    es.post("/_license/start_trial?acknowledge=true")
    for make in (_vectors, _synthetic, make_logs, make_metrics, _without_seq_nos):
        make(es)
    return [*VECTORS, "synthetic", "logs", "metrics", "no-seq-nos"]


def vectors(es: Elastic, index: str) -> dict[str, Any]:
    """The documents by id with their vectors, which `_source` may leave out."""
    body = {"size": 1000, "_source": {"exclude_vectors": False}}
    hits = es.post(f"/{index}/_search", body)["hits"]["hits"]
    return {hit["_id"]: hit["_source"] for hit in hits}


def _vectors(es: Elastic) -> None:
    inner = {"type": "dense_vector", "dims": 3}
    outer = {**inner, "similarity": "l2_norm"}
    properties = {"v": outer, "deep": {"properties": {"w": {**inner, "index": False}}}}
    for name, settings in VECTORS.items():
        es.put(f"/{name}", {"settings": settings, "mappings": {"properties": properties}})
        documents = [
            {"n": n, "v": [n + 0.1, 1 / 3, -n], "deep": {"w": [n, 0.7, 1]}} for n in range(150)
        ]
        es.bulk(name, documents)


def _synthetic(es: Elastic) -> None:
    es.put("/synthetic", {"settings": {"mapping.source.mode": "synthetic", "number_of_shards": 2}})
    es.bulk("synthetic", [{"n": n, "b": [3, 1, 2], "t": {"k": f"{n}"}, "e": []} for n in range(50)])


def make_logs(es: Elastic) -> None:
    """Fifty documents in an index of mode logsdb, which sorts them and puts `_source` together."""
    es.put("/logs", {"settings": {"index.mode": "logsdb"}})
    stamp = "2024-01-01T00:00:{:02}Z"
    es.bulk(
        "logs",
        [
            {"@timestamp": stamp.format(n), "host": {"name": f"h{n % 3}"}, "m": [2, 1]}
            for n in range(50)
        ],
    )


def make_metrics(es: Elastic) -> None:
    """Forty documents in a time series of two shards."""
    settings = {
        "index.mode": "time_series",
        "index.routing_path": ["host"],
        "index.time_series.start_time": "2024-01-01T00:00:00Z",
        "index.time_series.end_time": "2024-02-01T00:00:00Z",
        "number_of_shards": 2,
    }
    properties = {
        "@timestamp": {"type": "date"},
        "host": {"type": "keyword", "time_series_dimension": True},
        "load": {"type": "double", "time_series_metric": "gauge"},
    }
    es.put("/metrics", {"settings": settings, "mappings": {"properties": properties}})
    for n in range(40):  # it makes the ids itself
        stamp = f"2024-01-01T00:00:{n:02}Z"
        es.post("/metrics/_doc", {"@timestamp": stamp, "host": f"h{n % 7}", "load": n / 3})


def _without_seq_nos(es: Elastic) -> None:
    es.put(
        "/no-seq-nos", {"settings": {"index.disable_sequence_numbers": True, "number_of_shards": 2}}
    )
    es.bulk("no-seq-nos", [{"n": n} for n in range(300)])
    es.bulk("no-seq-nos", [{"n": -n} for n in range(100)])
