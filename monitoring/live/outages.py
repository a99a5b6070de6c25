"""Every dependency of a site fails once, and the alerts that fire meanwhile."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial

from monitoring.live.panels import firing
from monitoring.live.site import Site

FIRES_S = 90.0
"""An alert that has not fired by then never will."""
LINGERS_S = 4.0
"""How long the fault goes on after its alert fires: others could follow."""
QUIET_S = 120.0
_POLL_S = 0.5


@dataclass(frozen=True, slots=True)
class Outage:
    """What fails, and the one alert that is to tell."""

    alert: str
    fault: Callable[[Site], AbstractContextManager[None]]


@dataclass(frozen=True, slots=True)
class Told:
    """What happened."""

    fired: set[str]
    after_s: float
    """Until the right alert fired."""
    quiet_after_s: float
    """From the repair until nothing fired any more."""


@contextmanager
def _dead(part: str, site: Site) -> Iterator[None]:
    site.parts[part].kill()
    try:
        yield
    finally:
        site.parts[part].start()


@contextmanager
def _failing_store(site: Site) -> Iterator[None]:
    site.store.fails = True
    try:
        yield
    finally:
        site.store.fails = False


@contextmanager
def _failing_model(site: Site) -> Iterator[None]:
    site.model.fails = True
    try:
        yield
    finally:
        site.model.fails = False


@contextmanager
def _stalled_gallery(site: Site) -> Iterator[None]:
    site.gallery.stalled.set()
    try:
        yield
    finally:
        site.gallery.stalled.clear()


OUTAGES = {
    "redis": Outage("GeofixRedisDown", partial(_dead, "valkey")),
    "gallery": Outage("GeofixGalleryDown", _stalled_gallery),
    "language model": Outage("GeofixLmmBreakerOpen", _failing_model),
    "object store": Outage("GeofixObjectStoreDown", _failing_store),
    "worker": Outage("GeofixWorkerDown", partial(_dead, "worker")),
    "clock": Outage("GeofixSweepsMissing", partial(_dead, "clock")),
    "service": Outage("GeofixDown", partial(_dead, "service")),
}


def inject(site: Site, outage: Outage) -> Told:
    """Let it fail until the alert fires, and repair it. Raises TimeoutError."""
    fired: set[str] = set()
    started = time.monotonic()
    with outage.fault(site):
        after_s = _watch(site, fired, lambda now: outage.alert in now, FIRES_S)
        _watch(site, fired, lambda _: time.monotonic() - started > after_s + LINGERS_S, FIRES_S)
    quiet_after_s = _watch(site, fired, lambda now: not now, QUIET_S)
    return Told(fired, after_s, quiet_after_s)


def _watch(
    site: Site, fired: set[str], enough: Callable[[set[str]], bool], limit_s: float
) -> float:
    """Note what fires until it is enough, and start again what has ended; the seconds that took."""
    started = time.monotonic()
    while True:
        for part in site.parts.values():
            part.revive()  # a worker may not outlive its broker
        now = firing(site.prometheus)
        fired |= now
        if enough(now):
            return time.monotonic() - started
        if time.monotonic() - started > limit_s:
            raise TimeoutError(f"after {limit_s:.0f} s these fire: {sorted(now)}")
        time.sleep(_POLL_S)
