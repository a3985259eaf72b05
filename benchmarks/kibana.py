"""The bare calls of Kibana 8.18 and newer for one index, one after the other."""

from __future__ import annotations

import time

from tests.elasticsearch import Elastic

POLL_SECONDS = 1.0


def five_calls(es: Elastic, name: str, *, task: bool = False) -> None:
    """Block, create, copy, settings, aliases; nothing is compared and nothing is looked at.

    `task`: the copy is a task that is polled every second, as Kibana's clients see it; otherwise a
    request that is waited for, which is faster for a small index.
    """
    target = f"reindexed-v8-{name}"
    es.put(f"/{name}/_settings", {"blocks": {"write": True}})
    override = {"index.number_of_replicas": 0, "index.refresh_interval": -1}
    es.post(f"/_create_from/{name}/{target}", {"settings_override": override})
    copy(es, name, target, task=task)
    restored = {"index.number_of_replicas": 0, "index.refresh_interval": None}
    es.put(f"/{target}/_settings?reopen=true", restored)
    actions = [
        {"add": {"index": target, "alias": name, "is_hidden": False}},
        {"remove_index": {"index": name}},
    ]
    es.post("/_aliases", {"actions": actions})


def copy(es: Elastic, name: str, target: str, *, task: bool) -> None:
    """What Kibana sends for the copy: `slices=auto`, nothing else."""
    body = {"source": {"index": name}, "dest": {"index": target}}
    waits = "false" if task else "true"
    answer = es.post(f"/_reindex?refresh=true&slices=auto&wait_for_completion={waits}", body)
    while task and not es.get(f"/_tasks/{answer['task']}")["completed"]:
        time.sleep(POLL_SECONDS)
