"""Starting what is measured, each in a process of its own, and asking what memory it takes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil

from benchmarks.load.vit import NAME
from geofix.engine.gallery.directory import DataDirectory

START_S = 180.0


@dataclass(frozen=True, slots=True)
class Server:
    """A running one."""

    name: str
    address: str
    path: str
    """Where photos are posted to be embedded."""
    pid: int
    takes_json: bool = False
    """No raw body, but JSON with the photo in base64."""

    @property
    def url(self) -> str:
        """As the load client takes it."""
        return self.address + self.path

    def processor_s(self) -> float:
        """Processor time used so far, its own and that of the processes it started."""
        return sum(sum(process.cpu_times()[:2]) for process in self._processes())

    def memory_mb(self) -> float:
        """Resident now, of all of them."""
        return float(sum(process.memory_info().rss for process in self._processes())) / 2**20

    def pause(self) -> None:
        """Stop all of them where they are: some keep a core busy while nobody asks."""
        for process in self._processes():
            process.suspend()

    @contextmanager
    def awake(self) -> Iterator[None]:
        """Not paused meanwhile."""
        for process in self._processes():
            process.resume()
        try:
            yield
        finally:
            self.pause()

    def _processes(self) -> list[psutil.Process]:
        first = psutil.Process(self.pid)
        return [first, *first.children(recursive=True)]


@contextmanager
def bare(model: Path, photo: Path) -> Iterator[Server]:
    """The limit for one photo."""
    command = [sys.executable, "-m", "benchmarks.load.bare", str(model), str(photo)]
    with process(command, {}, subprocess.PIPE) as started:
        out = started.stdout
        address = out.readline().decode().strip() if out else ""
        yield Server("bare", address, "/1", started.pid)


@contextmanager
def geofix(data_dir: Path, model: str = NAME) -> Iterator[Server]:
    """``geofix serve``, by default with the model of the comparison."""
    environment = {
        "GEOFIX_DATA_DIR": str(data_dir),
        "GEOFIX_MODEL": model,
        "GEOFIX_CACHE_S": "0",  # or a repeated photo would be answered without any work
    }
    command = [sys.executable, "-m", "geofix.cli.main", "serve", "--port", "0"]
    directory = DataDirectory(data_dir)
    with process(command, environment) as started:
        owner = None
        deadline = time.monotonic() + START_S
        while owner is None or owner.pid != started.pid or not _answers(owner.address + "/readyz"):
            wait(started, deadline)
            owner = directory.owner()
        yield Server("Geofix", owner.address, "/v1/embed/image", started.pid)


@contextmanager
def process(
    command: Sequence[str],
    environment: dict[str, str],
    out: int = subprocess.DEVNULL,
    cwd: Path | None = None,
) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(  # noqa: S603
        command,
        env={**os.environ, **environment},
        stdout=out,
        stderr=subprocess.DEVNULL,
        cwd=cwd,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    """End it with all that it started: some leave processes behind, at work on nothing."""
    started = []
    with suppress(psutil.NoSuchProcess):
        started = psutil.Process(process.pid).children(recursive=True)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGCONT)  # what is paused does not hear that it is to end
    process.terminate()
    try:
        process.wait(30)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    for child in started:
        with suppress(psutil.NoSuchProcess):
            child.kill()


def wait(process: subprocess.Popen[bytes], deadline: float) -> None:
    if process.poll() is not None or time.monotonic() > deadline:
        raise RuntimeError(f"{process.args!r} did not start")
    time.sleep(0.1)


def _answers(url: str) -> bool:
    try:
        return httpx.get(url).status_code == 200
    except httpx.TransportError:
        return False
