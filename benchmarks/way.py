"""Which modules of `app` one batch enters, between its POST and its end."""

from __future__ import annotations

import sys
import threading
from pathlib import Path
from types import FrameType
from typing import Any

import app
from benchmarks.report import Line
from tests.elasticsearch import Elastic
from tests.service import running_service

ROOT = Path(app.__file__).parent


class Entered:
    """The modules of `app` of which code is run, in the order in which each is met first."""

    def __init__(self) -> None:
        self.modules: dict[str, None] = {}
        self._prefix = f"{ROOT}/"

    def __enter__(self) -> Entered:
        threading.setprofile(self._note)
        sys.setprofile(self._note)
        return self

    def __exit__(self, *_: object) -> None:
        sys.setprofile(None)
        threading.setprofile(None)

    def _note(self, frame: FrameType, event: str, _: Any) -> None:
        if event == "call" and (name := frame.f_code.co_filename).startswith(self._prefix):
            self.modules.setdefault(name.removeprefix(self._prefix))


async def measure(es: Elastic, database_url: str) -> list[Line]:
    """A batch of one index of two shards, copied by a task; the modules are printed one a line."""
    es.put("/way", {"settings": {"number_of_shards": 2, "number_of_replicas": 0}})
    es.bulk("way", [{"n": n} for n in range(3_000)])
    async with running_service(es.url, database_url) as service:
        with Entered() as entered:
            await service.post_batch("way")
            await service.completed("way")
    for name in entered.modules:
        print(name, file=sys.stderr)
    return [Line("modules that one batch enters", "modules", [len(entered.modules)], "≤ 45")]
