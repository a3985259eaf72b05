"""The command line: what there is to say to the service, and the service itself.

A command imports what does its work when it is called: help and completion do without that.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import typer

from app.cli.client import Misuse, Trouble
from app.cli.session import (
    Every,
    Names,
    OfBatch,
    OfIndex,
    OneBatch,
    OneIndex,
    OutdatedOption,
    Session,
    with_session,
)
from app.domain.formatting import printable
from app.domain.job import Action
from app.domain.principal import Role

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
    from app import serving

    serving.serve(host, port)


@cli.command()
@with_session
def submit(
    session: Session,
    index: Names = None,
    outdated: OutdatedOption = False,
    wait: Annotated[bool, typer.Option("--wait", help="Wait until all of them have ended")] = False,
) -> None:
    """Queues indices, in the order given.

    --outdated queues all that the next major version does not open, but for those that cannot be
    reindexed: these are named with their reasons. Exit code 1 where a name was refused or, with
    --wait, where an operation did not complete.
    """
    from app.cli import submitting

    if outdated:
        submitting.submit_outdated(session, index or (), wait=wait)
    else:
        submitting.submit(session, index or (), wait=wait)


@cli.command()
@with_session
def plan(
    session: Session,
    index: Names = None,
    outdated: OutdatedOption = False,
    trial: Annotated[
        bool,
        typer.Option("--trial", help="Make each new index, empty, look at it, and remove it again"),
    ] = False,
) -> None:
    """Shows what submit would do, and does nothing of it.

    Why an index needs it, what stands in its way, how long it takes, what disk it needs, who
    refers to it. Exit code 1 where an index that was named cannot be reindexed, or a trial failed.
    """
    from app.cli import planning

    planning.plan(session, index or (), outdated=outdated, trial=trial)


@cli.command()
@with_session
def status(
    session: Session,
    index: Annotated[
        str | None, typer.Argument(metavar="INDEX", help="One index; default: everything")
    ] = None,
    watch: Annotated[
        bool, typer.Option("--watch", help="A line a refresh, until nothing is left to be done")
    ] = False,
    every: Every = 2.0,
) -> None:
    """Shows the work, or all about one index.

    Of one index the newest operation counts: exit code 1 where that ended otherwise than
    completed. --watch ends when nothing is left to be done.
    """
    if watch:
        from app.cli import watching

        watching.watch(session, index, every)
        return
    from app.cli import asking

    if index is None:
        asking.overview(session)
    else:
        asking.index(session, index)


@cli.command()
@with_session
def queue(
    session: Session,
    everything: Annotated[
        bool, typer.Option("--all", help="On a terminal: all of them, not the first 50 only")
    ] = False,
) -> None:
    """Lists what has not ended, in order."""
    from app.cli import asking

    asking.queue(session, everything=everything)


@cli.command()
@with_session
def events(
    session: Session,
    follow: Annotated[
        bool, typer.Option("--follow", help="Go on with what happens, until Ctrl-C")
    ] = False,
    everything: Annotated[
        bool, typer.Option("--all", help="From the first event on, not the newest 50 only")
    ] = False,
    batch: OfBatch = None,
    kind: Annotated[
        list[str] | None,
        typer.Option("--kind", metavar="KIND", help="Only this kind; may be repeated"),
    ] = None,
) -> None:
    """Shows what has happened: to which index, by whom.

    --follow goes on where it was cut when the service is there again. With -o json each event is
    one line. docs/events.md explains the kinds.
    """
    from app.cli import following

    wanted = following.wanted_events(batch, kind or [])
    following.show(session, wanted, follow=follow, everything=everything)


@cli.command()
@with_session
def cancel(session: Session, index: OneIndex = None, batch: OneBatch = None) -> None:
    """Cancels an operation, or all of a batch.

    The index will be as it was found. Possible in any state before the swap.
    """
    from app.cli import steering

    steering.steer(session, Action.CANCEL, steering.Aim(index, batch))


@cli.command()
@with_session
def pause(session: Session, index: OneIndex = None, batch: OneBatch = None) -> None:
    """Puts an operation, or all of a batch, aside.

    What is copied stays; the queue goes on with others. Writes to an index that was begun stay
    blocked. Exit code 1 where it is too late.
    """
    from app.cli import steering

    steering.steer(session, Action.PAUSE, steering.Aim(index, batch))


@cli.command()
@with_session
def resume(session: Session, index: OneIndex = None, batch: OneBatch = None) -> None:
    """Lets what is paused go on where it stopped.

    It has its old place in the queue. Exit code 1 where one was refused.
    """
    from app.cli import steering

    steering.steer(session, Action.RESUME, steering.Aim(index, batch))


@cli.command()
@with_session
def retry(session: Session, index: OneIndex = None, batch: OneBatch = None) -> None:
    """Queues again what failed or was cancelled.

    What waits for something tries at once. Exit code 1 where one was refused.
    """
    from app.cli import steering

    steering.steer(session, Action.RETRY, steering.Aim(index, batch))


@cli.command()
@with_session
def rollback(
    session: Session,
    index: OneIndex = None,
    batch: OneBatch = None,
    force: Annotated[
        bool, typer.Option("--force", help="Also where that loses documents written since")
    ] = False,
) -> None:
    """Gives the old name back to the kept copy of the old index.

    The new index is removed; refused where documents were written to it since, unless --force says
    so. Exit code 1 where one was refused.
    """
    from app.cli import steering

    steering.steer(session, Action.ROLL_BACK, steering.Aim(index, batch), {"force": force})


@cli.command()
@with_session
def doctor(session: Session) -> None:
    """Finds out what is wrong, and how to mend it.

    Looks at service, cluster, versions, privileges, database, worker and queue. Exit code
    1 where something is wrong.
    """
    from app.cli import asking

    asking.doctor(session)


@cli.command()
@with_session
def adopt(
    session: Session,
    keep_tokens: Annotated[
        bool, typer.Option("--keep-tokens", help="Do not revoke the tokens of before")
    ] = False,
    here: Annotated[
        bool, typer.Option("--here", help="In the database of DATABASE_URL, without the service")
    ] = False,
) -> None:
    """Says that this database goes on after it was restored.

    A database that was restored from an older copy, or on whose cluster a copy of it or another one
    was at work, changes nothing there until this is said. First see to it that no other service
    works on that cluster. All tokens are revoked, since one that was revoked after the copy was
    made would be valid again. Where tokens are the only login, use --here.
    """
    from app.cli import adopting

    if not here:
        adopting.adopt(session, keep_tokens=keep_tokens)
        return
    if session.curl:
        raise Misuse("--here asks no service, so there is no request for --curl.")
    from app import serving

    done = serving.adopt(keep_tokens=keep_tokens)
    adopting.show_adopted(done.revoked, done.switched_off)


@cli.command()
@with_session
def prune(
    session: Session,
    days: Annotated[
        float | None,
        typer.Option(
            metavar="N",
            min=0,
            max=36_500,
            help="Remove what ended longer ago; default: REINDEX_HISTORY_DAYS of the service",
        ),
    ] = None,
) -> None:
    """Removes old history from the database.

    Batches and operations with all that belongs to them; it waits until that is done. What is
    not over stays, and so does what has left an index for a rollback or for you to look at.
    Nothing in the cluster changes.
    """
    from app.cli import pruning

    pruning.prune(session, days)


paces = typer.Typer(help="How fast copies may go, and when; stop everything, and go on.")
cli.add_typer(paces, name="pace", no_args_is_help=True)


@paces.command("show")
@with_session
def show_pace(session: Session, index: OfIndex = None, batch: OfBatch = None) -> None:
    """Shows the pace that is in force, and why."""
    from app.cli import pacing

    pacing.show(session, pacing.Whose(index, batch))


@paces.command("set")
@with_session
def set_pace(
    session: Session,
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
) -> None:
    """Changes the pace, also of copies that run.

    What is not named stays as it is; for the service the settings then in force are stored with
    what is named, until pace reset. The tightest of service, batch and operation is in force.

    \b
    For the nights and the weekends:
      reindex-queue pace set --hours '22:00-06:00 Europe/Berlin' \\
        --hours 'sat,sun 00:00-24:00 Europe/Berlin'
    """
    from app.cli import pacing

    whose = pacing.Whose(index, batch)
    pacing.change(session, whose, rate=rate, windows=windows, hours=hours or [])


@paces.command("reset")
@with_session
def reset_pace(session: Session, index: OfIndex = None, batch: OfBatch = None) -> None:
    """Forgets what was set: the service goes back to its settings."""
    from app.cli import pacing

    pacing.reset(session, pacing.Whose(index, batch))


@paces.command("stop")
@with_session
def stop_everything(
    session: Session,
    reason: Annotated[
        str, typer.Option(metavar="TEXT", help="For whoever asks why nothing moves")
    ] = "",
) -> None:
    """Stops everything before the swap, until pace go-on.

    Nothing new starts, copies stop where they are. Writes to indices in hand stay blocked. What
    has its new name already is finished, and cancels and rollbacks go on.
    """
    from app.cli import pacing

    pacing.stop(session, reason)


@paces.command("go-on")
@with_session
def go_on(session: Session) -> None:
    """Ends a stop: copies go on where they were stopped."""
    from app.cli import pacing

    pacing.go_on(session)


@cli.command()
def backup(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="The copy; it must not be there yet")
    ],
) -> None:
    """Copies the SQLite database of DATABASE_URL.

    Also while the service works. It needs no service, but the machine and the environment of the
    service. For PostgreSQL it prints the command that does the same.
    """
    from app import backup

    backup.backup(file)


keys = typer.Typer(help="Keys that encrypt stored secrets.")
cli.add_typer(keys, name="keys", no_args_is_help=True)


@keys.command("new")
def new_key() -> None:
    """Prints a new key for REINDEX_SECRET_KEYS.

    Put it before those that are there: the first encrypts, all decrypt. Keep a copy of all of them
    apart from the database; without them nobody can read what was encrypted. It needs no service.
    """
    from app.cli import keys

    keys.show_new()


@keys.command("rotate")
@with_session
def rotate_keys(session: Session) -> None:
    """Encrypts all stored secrets with the first key.

    Put the new key before the others in REINDEX_SECRET_KEYS of every service first. When this has
    left no secret that could not be opened, the older keys can be taken out.
    """
    from app.cli import keys

    keys.rotate(session)


Patterns = Annotated[
    list[str] | None,
    typer.Option(metavar="PATTERN", help="Only these indices, with *; may be repeated"),
]
Clusters = Annotated[
    list[str] | None, typer.Option(metavar="NAME", help="Only this cluster; may be repeated")
]

tokens = typer.Typer(help="What programs log in with, each with a role and limits.")
cli.add_typer(tokens, name="token", no_args_is_help=True)


@tokens.command("create")
@with_session
def create_token(
    session: Session,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Events have it, as token:NAME")],
    role: Annotated[
        Role, typer.Option(metavar="viewer|operator|admin", help="What it is allowed to do")
    ],
    index: Patterns = None,
    cluster: Clusters = None,
    expires: Annotated[
        str | None, typer.Option(metavar="TIME", help="Its end, such as 90d; default: never")
    ] = None,
    here: Annotated[
        bool, typer.Option("--here", help="In the database of DATABASE_URL, without the service")
    ] = False,
) -> None:
    """Makes a token, and shows its secret once.

    A pattern must fit the sources and their new indices, both. The first token of a service is
    made with --here, where the service has its settings.

    \b
    For the indices of one team:
      reindex-queue token create nightly --role operator \\
        --index 'logs-*' --index 'reindexed-v8-logs-*' --expires 90d
    """
    from app.cli import tokens as issuing

    wish = issuing.Wish(name, role, index or (), cluster or (), expires)
    if not here:
        issuing.create(session, wish)
        return
    if session.curl:
        raise Misuse("--here asks no service, so there is no request for --curl.")
    grant = wish.request().grant()
    from app import serving

    issued = serving.make_token(grant)
    issuing.show_made(session, issued.token, issued.secret)


@tokens.command("list")
@with_session
def list_tokens(session: Session) -> None:
    """Lists all tokens, also those that have expired or are revoked."""
    from app.cli import tokens as issuing

    issuing.list_all(session)


@tokens.command("revoke")
@with_session
def revoke_token(
    session: Session,
    name: Annotated[str, typer.Argument(metavar="NAME", help="As token list shows it")],
) -> None:
    """Revokes a token: it lets nobody in any more.

    That is so at every service of the same database. What was posted with it goes on.
    """
    from app.cli import tokens as issuing

    issuing.revoke(session, name)


webhooks = typer.Typer(help="Addresses that are told of events.")
cli.add_typer(webhooks, name="webhook", no_args_is_help=True)

Webhook = Annotated[str, typer.Argument(metavar="NAME", help="Its name or its id")]
HookKinds = Annotated[
    list[str] | None,
    typer.Option("--kind", metavar="KIND", help="Only this kind of event; may be repeated"),
]


@webhooks.command("create")
@with_session
def create_webhook(
    session: Session,
    name: Annotated[str, typer.Argument(metavar="NAME", help="How it is called")],
    address: Annotated[
        str, typer.Argument(metavar="ADDRESS", help="Where it is sent; -: read from the input")
    ],
    kind: HookKinds = None,
) -> None:
    """Makes a webhook, and shows the secret that signs once.

    It is told of what happens from now on. REINDEX_WEBHOOK_ALLOW must allow its address, which is
    a secret: with - it is read from the standard input, and no list of processes has it.

    \b
    For a chat, when something fails or waits:
      reindex-queue webhook create chat - --kind failed --kind holds < address
    """
    from app.cli import webhooks as hooks

    hooks.create(session, name, address, kind)


@webhooks.command("list")
@with_session
def list_webhooks(session: Session) -> None:
    """Lists all webhooks, with what keeps them from sending."""
    from app.cli import webhooks as hooks

    hooks.list_all(session)


@webhooks.command("show")
@with_session
def show_webhook(session: Session, name: Webhook) -> None:
    """Shows one webhook, and how far it is."""
    from app.cli import webhooks as hooks

    hooks.show(session, name)


@webhooks.command("test")
@with_session
def test_webhook(session: Session, name: Webhook) -> None:
    """Sends a test now; fails where it is not delivered."""
    from app.cli import webhooks as hooks

    hooks.test(session, name)


@webhooks.command("on")
@with_session
def webhook_on(session: Session, name: Webhook) -> None:
    """Switches a webhook on: it goes on where it stopped."""
    from app.cli import webhooks as hooks

    hooks.switch(session, name, on=True)


@webhooks.command("off")
@with_session
def webhook_off(session: Session, name: Webhook) -> None:
    """Switches a webhook off: nothing is sent to it."""
    from app.cli import webhooks as hooks

    hooks.switch(session, name, on=False)


@webhooks.command("rotate")
@with_session
def rotate_webhook(session: Session, name: Webhook) -> None:
    """Replaces the secret that signs, and shows the new one.

    The one before signs for 24 hours, too.
    """
    from app.cli import webhooks as hooks

    hooks.rotate(session, name)


@webhooks.command("delete")
@with_session
def delete_webhook(session: Session, name: Webhook) -> None:
    """Deletes a webhook with its secrets."""
    from app.cli import webhooks as hooks

    hooks.delete(session, name)


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
