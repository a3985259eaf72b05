"""Options that several commands have."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from app.cli.client import default_url


class Form(StrEnum):
    TABLE = "table"
    JSON = "json"


Url = Annotated[
    str,
    typer.Option(
        "--url",
        metavar="URL",
        envvar="REINDEX_QUEUE_URL",
        show_envvar=False,
        show_default=False,
        default_factory=default_url,
        help="The service; default: REINDEX_QUEUE_URL, else where SERVER_HOST and SERVER_PORT say, "
        "else http://127.0.0.1:5602",
    ),
]
Output = Annotated[
    Form,
    typer.Option(
        "-o",
        "--output",
        metavar="table|json",
        help="table for people, json as the service answers",
    ),
]
Curl = Annotated[
    bool, typer.Option("--curl", help="Print the same as curl requests instead of sending it")
]
Outdated = Annotated[
    bool, typer.Option("--outdated", help="All that the next major version does not open")
]
Every = Annotated[
    float,
    typer.Option(
        "--every",
        metavar="SECONDS",
        min=0.1,
        max=3600,
        help="Seconds between two lines of --watch",
    ),
]

Names = Annotated[
    list[str] | None,
    typer.Argument(metavar="INDEX", show_default=False, help="Names; - reads them from stdin"),
]
OneIndex = Annotated[
    str | None, typer.Argument(metavar="INDEX", help="The index whose newest operation is meant")
]
OneBatch = Annotated[
    str | None, typer.Option("--batch", metavar="ID", help="Instead: all operations of a batch")
]

OfIndex = Annotated[
    str | None, typer.Option("--index", metavar="INDEX", help="Only its newest operation")
]
OfBatch = Annotated[str | None, typer.Option("--batch", metavar="ID", help="Only this batch")]
