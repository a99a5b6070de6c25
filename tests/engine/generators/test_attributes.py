import asyncio
import csv
import os
from importlib import resources
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geofix.engine import image
from geofix.engine.encoder import Encoder
from geofix.engine.generators.attributes.generator import (
    CLASSES,
    RELIABILITY,
    AttributesGenerator,
    attribute_table,
    weigh,
)
from geofix.engine.generators.attributes.maps import FACETS, attribute_maps
from geofix.engine.models import built_in
from geofix.engine.types import (
    Channel,
    Embedding,
    Filter,
    Float32Array,
    Float64Array,
    Photo,
    Query,
)
from geofix.geo.boundaries import countries
from geofix.geo.priors import earth, photo_prior
from indexer.evaluation.datasets import read_truth
from indexer.evaluation.metrics import bootstrap, cell_gain_bits

PHOTOS = Path(os.environ.get("GEOFIX_TEST_PHOTOS", Path(__file__).parents[4] / "shared" / "data"))
DATA = resources.files("geofix.engine.generators.attributes").joinpath("data")

PARIS, TOKYO = (48.85, 2.35), (35.68, 139.7)
SAHARA, GOBI = (23.0, 10.0), (43.0, 104.0)
ALPS, PLAINS, STEPPE = (46.5, 9.5), (41.0, -98.0), (47.0, 105.0)
AMAZON, GREENLAND, NORILSK, SANTORINI = (-4.0, -64.0), (72.0, -40.0), (69.3, 88.2), (36.4, 25.46)


def rows(file: str) -> list[dict[str, str]]:
    with DATA.joinpath(file).open("r", encoding="utf-8") as lines:
        return list(csv.DictReader(lines))


def one_hot(label: str) -> Float32Array:
    names = (built_in()["lite"].directory / "lite.classes.txt").read_text("utf-8").splitlines()
    classes = np.zeros(CLASSES, dtype=np.float32)
    classes[names.index(label)] = 1.0
    return classes


def ratios(label: str, *places: tuple[float, float]) -> list[float]:
    cells = weigh(one_hot(label)).cells
    assert cells is not None
    at = earth().cells.locate(places)
    assert (at >= 0).all()
    return [float(value) for value in cells[at]]


def query(classes: Float32Array | None) -> Query:
    photo = Photo(np.zeros((8, 8, 3), dtype=np.uint8), "", 8, 8, "PNG")
    vector = np.ones(1, dtype=np.float32)
    return Query(photo, Embedding(vector, classes), (), Filter())


class TestTables:
    def test_every_row_names_the_class_the_head_has_there(self) -> None:
        names = (built_in()["lite"].directory / "lite.classes.txt").read_text("utf-8").splitlines()
        assert len(names) == CLASSES
        for row in rows("class_attributes.csv"):
            assert names[int(row["index"])] == row["class"]

    def test_every_row_has_a_grade_a_source_and_a_map(self) -> None:
        maps = {name for members in attribute_maps().values() for name in members}
        for row in rows("class_attributes.csv"):
            assert row["strength"] in {"0.3", "0.6", "0.9"}
            assert row["source"].strip()
            assert row["attribute"] in maps

    def test_no_class_is_sure_of_more_than_one_thing_in_a_facet(self) -> None:
        table = attribute_table()
        for facet in table.facets:
            assert table.strengths[:, facet].sum(axis=1).max() <= 1.0 + 1e-6

    def test_every_country_of_a_region_is_on_the_map(self) -> None:
        known = set(countries().codes)
        for row in rows("attribute_countries.csv"):
            codes = row["countries"].split()
            assert codes == sorted(set(codes))
            assert set(codes) <= known
            assert row["source"].strip()


class TestMaps:
    def test_are_probabilities(self) -> None:
        for members in attribute_maps().values():
            for values in members.values():
                assert values.shape == (len(earth()),)
                assert values.min() >= 0.0
                assert values.max() <= 1.0 + 1e-6
                assert values.max() > values.min()

    def test_what_excludes_each_other_sums_to_at_most_one(self) -> None:
        settlement = attribute_maps()["settlement"]
        assert sum(settlement.values()) == pytest.approx(np.ones(len(earth())))

    @pytest.mark.parametrize(
        ("attribute", "there", "elsewhere"),
        [
            ("city", TOKYO, GOBI),
            ("city", PARIS, PLAINS),
            ("wilderness", GOBI, PARIS),
            ("mountains", ALPS, PLAINS),
            ("farmland", PLAINS, SAHARA),
            ("forest", AMAZON, SAHARA),
            ("grassland", STEPPE, AMAZON),
            ("desert", SAHARA, GREENLAND),
            ("coast", SANTORINI, GOBI),
            ("snow", NORILSK, AMAZON),
            ("snow", GREENLAND, SAHARA),
            ("tropics", AMAZON, PARIS),
            ("tropics", AMAZON, SAHARA),
            ("lake", TOKYO, SAHARA),
            ("countryside", PLAINS, TOKYO),
        ],
    )
    def test_agree_with_the_atlas(
        self, attribute: str, there: tuple[float, float], elsewhere: tuple[float, float]
    ) -> None:
        facet = next(facet for facet, names in FACETS.items() if attribute in names)
        values: Float64Array = attribute_maps()[facet][attribute]
        high, low = values[earth().cells.locate([there, elsewhere])]
        assert high > low + 0.2


