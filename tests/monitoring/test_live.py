"""A live site under load, scraped by Prometheus: its panels, and what outages are told of."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from monitoring.live import outages, panels, pictures, site
from monitoring.live.load import Load
from monitoring.live.site import Site

pytestmark = pytest.mark.tools
SECONDS = 25.0


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with (
        site.running(tmp_path_factory.mktemp("live")) as running,
        Load(running.address).running(),
    ):
        yield running


def test_all_targets_are_up_and_every_panel_shows_something(live: Site, tmp_path: Path) -> None:
    deadline = time.monotonic() + 120
    while True:  # a busy machine takes longer to do everything once
        time.sleep(SECONDS)
        shown = panels.look(live.prometheus, SECONDS)
        unexplained = [name for one in shown for name in one.unexplained]
        if not unexplained or time.monotonic() > deadline:
            break
    assert unexplained == []
    assert sum(len(one.found) for one in shown) > 60
    assert set(panels.targets(live.prometheus).values()) == {"up"}
    assert panels.firing(live.prometheus) == set()
    pictures.draw(shown, tmp_path / "panels.pdf")
    assert (tmp_path / "panels.pdf").stat().st_size > 20_000


@pytest.mark.parametrize("name", ["redis", "gallery", "language model", "object store", "worker"])
def test_an_outage_is_told_by_its_alert_and_by_no_other(live: Site, name: str) -> None:
    outage = outages.OUTAGES[name]
    assert outages.inject(live, outage).fired == {outage.alert}
