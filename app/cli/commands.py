"""The command line: what there is to say to the service, and the service itself."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.metadata import version
from typing import Annotated, Any

import typer

from app.cli import asking, pacing, planning, steering, submitting
from app.cli.options import (
    Curl,
    Every,
    Form,
    Names,
    OfBatch,
    OfIndex,
    OneBatch,
    OneIndex,
    Outdated,
    Output,
    Url,
)
from app.cli.pacing import Whose
from app.cli.session import Session
from app.cli.troubles import Misuse, Trouble
from app.domain.texts import printable
from app.domain.wishes import Action

WIDEST_HELP = 120
"""Columns; help is as wide as the terminal, but lines of more are hard to read."""

cli = typer.Typer(
    name="reindex-queue",
    help="Rewrites Elasticsearch indices one by one before a major upgrade.",
    epilog="Exit codes: 0 done, 1 something failed or the service is away, 2 wrong usage, "
    "130 Ctrl-C.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={
        "max_content_width": WIDEST_HELP,
        "help_option_names": ["-h", "--help"],
    },
)


def _say_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"reindex-queue {version('reindex-queue')}")
        raise typer.Exit


@cli.callback()
def main(
    _version: Annotated[
        bool,
        typer.Option("--version", is_eager=True, callback=_say_version, help="Show the version"),
    ] = False,
) -> None:
    """Rewrites Elasticsearch indices one by one before a major upgrade."""


@cli.command()
def serve(
    host: Annotated[
        str | None,
        typer.Option(metavar="HOST", help="Where to listen; default: SERVER_HOST, else 127.0.0.1"),
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(
            metavar="PORT", min=0, max=65_535, help="Default: SERVER_PORT, else 5602; 0: a free one"
        ),
    ] = None,
) -> None:
    """Runs the service: API and worker. Settings come from the environment."""
    from app.cli import serving  # it takes a second to import, and the others do without it

    serving.serve(host, port)


@cli.command()
def submit(
    url: Url,
    index: Names = None,
    outdated: Outdated = False,
    wait: Annotated[bool, typer.Option("--wait", help="Wait until all of them have ended")] = False,
    output: Output = Form.TABLE,
    curl: Curl = False,
) -> None:
    """Queues indices, in the order given.

    --outdated queues all that the next major version does not open, but for those that cannot be
    reindexed: these are named with their reasons. Exit code 1 where a name was refused or, with
    --wait, where an operation did not complete.
    """
    session = _session(url, output, curl)
    if outdated:
        submitting.submit_outdated(session, index or (), wait=wait)
    else:
        submitting.submit(session, index or (), wait=wait)


@cli.command()
def plan(
    url: Url,
    index: Names = None,
    outdated: Outdated = False,
    trial: Annotated[
        bool,
        typer.Option("--trial", help="Make each new index, empty, look at it, and remove it again"),
    ] = False,
    output: Output = Form.TABLE,
    curl: Curl = False,
) -> None:
    """Shows what submit would do, and does nothing of it.

    Why an index needs it, what stands in its way, how long it takes, what disk it needs, who
    refers to it. Exit code 1 where an index that was named cannot be reindexed, or a trial failed.
    """
    session = _session(url, output, curl)
    planning.plan(session, index or (), outdated=outdated, trial=trial)


@cli.command()
def status(
    url: Url,
    index: Annotated[
        str | None, typer.Argument(metavar="INDEX", help="One index; default: everything")
    ] = None,
    watch: Annotated[
        bool, typer.Option("--watch", help="A line a refresh, until nothing is left to be done")
    ] = False,
    every: Every = 2.0,
    output: Output = Form.TABLE,
    curl: Curl = False,
) -> None:
    """Shows the work, or all about one index.

    Of one index the newest operation counts: exit code 1 where that ended otherwise than
    completed. --watch ends when nothing is left to be done.
    """
    session = _session(url, output, curl)
    if watch:
        asking.watch(session, index, every)
    elif index is None:
        asking.overview(session)
    else:
        asking.index(session, index)


@cli.command()
def queue(
    url: Url,
    output: Output = Form.TABLE,
    curl: Curl = False,
    everything: Annotated[
        bool, typer.Option("--all", help="On a terminal: all of them, not the first 50 only")
    ] = False,
) -> None:
    """Lists what has not ended, in order."""
    asking.queue(_session(url, output, curl), everything=everything)


@cli.command()
def cancel(
    url: Url,
    index: OneIndex = None,
    batch: OneBatch = None,
    output: Output = Form.TABLE,
    curl: Curl = False,
) -> None:
    """Cancels an operation, or all of a batch.

    The index will be as it was found. Possible in any state before the swap.
    """
    _steer(Action.CANCEL, index, batch, _session(url, output, curl))


@cli.command()
def pause(
    url: Url,
    index: OneIndex = None,
    batch: OneBatch = None,
    output: Output = Form.TABLE,
    curl: Curl = False,
) -> None:
    """Puts an operation, or all of a batch, aside.

    What is copied stays; the queue goes on with others. Writes to an index that was begun stay
    blocked. Exit code 1 where it is too late.
    """
    _steer(Action.PAUSE, index, batch, _session(url, output, curl))


@cli.command()
def resume(
    url: Url,
    index: OneIndex = None,
    batch: OneBatch = None,
    output: Output = Form.TABLE,
    curl: Curl = False,
) -> None:
    """Lets what is paused go on where it stopped.

    It has its old place in the queue. Exit code 1 where one was refused.
    """
    _steer(Action.RESUME, index, batch, _session(url, output, curl))


@cli.command()
def retry(
    url: Url,
    index: OneIndex = None,
    batch: OneBatch = None,
    output: Output = Form.TABLE,
    curl: Curl = False,
) -> None:
    """Queues again what failed or was cancelled.

    What waits for something tries at once. Exit code 1 where one was refused.
    """
    _steer(Action.RETRY, index, batch, _session(url, output, curl))


@cli.command()
def rollback(
    url: Url,
    index: OneIndex = None,
    batch: OneBatch = None,
    force: Annotated[
        bool, typer.Option("--force", help="Also where that loses documents written since")
    ] = False,
    output: Output = Form.TABLE,
    curl: Curl = False,
) -> None:
    """Gives the old name back to the kept copy of the old index.

    The new index is removed; refused where documents were written to it since, unless --force says
    so. Exit code 1 where one was refused.
    """
    _steer(Action.ROLL_BACK, index, batch, _session(url, output, curl), {"force": force})


@cli.command()
def doctor(url: Url, output: Output = Form.TABLE, curl: Curl = False) -> None:
    """Finds out what is wrong, and how to mend it.

    Looks at service, cluster, versions, privileges, database, worker and queue. Exit code
    1 where something is wrong.
    """
    asking.doctor(_session(url, output, curl))


paces = typer.Typer(help="How fast copies may go, and when; stop everything, and go on.")
cli.add_typer(paces, name="pace", no_args_is_help=True)


@paces.command("show")
def show_pace(
    url: Url,
    index: OfIndex = None,
    batch: OfBatch = None,
    output: Output = Form.TABLE,
    curl: Curl = False,
) -> None:
    """Shows the pace that is in force, and why."""
    pacing.show(_session(url, output, curl), Whose(index, batch))


@paces.command("set")
def set_pace(
    url: Url,
    rate: Annotated[
        str | None, typer.Option(metavar="N", help="Documents a second; none: no limit")
    ] = None,
    windows: Annotated[
        str | None,
        typer.Option(metavar="N", help="Copy tasks of an operation at once; none: no limit"),
    ] = None,
    hours: Annotated[
        list[str] | None,
        typer.Option(
            metavar="HOURS",
            help="When copies may run, by the clock of a zone; may be repeated; always: no limit",
        ),
    ] = None,
    index: OfIndex = None,
    batch: OfBatch = None,
    output: Output = Form.TABLE,
    curl: Curl = False,
) -> None:
    """Changes the pace, also of copies that run.

    What is not named stays as it is; for the service the settings then in force are stored with
    what is named, until pace reset. The tightest of service, batch and operation is in force.

    \b
    For the nights and the weekends:
      reindex-queue pace set --hours '22:00-06:00 Europe/Berlin' \\
        --hours 'sat,sun 00:00-24:00 Europe/Berlin'
    """
    session = _session(url, output, curl)
    whose = Whose(index, batch)
    pacing.change(session, whose, rate=rate, windows=windows, hours=hours or [])


@paces.command("reset")
def reset_pace(
    url: Url,
    index: OfIndex = None,
    batch: OfBatch = None,
    output: Output = Form.TABLE,
    curl: Curl = False,
) -> None:
    """Forgets what was set: the service goes back to its settings."""
    pacing.reset(_session(url, output, curl), Whose(index, batch))


@paces.command("stop")
def stop_everything(
    url: Url,
    reason: Annotated[
        str, typer.Option(metavar="TEXT", help="For whoever asks why nothing moves")
    ] = "",
    output: Output = Form.TABLE,
    curl: Curl = False,
) -> None:
    """Stops everything before the swap, until pace go-on.

    Nothing new starts, copies stop where they are. Writes to indices in hand stay blocked. What
    has its new name already is finished, and cancels and rollbacks go on.
    """
    pacing.stop(_session(url, output, curl), reason)


@paces.command("go-on")
def go_on(url: Url, output: Output = Form.TABLE, curl: Curl = False) -> None:
    """Ends a stop: copies go on where they were stopped."""
    pacing.go_on(_session(url, output, curl))


def _steer(
    action: Action, index: str | None, batch: str | None, session: Session, body: Any = None
) -> None:
    steering.steer(session, action, steering.Aim(index, batch), body)


def _session(url: str, output: Form, curl: bool) -> Session:
    return Session(url, as_json=output is Form.JSON, curl=curl)


def _readable(arguments: Sequence[str]) -> None:
    """Bytes that are no text would be no name, no id and no reason. Raises `Misuse`."""
    for argument in arguments:
        try:
            argument.encode()
        except UnicodeEncodeError:
            raise Misuse(f"{argument}: write it as UTF-8.") from None


def run() -> None:
    """The console script."""
    for stream in (sys.stdout, sys.stderr):  # a name that the locale cannot spell is no trouble
        reconfigure: Any = getattr(stream, "reconfigure", None)
        if reconfigure:
            reconfigure(errors="replace")
    try:
        _readable(sys.argv[1:])
        cli()
    except Trouble as trouble:
        typer.echo(f"Error: {printable(trouble.message)}", err=True)
        sys.exit(trouble.exit_code)
