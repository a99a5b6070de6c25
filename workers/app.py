"""The Celery application: what the tasks are called, and what becomes of them when things die.

Nothing of a job's truth lies here: a message may be lost or delivered twice. A chunk is done when
the job store holds its outcomes, and the sweep sends it again until then.
"""

from __future__ import annotations

import os

import billiard
from celery import Celery, signals
from kombu import Exchange, Queue

from geofix.engine.gallery.port import Quantization
from geofix.errors import Unavailable
from geofix.jobs import messages
from geofix.jobs.sweeping import COLLECT_S, SWEEP_S
from geofix.jobs.tasks import (
    BATCH_QUEUE,
    COLLECT,
    CONTROL_QUEUE,
    LOCATE_CHUNK,
    REINDEX,
    REINDEX_QUEUE,
    SWEEP,
    WEBHOOK,
)
from geofix.settings import Settings
from indexer.galleries.plan import Plan
from workers import metrics, tracing
from workers.batch import work_chunk
from workers.health import Pulse, install, probe_queue
from workers.reindex import AGAIN_S, work_reindex
from workers.sweep import call_webhook, collect_jobs, sweep_jobs
from workers.workbench import Workplace

CHUNK_S = 540.0
"""A chunk that takes longer keeps what it has and goes back to the queue."""
HARD_LIMIT_S = 600.0
"""A task that takes longer is killed."""
REINDEX_LIMIT_S = 7 * 86_400
"""The same for a re-index, of which no second copy does harm."""
VISIBILITY_S = 900
"""When Redis delivers again what was not acknowledged: above the hard limit, or a task that is
still at work would run twice. Leases make up for the wait."""
SOFT_SHUTDOWN_S = 20.0
"""What a worker that is told to stop gives the tasks in work."""


def create_app(config: Settings, worker: str = "") -> Celery:
    """The application of these settings, for the worker of this name (none for beat).

    Raises Unavailable without ``redis_url``.
    """
    if not config.redis_url:
        raise Unavailable("Workers need Redis: set GEOFIX_REDIS_URL, or run `geofix serve --all`.")
    messages.stamp_all()
    app = Celery(
        "geofix",
        broker=config.redis_url,
        set_as_current=False,
        task_cls="workers.tracing:TracedTask",
    )
    app.conf.update(
        task_serializer="json",
        accept_content=["json"],
        task_ignore_result=True,
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        worker_prefetch_multiplier=1,
        task_time_limit=HARD_LIMIT_S,
        worker_soft_shutdown_timeout=SOFT_SHUTDOWN_S,
        worker_cancel_long_running_tasks_on_connection_loss=False,
        worker_hijack_root_logger=False,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_transport_options={
            "visibility_timeout": VISIBILITY_S,
            "socket_connect_timeout": 5,
            "socket_timeout": 30,
            "socket_keepalive": True,
            "health_check_interval": 15,
        },
        task_queues=[
            Queue(name, Exchange(name), routing_key=name)  # else they would share one route
            for name in (BATCH_QUEUE, CONTROL_QUEUE, REINDEX_QUEUE, probe_queue(worker))
        ],
        task_default_queue=BATCH_QUEUE,
        beat_schedule={
            name: {
                "task": name,
                "schedule": every_s,
                # One that could not be run in time is not caught up with.
                "options": {"queue": CONTROL_QUEUE, "expires": 2.0 * every_s},
            }
            for name, every_s in ((SWEEP, SWEEP_S), (COLLECT, COLLECT_S))
        },
    )
    if worker:
        _add_tasks(app, config, worker)
    return app


def _add_tasks(app: Celery, config: Settings, worker: str) -> None:
    workplace, pulse = Workplace(config), Pulse.of(config.data_dir, worker)
    stopping = billiard.Event()
    signals.worker_shutting_down.connect(lambda **_: stopping.set(), weak=False)
    install(app, worker, pulse)
    tracing.install(config)
    if config.worker_metrics_port:
        metrics.install(config, pulse)

    @app.task(name=LOCATE_CHUNK)
    def locate_chunk(job_id: str, chunk: int) -> None:
        workplace.run(
            lambda bench: work_chunk(
                bench,
                job_id,
                chunk,
                worker=f"{worker}-{os.getpid()}",
                limit_s=CHUNK_S,
                stopping=stopping.is_set,
                alive=pulse.beat,
            )
        )

    def told_to_stop() -> bool:
        """Whether to stop; a worker that asks, twice a second while it re-indexes, is alive."""
        pulse.beat()
        return stopping.is_set()

    @app.task(name=REINDEX, time_limit=REINDEX_LIMIT_S)
    def reindex(
        gallery: str, base: int, model: str, quantization: str, pace: float, most_missing: float
    ) -> None:
        plan = Plan(model, Quantization(quantization) if quantization else None, pace, most_missing)
        if not work_reindex(config, gallery, base, plan, stopping=told_to_stop):
            given = (gallery, base, model, quantization, pace, most_missing)
            app.send_task(REINDEX, args=given, queue=REINDEX_QUEUE, countdown=AGAIN_S)

    @app.task(name=SWEEP)
    def sweep() -> None:
        workplace.run(sweep_jobs)

    @app.task(name=COLLECT)
    def collect() -> None:
        workplace.run(collect_jobs)

    @app.task(name=WEBHOOK)
    def webhook(job_id: str) -> None:
        workplace.run(lambda bench: call_webhook(bench, job_id))
