"""What a worker's process keeps open from task to task: an event loop, the job store, the engine.

It is opened in the process that uses it, at its first task: connections do not survive a fork.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from geofix.errors import DataDirectoryBusy, Unavailable
from geofix.jobs.store import JobStore, open_jobs
from geofix.jobs.tasks import CelerySender
from geofix.remote.client import address, connect
from geofix.remote.engine import Engine, RemoteEngine
from geofix.remote.worker_key import worker_key
from geofix.settings import Settings

log = logging.getLogger("geofix.worker")


@dataclass(frozen=True, slots=True)
class Workbench:
    """The job store and the way to the tasks, and to the engine."""

    store: JobStore
    sender: CelerySender
    engine: Callable[[], Awaitable[Engine]]
    """Raises Unavailable where no service answers yet."""


class Workplace:
    """Runs coroutines of one process over one workbench."""

    def __init__(self, config: Settings) -> None:
        self._config = config
        self._runner: asyncio.Runner | None = None
        self._bench: Workbench | None = None

    def run(self, work: Callable[[Workbench], Awaitable[None]]) -> None:
        """Run ``work``, which is given the workbench; what it leaves undone the sweep finds."""
        if self._runner is None:
            self._runner = asyncio.Runner()
        try:
            # In the context of this task: the runner's own is that of the first one.
            self._runner.run(self._with_bench(work), context=contextvars.copy_context())
        except (Unavailable, OSError) as error:
            log.warning("a task is left to the next sweep: %s", error)

    async def _with_bench(self, work: Callable[[Workbench], Awaitable[None]]) -> None:
        if self._bench is None:
            self._bench = await AsyncExitStack().enter_async_context(open_workbench(self._config))
        await work(self._bench)


@asynccontextmanager
async def open_workbench(config: Settings) -> AsyncIterator[Workbench]:
    """A workbench of these settings. Raises Unavailable without ``redis_url``."""
    async with AsyncExitStack() as stack:
        store = await stack.enter_async_context(open_jobs(config))
        engine = (
            _Local(config, stack) if config.worker_engine == "local" else _Remote(config, stack)
        )
        yield Workbench(store, CelerySender(config.redis_url), engine)


class _Remote:
    """The engine of the service, wherever that answers at the time."""

    def __init__(self, config: Settings, stack: AsyncExitStack) -> None:
        self._config = config
        self._stack = stack
        self._engines: dict[str, Engine] = {}

    async def __call__(self) -> Engine:
        where = await asyncio.to_thread(address, self._config)
        if not where:
            raise Unavailable("No service answers yet. Start it with `geofix serve`.")
        if where not in self._engines:
            service = await self._stack.enter_async_context(connect(where))
            key = await asyncio.to_thread(worker_key, self._config)
            self._engines[where] = RemoteEngine(service, key)
        return self._engines[where]


class _Local:
    """An engine of this process's own: it holds the model, and its data directory."""

    def __init__(self, config: Settings, stack: AsyncExitStack) -> None:
        self._config = config
        self._stack = stack
        self._engine: Engine | None = None

    async def __call__(self) -> Engine:
        if self._engine is None:
            from geofix.engine.locate import Locator  # noqa: PLC0415 - most workers hold no model
            from service.internal.inputs import Inputs  # noqa: PLC0415
            from service.locate.local import LocalEngine  # noqa: PLC0415

            try:
                locator = await Locator.open(self._config, role="worker")
            except DataDirectoryBusy as error:
                raise Unavailable(
                    f"{error} A worker with an engine of its own needs a GEOFIX_DATA_DIR that no "
                    "other process owns."
                ) from error
            self._stack.push_async_callback(locator.close)
            read = Inputs(self._config).read
            self._engine = LocalEngine(locator, self._config.neighbours, read)
        return self._engine
