"""Whether the machine had nothing else to do while something was measured."""

from __future__ import annotations

import os
import resource
import time

import psutil

OTHERS = 0.04
"""Share of the machine's processors that others may take of a slice before it is made again."""
TRIES = 4


class Watch:
    """Processor time of the machine from its making on."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._busy_s = _busy_s()
        self._own_s = _own_s()

    def others(self, measured_s: float) -> float:
        """Share of all processors that was taken by whatever is neither measured nor this process.

        ``measured_s`` is the processor time of the server that was measured.
        """
        spent_s = _busy_s() - self._busy_s - (_own_s() - self._own_s) - measured_s
        return spent_s / (time.monotonic() - self._began) / (os.cpu_count() or 1)


def _busy_s() -> float:
    """Of all processors since the start; what a hypervisor took away counts, too."""
    times = psutil.cpu_times()
    return float(times.user + times.system + times.nice + times.irq + times.softirq + times.steal)


def _own_s() -> float:
    """Of this process and of the load clients that have ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)
