"""`python -m demo [--keep]`: 7.17 writes, 9.4 refuses, the queue rewrites on 8.19, 9.4 boots.

Ends with 0 if every document, alias and state is there in the end, else with 1.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from demo.indices import Seen, created_by, look, make_all
from demo.telling import chapter, command, console, quote, say, table, verdict
from testbed.elasticsearch import ElasticsearchServer
from testbed.errors import StartError, TestbedError
from tests.e2e.process import ServiceProcess
from tests.elasticsearch import Elastic

CHAPTERS = 6


class NotAsExpectedError(Exception):
    """Something was not as it should be; the text says what."""


def main() -> int:
    """The exit code."""
    keep = _arguments().keep
    began = time.monotonic()
    try:
        with tempfile.TemporaryDirectory(prefix="reindex-queue-demo-", dir="/var/tmp") as folder:
            Path(folder).chmod(0o755)  # the servers run as another user
            asyncio.run(_demo(Path(folder), keep=keep))
    except (NotAsExpectedError, TestbedError, AssertionError) as error:
        verdict(f"Not as it should be: {error}", good=False)
        return 1
    except KeyboardInterrupt:
        verdict("Stopped. Nothing is left running.", good=False)
        return 130
    verdict(f"All documents and aliases are there. {time.monotonic() - began:.0f} s.", good=True)
    return 0


async def _demo(folder: Path, *, keep: bool) -> None:
    data = folder / "data"
    names = _write_on_7(data)
    before = _open_on_8(data, names)
    _refused_by_9(data)
    port = await _rewrite_on_8(data, names)
    await _boot_9(data, names, before, port, keep=keep)


def _write_on_7(data: Path) -> list[str]:
    chapter(1, CHAPTERS, "Elasticsearch 7.17 with indices of several kinds")
    with ElasticsearchServer("7.17", data=data) as server, Elastic(server.url) as es:
        names = make_all(es)
        majors = {name: created_by(es, name) for name in names}
        table("on 7.17", look(es, names), majors)
    return names


def _open_on_8(data: Path, names: list[str]) -> dict[str, Seen]:
    chapter(2, CHAPTERS, "8.19 opens the data: everything works, for now")
    with ElasticsearchServer("8.19", data=data) as server, Elastic(server.url) as es:
        before = look(es, names)
    say(f"{sum(seen.documents for seen in before.values()):,} documents in {len(before)} indices")
    return before


def _refused_by_9(data: Path) -> None:
    chapter(3, CHAPTERS, "9.4 refuses to boot on it (shown on a copy)")
    copy = data.with_name("copy")
    shutil.copytree(data, copy, copy_function=shutil.copy2)
    server = ElasticsearchServer("9.4", data=copy)
    try:
        server.start()
    except StartError as error:
        found = re.search(r"The index \[.*?\] created in version.*", str(error))
        if not found:
            raise NotAsExpectedError(f"9.4 refused for another reason: {error}") from error
        quote(found[0][:300])
    else:
        server.stop()
        raise NotAsExpectedError("9.4 booted on indices of 7.17")
    finally:
        shutil.rmtree(copy)


async def _rewrite_on_8(data: Path, names: list[str]) -> int:
    """Ends with server and service stopped; answers the service's port."""
    chapter(4, CHAPTERS, "Back on 8.19, with Reindex Queue beside it (SQLite)")
    with ElasticsearchServer("8.19", data=data) as server, Elastic(server.url) as es:
        es.get("/_cluster/health?wait_for_status=yellow&timeout=60s")
        command(["ELASTICSEARCH_HOSTS=" + server.url, "reindex-queue", "serve"])
        async with ServiceProcess({"ELASTICSEARCH_HOSTS": server.url}) as service:
            say(f"listens on {service.url}, its API is at {service.url}/docs")
            chapter(5, CHAPTERS, "One batch with all of them, as curl posts it to Kibana")
            _post(service, names)
            _watch(service)
            await service.api.completed(*names)
            if await service.terminate() != 0:
                raise NotAsExpectedError(f"the service did not end well:\n{service.log[-2000:]}")
            return service.port


def _post(service: ServiceProcess, names: list[str]) -> None:
    url = f"{service.url}/api/upgrade_assistant/reindex/batch"
    body = json.dumps({"indexNames": names}, ensure_ascii=False)
    headers = ["-H", "kbn-xsrf: true", "-H", "content-type: application/json"]
    words = ["curl", "-sS", "-XPOST", url, *headers, "-d", body]
    command(words)
    answer = subprocess.run(words, capture_output=True, text=True, check=False)
    if answer.returncode:
        raise NotAsExpectedError(f"curl ended with {answer.returncode}: {answer.stderr}")
    parsed = json.loads(answer.stdout)
    for operation in parsed["enqueued"]:
        say(f"queued: {operation['indexName']} → {operation['newIndexName']}")
    if parsed["errors"] or len(parsed["enqueued"]) != len(names):
        raise NotAsExpectedError(f"not every name was queued: {parsed['errors']}")


def _watch(service: ServiceProcess) -> None:
    """The command line follows it until the queue is empty."""
    words = ["reindex-queue", "status", "--watch", "--url", service.url]
    command(words)
    script = str(Path(sys.executable).with_name("reindex-queue"))
    ended = subprocess.run([script, *words[1:]], check=False)
    if ended.returncode:
        raise NotAsExpectedError(f"reindex-queue status ended with {ended.returncode}")


async def _boot_9(
    data: Path, names: list[str], before: dict[str, Seen], port: int, *, keep: bool
) -> None:
    chapter(6, CHAPTERS, "9.4 boots on the same folder")
    with ElasticsearchServer("9.4", data=data) as server, Elastic(server.url) as es:
        after = look(es, names)
        majors = {name: created_by(es, name) for name in names}
        table("on 9.4", after, majors)
        if after != before:
            raise NotAsExpectedError(f"before: {before}; after: {after}")
        if set(majors.values()) != {8}:
            raise NotAsExpectedError(f"created by: {majors}")
        if keep:
            async with ServiceProcess({"ELASTICSEARCH_HOSTS": server.url}, port=port) as service:
                await _until_interrupted(server.url, service.url)


async def _until_interrupted(cluster: str, service: str) -> None:
    console.print(f"\n     Elasticsearch: {cluster}\n     Reindex Queue: {service}")
    console.print("     Ctrl-C ends both.")
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await stop.wait()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m demo", description=__doc__)
    parser.add_argument("--keep", action="store_true", help="leave service and cluster up")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
