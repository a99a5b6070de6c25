"""``geofix serve``: the HTTP service."""

from __future__ import annotations

import asyncio
import gc
import signal
import socket
import sys
from collections.abc import Callable
from logging import getLogger

import click
import uvicorn
from uvicorn.config import LOGGING_CONFIG

from geofix.engine import algebra
from geofix.errors import InvalidOption
from geofix.observability import discretion, logging
from geofix.settings import Settings, settings
from service.app import create_app, engine
from service.auth.access import check_exposure
from service.connections import BACKLOG, Bounds, allowed_connections, guarded
from service.draining import Server

log = getLogger("geofix.service")

_GRACE_S = 30
_SWITCH_S = 0.001
"""How long a thread may hold Python's lock while others want it. A request takes the lock some
dozens of times, and by default each time may cost 5 ms while other photos are worked on."""


@click.command()
@click.option("--host", help="Address to listen on [default: GEOFIX_HOST or 127.0.0.1].")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    help="0 takes a free one [default: GEOFIX_PORT or 8000].",
)
@click.option(
    "--auth",
    type=click.Choice(["auto", "required", "off"]),
    help="Whether callers must show a key [default: GEOFIX_AUTH or auto: unless on loopback].",
)
@click.option(
    "--open-to-anyone",
    is_flag=True,
    help="With --auth off: answer the network all the same. Both must be given.",
)
@click.option(
    "--all",
    "with_jobs",
    is_flag=True,
    help="Batch jobs, too: workers and, unless GEOFIX_REDIS_URL is set, a Valkey server.",
)
def serve(
    host: str | None, port: int | None, auth: str | None, open_to_anyone: bool, with_jobs: bool
) -> None:
    """Answer over HTTP until it is told to stop (Ctrl-C or SIGTERM)."""
    config = settings()
    config = config.model_copy(
        update={
            "host": host or config.host,
            "port": config.port if port is None else port,
            "auth": auth or config.auth,
            "open_to_anyone": open_to_anyone or config.open_to_anyone,
        }
    )
    if with_jobs:
        from geofix.cli.all_in_one import run_all

        run_all(config)
        return
    listener = _listen(config.host, config.port)
    with listener:
        address = listener.getsockname()
        bound = config.model_copy(update={"host": address[0], "port": address[1]})
        try:
            check_exposure(bound)
        except InvalidOption as error:
            raise click.UsageError(str(error)) from error
        with asyncio.Runner(loop_factory=_loop()) as runner:
            runner.run(_run(bound, listener))


def _listen(host: str, port: int) -> socket.socket:
    """A bound socket that does not accept yet: a client is refused until the model is warm."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Named as TCP, or asyncio leaves Nagle's algorithm on: 40 ms on every answer.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise click.ClickException(
            f"Cannot listen on {host} port {port}: {error.strerror}. Choose another --port."
        ) from error
    return listener


def _loop() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """uvloop's where it can be had: not on Windows."""
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop


def _let_signals_end_the_server_only() -> None:
    """Uvicorn sends itself the signal again once it has stopped; the engine has yet to close."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: None)


def _leave_what_stays() -> None:
    """Let the garbage collector pass over what has been loaded, which lasts to the end.

    To walk through it stopped everything for a quarter of a second, twice a minute under load.
    """
    gc.collect()
    gc.freeze()


async def _run(config: Settings, listener: socket.socket) -> None:
    discretion.keep()
    sys.setswitchinterval(_SWITCH_S)
    algebra.on_one_thread()
    in_json = config.log_format == "json"
    if in_json:
        logging.as_json()
    app = create_app(config)
    server = Server(
        uvicorn.Config(
            app,
            http=guarded(Bounds(connections=allowed_connections(config.max_connections))),
            ws="none",
            lifespan="off",  # the engine is opened here, where its errors can be told plainly
            access_log=False,
            log_config=None if in_json else LOGGING_CONFIG,
            log_level="error",  # it too warns of what callers send
            server_header=False,
            backlog=BACKLOG,
            timeout_graceful_shutdown=_GRACE_S,
        ),
        app,
        config.drain_s,
    )
    async with engine(app):
        _leave_what_stays()
        host = f"[{config.host}]" if ":" in config.host else config.host
        listener.listen(BACKLOG)
        _let_signals_end_the_server_only()
        ready = f"Geofix answers on http://{host}:{config.port}"
        if in_json:
            log.info(ready)
        else:
            click.echo(ready, err=True)
        await server.serve(sockets=[listener])
