"""``geofix worker``: the processes behind batch jobs."""

from __future__ import annotations

import warnings

import click

from geofix.settings import Settings, settings

_NAME = click.option(
    "--name",
    default="worker",
    show_default=True,
    help="Unique among the workers of a data directory.",
)

_PROCESSES = 2


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def worker() -> None:
    """Run what works on batch jobs: a worker for photos, one for sweeps and webhooks, and a clock.

    ``geofix serve --all`` runs all of them on one machine.
    """


@worker.command()
@_NAME
@click.option(
    "--queue",
    type=click.Choice(["batch", "control", "reindex"]),
    multiple=True,
    default=("batch", "control", "reindex"),
    show_default=True,
    help="batch: photos; control: sweeps and webhooks, which should not wait behind photos; "
    "reindex: new versions of galleries, one at a time.",
)
@click.option(
    "--processes",
    type=click.IntRange(1),
    help="[default: 2; with GEOFIX_WORKER_ENGINE=local always 1]",
)
def run(name: str, queue: tuple[str, ...], processes: int | None) -> None:
    """Take tasks until told to stop; then what is in work is kept or given back."""
    from geofix.observability.logging import begin
    from workers.app import create_app
    from workers.health import Pulse, probe_queue

    config = settings()
    begin(config)
    processes = _processes(config, processes)
    # Celery's words about root are about pickle, which no task of ours is.
    warnings.filterwarnings("ignore", module="celery.platforms")
    app = create_app(config, name)
    Pulse.of(config.data_dir, name).forget()
    queues = ",".join([*queue, probe_queue(name)])
    app.worker_main(
        [
            *("--quiet", "worker", f"--hostname={name}@%h", f"--queues={queues}"),
            *(f"--concurrency={processes}", "--loglevel=WARNING"),
            *("--without-gossip", "--without-mingle", "--without-heartbeat"),
        ]
    )


def _processes(config: Settings, asked: int | None) -> int:
    """How many a worker is to have. Raises UsageError."""
    if config.worker_engine == "remote":
        return asked or _PROCESSES
    if asked is not None and asked > 1:
        raise click.UsageError(
            "A worker with an engine of its own has one process, which owns the data directory. "
            "Start more workers, each with another GEOFIX_DATA_DIR."
        )
    return 1


@worker.command()
def clock() -> None:
    """Start the sweeps when it is time. One is enough; several do no harm."""
    from geofix.observability.logging import begin
    from workers.app import create_app

    config = settings()
    begin(config)
    create_app(config).start(
        ["--quiet", "beat", "--scheduler=celery.beat:Scheduler", "--pidfile=", "--loglevel=WARNING"]
    )


@worker.command()
@_NAME
def alive(name: str) -> None:
    """Exit with 0 if the worker of this name consumes tasks, with 1 if not."""
    from workers.health import Pulse

    pulse = Pulse.of(settings().data_dir, name)
    if not pulse.alive():
        age_s = pulse.age_s()
        when = "never" if age_s is None else f"{age_s:.0f} s ago"
        raise click.ClickException(f"The worker {name!r} consumes nothing; it last did {when}.")
    click.echo(f"The worker {name!r} consumes.")