class TestWeights:
    def test_what_says_nothing_of_places_changes_nothing(self) -> None:
        proposal = weigh(one_hot("car mirror"))
        assert proposal.cells is not None
        assert not proposal.cells.any()
        assert proposal.attributes == ()

    @given(st.lists(st.integers(0, CLASSES - 1), min_size=1, max_size=6), st.integers(0, 2**32 - 1))
    def test_are_finite_bounded_and_fair(self, seen: list[int], seed: int) -> None:
        classes = np.zeros(CLASSES, dtype=np.float32)
        classes[seen] = np.random.default_rng(seed).random(len(seen))
        classes /= max(float(classes.sum()), 1e-6)
        table = attribute_table()
        probabilities = table.probabilities(classes)
        cells = table.log_ratio(probabilities)
        assert np.isfinite(cells).all()
        assert cells.min() >= len(table.facets) * np.log(1.0 - RELIABILITY) - 1e-5
        for facet in table.facets:
            ratio = 1.0 + probabilities[facet].astype(np.float64) @ table.excess[facet]
            assert ratio @ photo_prior() == pytest.approx(1.0, abs=1e-4)

    @pytest.mark.parametrize(
        ("label", "there", "elsewhere"),
        [
            ("tram", TOKYO, GOBI),
            ("mountain", ALPS, PLAINS),
            ("combine harvester", PLAINS, SAHARA),
            ("snowplow", NORILSK, AMAZON),
            ("beach", TOKYO, GOBI),
            ("banana", AMAZON, PARIS),
            ("arabian camel", SAHARA, PARIS),
            ("yurt", GOBI, TOKYO),
        ],
    )
    def test_favour_where_it_is_seen(
        self, label: str, there: tuple[float, float], elsewhere: tuple[float, float]
    ) -> None:
        high, low = ratios(label, there, elsewhere)
        assert high > 0.0
        assert high > low + 0.1

    @pytest.mark.parametrize("shape", [(999,), (1000, 1), (0,)])
    def test_another_head_is_refused(self, shape: tuple[int, ...]) -> None:
        with pytest.raises(ValueError, match="1000 classes"):
            weigh(np.zeros(shape, dtype=np.float32))


class TestGenerator:
    def test_proposes_cells_and_says_what_it_saw(self) -> None:
        generator = AttributesGenerator(budget_s=2.0)
        proposal = asyncio.run(generator.propose(query(one_hot("tram"))))
        assert (generator.channel, generator.budget_s) == (Channel.ATTRIBUTES, 2.0)
        assert proposal.channel is Channel.ATTRIBUTES
        assert proposal.cells is not None
        assert proposal.cells.shape == (len(earth()),)
        assert proposal.cells.dtype == np.float32
        assert [clue.name for clue in proposal.attributes] == ["city"]
        assert proposal.attributes[0].probability == pytest.approx(0.9 * RELIABILITY)
        assert proposal.candidates == ()

    def test_has_nothing_to_say_without_a_class_head(self) -> None:
        proposal = asyncio.run(AttributesGenerator(budget_s=2.0).propose(query(None)))
        assert proposal.cells is None
        assert proposal.attributes == ()


@pytest.mark.skipif(not (PHOTOS / "osv5m-mini").is_dir(), reason=f"no photos in {PHOTOS}")
@pytest.mark.parametrize("dataset", ["osv5m-mini", "streetscapes-mini"])
def test_real_photos_gain_information(dataset: str) -> None:
    truth = read_truth(PHOTOS / dataset, PHOTOS / dataset / "index.csv")
    encoder = Encoder.load(built_in()["lite"])
    ratio, positions = [], []
    for labelled in truth.photos:
        photo = image.decode(labelled.read(), target=encoder.decode_target)
        classes = encoder.encode([photo])[0].classes
        assert classes is not None
        cells = weigh(classes).cells
        assert cells is not None
        ratio.append(cells)
        positions.append((labelled.at.lat, labelled.at.lon))
    gains = cell_gain_bits(photo_prior(), np.stack(ratio), earth().cells.locate(positions))
    assert bootstrap(gains).low > 0.0
