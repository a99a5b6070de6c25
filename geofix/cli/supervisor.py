"""Keeps several programs running: starts them in order, again when they end, stops them in turn."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from geofix.errors import ChildFailed

_TETHERED = Path(__file__).with_name("tethered.py")
_READY_S = 120.0
_POLL_S = 0.1
_CHECK_S = 5.0
_SHORTEST_PAUSE_S = 0.5
_LONGEST_PAUSE_S = 30.0
_STEADY_S = 30.0
"""A child that has run for so long is started again without delay."""


async def _at_once() -> bool:
    return True


def _always() -> bool:
    return True


def _nothing() -> None:
    return None


@dataclass(frozen=True, slots=True)
class Child:
    """A program to keep running."""

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    prepare: Callable[[], None] = _nothing
    """Called before every start."""
    ready: Callable[[], Awaitable[bool]] = _at_once
    """Whether it can be used; the next child is started only then."""
    healthy: Callable[[], bool] = _always
    """Whether it still does its work; one that does not is killed and started again."""
    stdin: bytes = b""
    grace_s: float = 20.0
    """How long it may take to stop before it is killed."""


@dataclass(slots=True)
class _Running:
    child: Child
    process: asyncio.subprocess.Process | None = None
    keeper: asyncio.Task[None] | None = None
    first: asyncio.Future[None] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )
    """Done when the child was ready for the first time, or ended before."""


class Supervisor:
    """Runs children until it is told to stop, or one of them cannot be started."""

    def __init__(self, children: Sequence[Child]) -> None:
        self._children = children
        self._width = max(len(child.name) for child in children)
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """Ask ``run`` to stop the children and return."""
        self._stopping.set()

    async def run(self, when_ready: Callable[[], None]) -> None:
        """Start the children in order, keep them running, and stop them in reverse.

        Raises ChildFailed when one ends before it was ever ready.
        """
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, self.stop)
        started: list[_Running] = []
        try:
            for child in self._children:
                running = _Running(child)
                started.append(running)
                running.keeper = asyncio.create_task(self._keep(running))
                if not await self._unless_stopping(running.first):
                    return
            when_ready()
            await self._stopping.wait()
        finally:
            self._stopping.set()
            for running in reversed(started):
                await self._end(running)

    async def _unless_stopping(self, first: asyncio.Future[None]) -> bool:
        stopping = asyncio.create_task(self._stopped())
        waited: set[asyncio.Future[None]] = {first, stopping}
        await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if first.done():
            first.result()
        return first.done()

    async def _stopped(self) -> None:
        await self._stopping.wait()

    async def _keep(self, running: _Running) -> None:
        """Start the child, and again whenever it ends, with growing pauses."""
        name, pause_s = running.child.name, _SHORTEST_PAUSE_S
        while True:
            started = time.monotonic()
            status = await self._once(running)
            if self._stopping.is_set():
                return
            if not running.first.done():
                running.first.set_exception(ChildFailed(f"{name} {_ended(status)} at its start."))
                return
            if time.monotonic() - started > _STEADY_S:
                pause_s = _SHORTEST_PAUSE_S
            self._say(name, f"{_ended(status)}; it is started again in {pause_s:g} s")
            await asyncio.sleep(pause_s)
            pause_s = min(2.0 * pause_s, _LONGEST_PAUSE_S)

    async def _once(self, running: _Running) -> int:
        """Run the child until it ends; returns its exit status."""
        child = running.child
        child.prepare()
        process = running.process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-I", "-S", str(_TETHERED), str(os.getpid())),
            *child.command,
            env=dict(child.environment),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C reaches the supervisor alone, which stops in order
        )
        self._say(child.name, f"runs as process {process.pid}")
        watching = asyncio.create_task(self._watch(running, process))
        try:
            assert process.stdin is not None  # noqa: S101 - it is a pipe
            with suppress(ConnectionError):
                process.stdin.write(child.stdin)
                await process.stdin.drain()
            process.stdin.close()
            await self._relay(child.name, process)
            return await process.wait()
        finally:
            watching.cancel()

    async def _watch(self, running: _Running, process: asyncio.subprocess.Process) -> None:
        """Say when the child is ready; kill it when it never is, or does its work no more."""
        child, started = running.child, time.monotonic()
        while not await child.ready():
            if time.monotonic() - started > _READY_S:
                self._say(child.name, f"is not ready after {_READY_S:g} s and is killed")
                _signal(process, signal.SIGKILL)
                return
            await asyncio.sleep(_POLL_S)
        if not running.first.done():
            running.first.set_result(None)
        while True:
            await asyncio.sleep(_CHECK_S)
            if not child.healthy():
                break
        self._say(child.name, "does its work no more and is killed")
        _signal(process, signal.SIGKILL)

    async def _relay(self, name: str, process: asyncio.subprocess.Process) -> None:
        """Pass the child's output on, line by line."""
        assert process.stdout is not None  # noqa: S101 - it is a pipe
        while True:
            try:
                line = await process.stdout.readline()
            except ValueError:  # a line beyond the reader's limit; the next one is read again
                continue
            if not line:
                return
            self._say(name, line.decode(errors="replace").rstrip())

    async def _end(self, running: _Running) -> None:
        process = running.process
        if process is not None and process.returncode is None:
            _signal(process, signal.SIGTERM)
            try:
                await asyncio.wait_for(process.wait(), running.child.grace_s)
            except TimeoutError:
                self._say(running.child.name, "did not stop in time and is killed")
                _signal(process, signal.SIGKILL)
                await process.wait()
        if running.keeper is not None:
            running.keeper.cancel()
            with suppress(asyncio.CancelledError):
                await running.keeper

    def _say(self, name: str, line: str) -> None:
        print(f"{name:{self._width}} | {line}", file=sys.stderr, flush=True)


def _signal(process: asyncio.subprocess.Process, number: signal.Signals) -> None:
    """To kill a child is to kill what it has started, too."""
    with suppress(ProcessLookupError):
        if number is signal.SIGKILL:
            os.killpg(process.pid, number)
        else:
            process.send_signal(number)


def _ended(status: int) -> str:
    if status < 0:
        return f"was ended by {signal.Signals(-status).name}"
    return f"ended with status {status}"
