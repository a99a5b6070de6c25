"""``python -m monitoring.live``: load a site, look at every panel, break every dependency."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

from monitoring.live import outages, panels, pictures, site
from monitoring.live.load import Load
from monitoring.live.site import Site


def main() -> int:
    """Exit status: 0 when all targets were up, all panels full and every alert the right one."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=120.0, help="of load")
    parser.add_argument("--pdf", type=Path, help="draw all panels into this file")
    parser.add_argument("--outages", action="store_true", help="then break every dependency")
    given = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as folder,
        site.running(Path(folder)) as running,
        Load(running.address).running() as load,
    ):
        good = _look(running, given.seconds, given.pdf)
        print(f"{load.steps} steps of load, {load.troubles} of them in vain")
        if given.outages:
            good &= _break(running)
    return 0 if good else 1


def _look(running: Site, seconds: float, pdf: Path | None) -> bool:
    time.sleep(seconds)
    health = panels.targets(running.prometheus)
    shown = panels.look(running.prometheus, seconds)
    unexplained = [name for one in shown for name in one.unexplained]
    fired = panels.firing(running.prometheus)
    queries = sum(len(one.found) for one in shown)
    print(f"targets: {health}")
    print(f"{queries} queries of {len(shown)} panels, {len(unexplained)} empty without a reason")
    for name in unexplained:
        print(f"  empty: {name}")
    for legend, reason in panels.EMPTY.items():
        print(f"  may be empty: {legend}: {reason}")
    print(f"alerts: {sorted(fired) or 'none'}")
    if pdf is not None:
        pictures.draw(shown, pdf)
    return set(health.values()) == {"up"} and not unexplained and not fired


def _break(running: Site) -> bool:
    good = True
    print("| fails | alert | fires after | others | quiet after the repair |")
    print("|---|---|---|---|---|")
    for name, outage in outages.OUTAGES.items():
        told = outages.inject(running, outage)
        others = sorted(told.fired - {outage.alert})
        good &= not others
        times = f"{told.after_s:.0f} s | {', '.join(others) or 'none'} | {told.quiet_after_s:.0f} s"
        print(f"| {name} | {outage.alert} | {times} |", flush=True)
    return good


if __name__ == "__main__":
    sys.exit(main())
