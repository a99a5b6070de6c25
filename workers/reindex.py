"""Re-indexing as a task: a process of its own, which leaves the machine to others.

It may take hours. A message that Redis delivers again meanwhile finds the lock held, and one that
comes after the end finds that the version it speaks of is no longer in use.
"""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import time
from collections.abc import Callable

from filelock import FileLock, Timeout

from geofix.settings import Settings
from indexer.galleries.plan import Plan
from workers.reindexing import LATER

log = logging.getLogger("geofix.worker")

AGAIN_S = 30.0
"""When to try again what could not be done now."""
_POLL_S = 0.5
_TERMINATED_S = 10.0


def work_reindex(
    config: Settings, gallery: str, base: int, plan: Plan, *, stopping: Callable[[], bool]
) -> bool:
    """Re-index a gallery whose version ``base`` is in use; whether there is nothing left to do.

    What was done is on the disk: the next attempt goes on from there.
    """
    try:
        with FileLock(config.data_dir / "reindex.lock", timeout=0):
            status = _run(config, gallery, base, plan, stopping)
    except Timeout:
        return False  # one gallery at a time
    if status not in (0, LATER) and status > 0:
        log.warning("gallery %s was not re-indexed; its versions say why", gallery)
    return status >= 0 and status != LATER


def _run(
    config: Settings, gallery: str, base: int, plan: Plan, stopping: Callable[[], bool]
) -> int:
    environment = {**os.environ, "GEOFIX_DATA_DIR": str(config.data_dir.absolute())}
    command = [sys.executable, "-m", "workers.reindexing", gallery, f"--base={base}"]
    child = subprocess.Popen(  # noqa: S603
        [*command, *plan.arguments()], env=environment, stdin=subprocess.DEVNULL
    )
    try:
        while child.poll() is None and not stopping():
            time.sleep(_POLL_S)
    finally:
        if child.poll() is None:
            child.terminate()
            try:
                child.wait(_TERMINATED_S)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
    return child.returncode
