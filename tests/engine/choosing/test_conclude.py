"""From candidates and clues to the answer a person gets, on the real map."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import numpy as np
import pytest

from geofix.engine.choosing.conclude import Findings, conclude
from geofix.engine.stages import Stopwatch, propose_all
from geofix.engine.types import (
    Candidate,
    Channel,
    Degradation,
    Embedding,
    Filter,
    GalleryInfo,
    LocateOptions,
    Neighbour,
    Photo,
    Prediction,
    Proposal,
    Query,
    StageEvent,
)
from geofix.geo.coordinates import haversine_km
from geofix.geo.priors import earth

PORTO = (41.1496, -8.6110)
SUVA = (-18.1416, 178.4419)
GALLERY = GalleryInfo("default", 1, "lite", 4, 50)


def neighbours(best: float, rest: float, place: tuple[float, float]) -> tuple[Neighbour, ...]:
    rng = np.random.default_rng(4)
    far = [(float(a), float(b)) for a, b in rng.uniform(-50, 60, (20, 2))]
    return (
        Neighbour("best", "default", *place, best, country="PT"),
        *(Neighbour(str(i), "default", *at, rest - i * 1e-3) for i, at in enumerate(far)),
    )


def found(*proposals: Proposal, where: Filter | None = None, **changes: object) -> Findings:
    photo = Photo(np.zeros((8, 8, 3), dtype=np.uint8), "ab", 8, 8, "JPEG")
    seen = changes.pop("neighbours", ())
    assert isinstance(seen, tuple)
    query = Query(photo, Embedding(np.full(4, 0.5, dtype=np.float32)), seen, where or Filter())
    return replace(Findings(query, "lite", (GALLERY,), proposals), **changes)  # type: ignore[arg-type]


def near(prediction: Prediction, place: tuple[float, float], km: float) -> bool:
    return float(haversine_km((prediction.lat, prediction.lon), place)) <= km


def test_a_neighbour_that_stands_out_is_the_answer() -> None:
    answer = conclude(found(neighbours=neighbours(0.93, 0.6, PORTO)), LocateOptions())
    assert near(answer, PORTO, 0.1)
    assert answer.abstention is None
    assert answer.countries[0].code == "PT"
    assert answer.cities[0].name == "Porto"
    assert answer.continents[0].name == "Europe"
    assert answer.radius_50_km < answer.radius_90_km
    assert answer.locality.country == "PT"


def test_neighbours_that_are_all_alike_tell_nothing() -> None:
    answer = conclude(found(neighbours=neighbours(0.62, 0.6, PORTO)), LocateOptions())
    assert answer.abstention is not None
    assert answer.radius_90_km > 2000.0


def test_without_evidence_the_shares_still_sum_to_one() -> None:
    answer = conclude(found(), LocateOptions())
    assert answer.abstention is not None
    assert sum(share.probability for share in answer.continents) == pytest.approx(1.0, abs=0.01)
    assert sum(cell.probability for cell in answer.heatmap) > 0.9
    assert list(answer.within.values()) == sorted(answer.within.values())


def test_a_name_on_a_sign_is_the_answer() -> None:
    sign = Candidate(*SUVA, Channel.TEXT, 0.95, 5.0, "reading 0", "Suva")
    answer = conclude(found(Proposal(Channel.TEXT, (sign,))), LocateOptions())
    assert near(answer, SUVA, 1.0)
    assert answer.clusters[0].channels == (Channel.TEXT,)
    assert answer.countries[0].code == "FJ"


def test_a_city_is_no_likelier_than_lying_near_it() -> None:
    both = [
        Candidate(*SUVA, Channel.TEXT, score, width_km, f"reading {width_km}")
        for score, width_km in ((0.3, 1.0), (0.9, 900.0))
    ]
    answer = conclude(found(Proposal(Channel.TEXT, tuple(both))), LocateOptions())
    (cluster,) = answer.clusters
    shares = (answer.cities[0], answer.regions[0])
    assert [share.code for share in shares] == ["FJ", "FJ"]
    assert shares[0].probability <= answer.within[25.0] + 0.01
    assert shares[1].probability <= answer.within[200.0] + 0.01
    assert cluster.probability > 0.8
    assert 0.01 < shares[0].probability < 0.2


def test_clues_about_countries_move_the_answer() -> None:
    clue = Proposal(Channel.TEXT, countries={"JP": 6.0})
    answer = conclude(found(clue), LocateOptions())
    assert answer.countries[0].code == "JP"
    assert answer.locality.country == "JP"


def test_clues_about_cells_move_the_answer() -> None:
    land = earth()
    cells = np.where(land.cells.latlon[:, 0] < -60.0, 12.0, 0.0).astype(np.float32)
    answer = conclude(found(Proposal(Channel.ATTRIBUTES, cells=cells)), LocateOptions())
    assert answer.lat < -60.0


def test_a_filter_holds_for_answer_and_candidates() -> None:
    where = Filter(bbox=(170.0, -25.0, -170.0, -10.0))
    answer = conclude(found(neighbours=neighbours(0.95, 0.5, PORTO), where=where), LocateOptions())
    assert -25.0 <= answer.lat <= -10.0
    assert answer.lon >= 170.0 or answer.lon <= -170.0
    assert all(cluster.country != "PT" for cluster in answer.clusters)


@pytest.mark.parametrize("code", ["MC", "VA", "AX", "TV", "FR"])
def test_a_country_filter_holds_for_the_shares(code: str) -> None:
    answer = conclude(found(where=Filter(countries=(code,))), LocateOptions())
    assert [share.code for share in answer.countries] == [code]
    assert answer.locality.country == code
    assert answer.abstention is not None
    assert "filter" in answer.abstention.detail


def test_the_sea_belongs_to_no_country() -> None:
    answer = conclude(found(where=Filter(circle=(90.0, 0.0, 50.0))), LocateOptions())
    assert answer.countries == ()
    assert answer.locality.country == ""


class Broken:
    """A generator that raises, or never ends."""

    channel = Channel.TEXT
    budget_s = 0.05

    def __init__(self, late: bool) -> None:
        self._late = late

    async def propose(self, query: Query) -> Proposal:
        if self._late:
            await asyncio.sleep(30.0)
        raise ValueError("no")


@pytest.mark.parametrize(("late", "cause"), [(True, "timeout"), (False, "failed")])
def test_a_broken_generator_is_named_and_costs_nothing_else(late: bool, cause: str) -> None:
    events: list[StageEvent] = []
    findings = found(neighbours=neighbours(0.93, 0.6, PORTO))
    outcome = asyncio.run(propose_all([Broken(late)], findings.query, Stopwatch(events.append)))
    answer = conclude(findings.joined(*outcome), LocateOptions())
    assert answer.degraded == (Degradation("text", cause),)
    assert near(answer, PORTO, 0.1)
    assert events[0].stage == "text"
    assert events[0].ms < 5000.0
