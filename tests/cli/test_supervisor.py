"""The supervisor, with small programs in place of the service's parts."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from geofix.cli.supervisor import Child, Supervisor
from geofix.errors import ChildFailed

STAYS = "import time; print('up', flush=True); time.sleep(60)"


def _child(name: str, code: str, *, healthy: Callable[[], bool] = lambda: True) -> Child:
    return Child(name, (sys.executable, "-c", code), os.environ, healthy=healthy, grace_s=2.0)


def _run(supervisor: Supervisor, ready: Callable[[], None]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(30.0):
            await supervisor.run(ready)

    asyncio.run(bounded())


def _until(condition: Callable[[], bool], seconds: float = 15.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_children_start_in_order_and_stop_in_reverse(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    journal = tmp_path / "journal"
    code = (
        "import signal, sys, time\n"
        "name, file = sys.argv[1:]\n"
        "def note(word): open(file, 'a').write(f'{word} {name}\\n')\n"
        "def stop(*_): note('stop'); sys.exit()\n"
        "signal.signal(signal.SIGTERM, stop); note('start'); time.sleep(60)\n"
    )
    children = []
    for name in ("first", "second", "third"):

        async def ready(name: str = name) -> bool:
            return journal.exists() and f"start {name}\n" in journal.read_text()

        command = (sys.executable, "-c", code, name, str(journal))
        children.append(Child(name, command, os.environ, ready=ready))
    supervisor = Supervisor(children)
    _run(supervisor, supervisor.stop)
    order = ["first", "second", "third"]
    assert journal.read_text().splitlines() == [
        *(f"start {name}" for name in order),
        *(f"stop {name}" for name in reversed(order)),
    ]
    assert "second | runs as process" in capfd.readouterr().err


def test_a_child_that_ends_is_started_again(capfd: pytest.CaptureFixture[str]) -> None:
    starts: list[float] = []

    def count() -> None:
        starts.append(time.monotonic())
        if len(starts) == 3:
            supervisor.stop()

    command = (sys.executable, "-c", "import time; time.sleep(0.3)")
    supervisor = Supervisor([Child("brief", command, os.environ, prepare=count)])
    _run(supervisor, lambda: None)
    assert len(starts) == 3
    assert starts[2] - starts[1] > starts[1] - starts[0]
    assert "brief | ended with status 0; it is started again in 0.5 s" in capfd.readouterr().err


def test_a_child_that_does_its_work_no_more_is_killed(capfd: pytest.CaptureFixture[str]) -> None:
    asked = 0

    def healthy() -> bool:
        nonlocal asked
        asked += 1
        if asked == 2:
            supervisor.stop()
        return asked > 1

    supervisor = Supervisor([_child("idle", STAYS, healthy=healthy)])
    _run(supervisor, lambda: None)
    assert "idle | does its work no more and is killed" in capfd.readouterr().err


def test_a_child_that_cannot_start_ends_everything(capfd: pytest.CaptureFixture[str]) -> None:
    async def never() -> bool:
        return False

    failing = Child(
        "failing", (sys.executable, "-c", "raise SystemExit(3)"), os.environ, ready=never
    )
    with pytest.raises(ChildFailed, match="failing ended with status 3"):
        _run(Supervisor([_child("fine", STAYS), failing]), pytest.fail)
    assert "fine    | was ended" not in capfd.readouterr().err


def test_a_child_that_ignores_sigterm_is_killed(capfd: pytest.CaptureFixture[str]) -> None:
    code = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {STAYS}"
    supervisor = Supervisor([_child("deaf", code)])

    def stop_soon() -> None:
        asyncio.get_running_loop().call_later(1.0, supervisor.stop)

    _run(supervisor, stop_soon)
    assert "deaf | did not stop in time and is killed" in capfd.readouterr().err


@pytest.mark.skipif(sys.platform != "linux", reason="asks Linux's kernel for the signal")
def test_a_killed_supervisor_leaves_no_orphans(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    code = f"import os, time; open({str(pids)!r}, 'a').write(f'{{os.getpid()}} '); time.sleep(60)"
    script = (
        "import asyncio, os, sys\n"
        "from geofix.cli.supervisor import Child, Supervisor\n"
        f"child = lambda name: Child(name, (sys.executable, '-c', {code!r}), os.environ)\n"
        "asyncio.run(Supervisor([child('a'), child('b')]).run(lambda: None))\n"
    )
    process = subprocess.Popen([sys.executable, "-c", script], stderr=subprocess.DEVNULL)  # noqa: S603
    try:
        _until(lambda: pids.exists() and len(pids.read_text().split()) == 2)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    _until(lambda: not any(_runs(int(pid)) for pid in pids.read_text().split()))
