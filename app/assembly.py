"""Assembly: opens the database and the clusters, puts the parts of each site together as the
settings say, and closes them in order."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Any

from app.copying.gate import Probe
from app.copying.governor import Governor
from app.copying.pace import Pacing
from app.copying.tasks import tell_of_dropped_header
from app.domain.hours import HoursEnd
from app.domain.pace import AfterHours, Pace
from app.domain.pruning import Retention
from app.domain.request import Defaults
from app.elastic.callers import CallersView
from app.elastic.cluster import Cluster, ClusterView
from app.elastic.connection import Connection
from app.elastic.http import Credentials, Tls
from app.jobs.bookkeeping import Bookkeeping
from app.jobs.machine import Machine
from app.jobs.ownership import ClusterOwnership
from app.jobs.phases import Kind, Limits
from app.jobs.pruning import Pruner
from app.jobs.term import ClusterIdentity, WakeUps
from app.jobs.worker import Worker
from app.sealing import Sealing
from app.sendable import custom_headers
from app.settings import Settings
from app.sites.adoption import Adoption
from app.sites.batch_progress import BatchWatch
from app.sites.caller_desk import CallerDesk
from app.sites.checkup import Checkup
from app.sites.doctor import Doctor
from app.sites.figures import Figures
from app.sites.history import History
from app.sites.key_rotation import KeyRotation
from app.sites.overview import Overview
from app.sites.reading import Reading
from app.sites.session_desk import SessionDesk
from app.sites.site import Site, Sites
from app.sites.steering import Control
from app.sites.token_desk import TokenDesk
from app.sites.webhook_desk import WebhookDesk
from app.store.role import owner_name
from app.store.store import Database, Store
from app.store.tokens import Tokens
from app.store.webhooks import Webhooks
from app.telemetry import Instruments, Meters, logger
from app.upgrades.admission import Admission, Surroundings
from app.upgrades.caller_privileges import CallerPrivileges
from app.upgrades.measuring import measured
from app.upgrades.outdated import Inventory
from app.upgrades.planning import Planner
from app.upgrades.queue import BatchDesk, Queue
from app.upgrades.rewrite import Rewrite
from app.upgrades.rollback import Rollback
from app.upgrades.small import BlockWrite, Expiries, Expiry, SmallJobDesk, TryOut
from app.webhooks.delivery import Courier
from app.webhooks.post import Post
from app.webhooks.sealed import WebhookSecrets

log = logger(__name__)

CALLER_SECONDS = 10.0
"""So long may the cluster take to say who a caller is."""
LOOK_SECONDS = 5.0
"""So long may the bearer of a token wait after a start, until it is known whether tokens count."""
STOP_SECONDS = 20.0
"""So long may the step in hand take to end at a stop; then it is left as a crash would leave it."""


@asynccontextmanager
async def running_sites(clusters: Mapping[str, Settings]) -> AsyncGenerator[Sites]:
    """The sites of these clusters at work, in the database that the first of them names."""
    first = next(iter(clusters.values()))
    database = await Database.open(
        first.database_url.get_secret_value(), first.reindex_lease_seconds
    )
    async with AsyncExitStack() as stack:
        stack.push_async_callback(database.close)
        tokens, secrets = await database.tokens(clusters.keys()), await database.secrets()
        stack.push_async_callback(tokens.close)
        instruments = Instruments()
        watching = asyncio.create_task(instruments.watch_the_loop(), name="loop lag")
        stack.callback(watching.cancel)
        webhooks = await database.webhooks()
        stack.push_async_callback(webhooks.close)
        post = Post(webhooks, WebhookSecrets(_sealing(first)), Courier(first.reindex_webhook_allow))
        sites = {
            name: await stack.enter_async_context(
                _running(
                    name,
                    settings,
                    await database.store(name),
                    tokens,
                    Meters(name, instruments),
                    post,
                )
            )
            for name, settings in clusters.items()
        }
        ready = partial(_first_looks, list(sites.values()))
        yield Sites(
            sites,
            TokenDesk(tokens, clusters.keys(), ready),
            SessionDesk(await database.sessions(clusters.keys()), _sealing(first), ready),
            WebhookDesk(post),
            KeyRotation(secrets, _sealing(first)),
            instruments,
        )


async def _first_looks(sites: Sequence[Site]) -> None:
    """Waits until each site has looked whether this database is the newest one, or could not."""
    await asyncio.gather(*(site.ownership.first_look(LOOK_SECONDS) for site in sites))


async def _is_ours(site: Site) -> bool:
    """False where another database works on the cluster, as far as that was looked at."""
    await site.ownership.first_look(LOOK_SECONDS)
    return not await site.ownership.kept()


@asynccontextmanager
async def _running(
    name: str,
    settings: Settings,
    store: Store,
    tokens: Tokens,
    meters: Meters,
    post: Post,
) -> AsyncGenerator[Site]:
    connection = Connection(
        settings.elasticsearch_hosts,
        _credentials(settings),
        _tls(settings),
        settings.elasticsearch_requesttimeout / 1000,
        meters,
    )
    of_callers = _connection_of_callers(settings, meters)
    site = _assemble(name, settings, store, tokens, post.webhooks, connection, of_callers, meters)
    is_ours = partial(_is_ours, site)
    site.worker.companion = post.sender(name, store, site.worker.who, is_ours)
    working = asyncio.create_task(site.worker.run(), name="worker")
    try:
        yield site
    finally:
        site.worker.stop()
        _, late = await asyncio.wait([working], timeout=STOP_SECONDS)
        if late:
            log.warning("worker_stopped_late", seconds=STOP_SECONDS)
            working.cancel()
            await asyncio.gather(working, return_exceptions=True)
        await of_callers.close()
        await connection.close()
        await store.close()


def _connection_of_callers(settings: Settings, meters: Meters) -> Connection:
    """The way to the cluster for questions with a caller's credentials. Nothing goes that way by
    which Elasticsearch, or a proxy, could take them for this service."""
    seconds = min(settings.elasticsearch_requesttimeout / 1000, CALLER_SECONDS)
    hosts, tls = settings.elasticsearch_hosts, _tls(settings).of_nobody
    return Connection(hosts, Credentials(), tls, seconds, meters)


def _assemble(
    name: str,
    settings: Settings,
    store: Store,
    tokens: Tokens,
    webhooks: Webhooks,
    connection: Connection,
    of_callers: Connection,
    meters: Meters,
) -> Site:
    wake_ups, view = WakeUps(), ClusterView.of(connection)
    surroundings, callers = Surroundings(view), CallersView(of_callers, name)
    caller_privileges = CallerPrivileges(callers, view, surroundings.one_major)
    uuid = settings.reindex_cluster_uuid
    cluster_identity = ClusterIdentity(store.cluster_identities, view, uuid)
    ownership = ClusterOwnership(store.ownerships, view)
    pacing = Pacing(store, _pace(settings), wake_ups, _after_hours(settings))
    worker = _worker(
        settings, store, connection, wake_ups, pacing, cluster_identity, ownership, meters
    )
    defaults = Defaults(settings.reindex_keep_old_index, settings.reindex_proof)
    admission = Admission(
        store,
        view,
        surroundings,
        cluster_identity,
        ownership,
        settings.reindex_prefix_major,
        defaults,
        caller_privileges,
    )
    queue = Queue(store.operations, store.requested_actions, admission, wake_ups)
    small_jobs = SmallJobDesk(store.small_jobs, wake_ups, caller_privileges)
    inventory = Inventory(view, surroundings, admission)
    overview = Overview(store, pacing)
    rollback = Rollback(store, view, surroundings, wake_ups, caller_privileges)
    checkup = Checkup(store, overview, surroundings, worker, pacing, ownership)
    return Site(
        name=name,
        store=store,
        cluster=view,
        surroundings=surroundings,
        callers=CallerDesk(name, callers),
        queue=queue,
        batches=BatchDesk(store, queue, pacing),
        batch_watch=BatchWatch(store.listing, view),
        control=Control(store, queue, rollback, wake_ups, caller_privileges),
        pacing=pacing,
        rollback=rollback,
        inventory=inventory,
        planner=Planner(
            view, admission, inventory, small_jobs, store.listing, pacing, _limits(settings)
        ),
        small_jobs=small_jobs,
        reading=Reading(
            store.operations, store.listing, view, surroundings, queue, caller_privileges
        ),
        overview=overview,
        checkup=checkup,
        doctor=Doctor(
            store,
            view,
            checkup,
            worker,
            pacing,
            cluster_identity,
            ownership,
            _sealing(settings),
        ),
        ownership=ownership,
        adoption=Adoption(store.ownerships, tokens, webhooks, ownership, wake_ups),
        history=History(_retention(settings), store.prunings),
        figures=Figures(store, checkup, worker),
        worker=worker,
    )


def _worker(
    settings: Settings,
    store: Store,
    connection: Connection,
    wake_ups: WakeUps,
    pacing: Pacing,
    cluster_identity: ClusterIdentity,
    ownership: ClusterOwnership,
    meters: Meters,
) -> Worker:
    """The worker with its machine and the governor of its copies."""
    who = f"worker:{owner_name()}"
    watch = settings.reindex_health_seconds if settings.reindex_health_gate else None
    governor = Governor(pacing, store.paces, who, watch, _probe(settings))
    limits = _limits(settings)
    machine = Machine(
        jobs=store.jobs,
        bookkeeping=_bookkeeping(settings, store, limits, who, meters),
        kinds={kind.name: kind for kind in _kinds(store)},
        cluster=partial(Cluster.for_worker, connection),
        wake_ups=wake_ups,
        limits=limits,
        pacer=governor,
        cluster_identity=cluster_identity,
        ownership=ownership,
        history=partial(measured, store.listing),
        meters=meters,
    )
    return Worker(
        role=store.role,
        jobs=store.jobs,
        lanes=store.lanes,
        machine=machine,
        wake_ups=wake_ups,
        pacer=governor,
        cluster_identity=cluster_identity,
        ownership=ownership,
        who=who,
        most_beside=settings.reindex_max_singles,
        greet=tell_of_dropped_header,
        when_idle=Expiries(store.kept_copies, store.small_jobs, governor, who).leave,
        pruner=Pruner(store.prunings, _retention(settings), who),
    )


def _kinds(store: Store) -> list[Kind[Any]]:
    return [
        Rewrite(),
        BlockWrite(store.operations.live_names),
        TryOut(store.operations.live_names),
        Expiry(store.operations.find, store.kept_copies.in_use),
    ]


def _bookkeeping(
    settings: Settings, store: Store, limits: Limits, who: str, meters: Meters
) -> Bookkeeping:
    skips = settings.reindex_hold_policy == "skip"
    return Bookkeeping(
        jobs=store.jobs,
        lanes=store.lanes,
        limits=limits,
        who=who,
        park_after=settings.reindex_hold_skip_seconds if skips else None,
        meters=meters,
    )


def _limits(settings: Settings) -> Limits:
    return Limits(
        window_documents=settings.reindex_window_documents,
        batch_documents=settings.reindex_batch_documents,
        window_seconds=settings.reindex_window_seconds,
        synchronous_documents=settings.reindex_synchronous_documents,
        keep_days=settings.reindex_keep_days,
        lost_seconds=settings.reindex_lost_target_seconds,
        block_seconds=settings.reindex_max_block,
        gives_back=settings.reindex_hours_end is HoursEnd.GIVE_BACK,
        snapshot_seconds=settings.reindex_require_snapshot,
        full_up_to=settings.reindex_proof_full_up_to,
    )


def _retention(settings: Settings) -> Retention:
    return Retention(settings.reindex_history_days, settings.reindex_audit_days)


def _sealing(settings: Settings) -> Sealing:
    return Sealing(settings.secret("reindex_secret_keys"))


def _pace(settings: Settings) -> Pace:
    """What holds for as long as nobody has said otherwise."""
    return Pace(
        requests_per_second=settings.reindex_requests_per_second,
        windows_in_flight=settings.reindex_windows_in_flight,
        hours=settings.reindex_hours,
    )


def _after_hours(settings: Settings) -> AfterHours:
    return AfterHours(settings.reindex_hours_end, settings.reindex_hours_grace)


def _probe(settings: Settings) -> Probe | None:
    index = settings.reindex_search_probe
    return Probe(index, settings.reindex_search_probe_seconds) if index else None


def _credentials(settings: Settings) -> Callable[[], Credentials]:
    """Those of the moment: the files of secrets may change while the service runs."""
    password = settings.secret("elasticsearch_password")
    api_key = settings.secret("elasticsearch_apikey")
    token = settings.secret("elasticsearch_serviceaccounttoken")
    headers = settings.secret("elasticsearch_customheaders")

    def now() -> Credentials:
        return Credentials(
            username=settings.elasticsearch_username,
            password=password(),
            api_key=api_key(),
            service_token=token(),
            headers=custom_headers(headers()),
        )

    return now


def _tls(settings: Settings) -> Tls:
    return Tls(
        verification=settings.elasticsearch_ssl_verificationmode,
        authorities=settings.elasticsearch_ssl_certificateauthorities,
        certificate=settings.elasticsearch_ssl_certificate,
        key=settings.elasticsearch_ssl_key,
        fingerprint=settings.elasticsearch_ssl_fingerprint,
        passphrase=settings.secret("elasticsearch_ssl_keypassphrase"),
    )
