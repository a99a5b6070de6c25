"""A running ``geofix serve --all``, whose parts can be killed one by one."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import IO

_STARTED = re.compile(r"^(\w+) +\| runs as process (\d+)$")
_READY = re.compile(r"^Geofix takes photos and jobs on (\S+)$")
_START_S = 240.0
_STOP_S = 90.0


class Site:
    """Everything on one machine, in a data directory of its own. Use it as a context manager."""

    def __init__(self, data_dir: Path, environment: Mapping[str, str] | None = None) -> None:
        self.data_dir = data_dir
        self.log: list[str] = []
        self.address = ""
        self._pids: dict[str, int] = {}
        self._environment = {
            **os.environ,
            "GEOFIX_DATA_DIR": str(data_dir),
            "GEOFIX_AUTH": "auto",
            **(environment or {}),
        }
        self._up = threading.Event()
        self._process: subprocess.Popen[str] | None = None
        self._reader = threading.Thread(target=self._read, daemon=True)

    def __enter__(self) -> Site:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "geofix.cli.main", "serve", "--all", "--port", "0"],
            env=self._environment,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._reader.start()
        deadline = time.monotonic() + _START_S
        while not self._up.wait(0.1):
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise RuntimeError("the site did not start:\n" + "\n".join(self.log))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def pid(self, name: str) -> int:
        """The process of a part: valkey, service, worker, control, clock or supervisor."""
        if name == "supervisor":
            assert self._process is not None  # noqa: S101 - the site is running
            return self._process.pid
        return self._pids[name]

    def starts(self, name: str) -> int:
        """How often a part was started."""
        return sum(1 for line in self.log if (m := _STARTED.match(line)) and m[1] == name)

    def kill(self, name: str) -> None:
        """kill -9 a part and what it has started; one that is down when it is up again."""
        deadline = time.monotonic() + _START_S
        while True:
            try:
                return os.killpg(self.pid(name), signal.SIGKILL)
            except ProcessLookupError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)

    def lose_redis(self) -> None:
        """kill -9 Valkey, and delete its data."""
        shutil.rmtree(self.data_dir / "valkey" / "appendonlydir", ignore_errors=True)
        self.kill("valkey")

    def stop(self) -> int:
        """Stop everything as an operator would; returns the exit status."""
        if self._process is None:
            return 0
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
        try:
            return self._process.wait(_STOP_S)
        finally:
            self._process.kill()
            self._reader.join(_STOP_S)

    def _read(self) -> None:
        assert self._process is not None and self._process.stderr is not None  # noqa: S101, PT018
        with self._process.stderr as lines:
            self._follow(lines)

    def _follow(self, lines: IO[str]) -> None:
        for line in lines:
            self.log.append(line.rstrip())
            if started := _STARTED.match(self.log[-1]):
                self._pids[started[1]] = int(started[2])
            elif ready := _READY.match(self.log[-1]):
                self.address = ready[1]
                self._up.set()
