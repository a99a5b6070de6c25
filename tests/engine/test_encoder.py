"""The encoders on their real weights."""

from __future__ import annotations

import shutil
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper
from PIL import Image

from geofix.engine.encoder import (
    REFERENCE_TOLERANCE,
    Encoder,
    LocationEncoder,
    preprocess,
    reference_picture,
)
from geofix.engine.models import (
    BUILT_IN,
    LOCATION_MODEL,
    Kind,
    ModelCard,
    Preprocessing,
    Resampling,
    built_in,
    coordinates,
    find,
    manifest,
    pulled,
    write_card,
)
from geofix.engine.types import Photo
from geofix.errors import InvalidCoordinate, ModelUnavailable

CLIP = Preprocessing(
    resize=224,
    crop=(224, 224),
    resampling=Resampling.BICUBIC,
    mean=(0.5, 0.4, 0.3),
    std=(0.25, 0.2, 0.5),
)


@pytest.fixture(scope="module")
def lite() -> Encoder:
    return Encoder.load(built_in()["lite"], threads=2)


@pytest.fixture(scope="module")
def location() -> LocationEncoder:
    return LocationEncoder.load(threads=2)


def photo(pixels: np.ndarray) -> Photo:
    return Photo(pixels, "", pixels.shape[1], pixels.shape[0], "PNG")


def noise(seed: int, height: int = 300, width: int = 400) -> Photo:
    values = np.random.default_rng(seed).integers(0, 256, (height, width, 3))
    return photo(values.astype(np.uint8))


def china() -> Photo:
    """A photo of the Summer Palace in Beijing."""
    datasets = pytest.importorskip("sklearn.datasets", reason="the train extra is absent")
    return photo(np.asarray(datasets.load_sample_image("china.jpg"), dtype=np.uint8))


def test_embeddings_are_unit_vectors_with_class_probabilities(lite: Encoder) -> None:
    embeddings = lite.encode([noise(1), reference_picture()])
    assert lite.name == "lite"
    assert lite.dimension == 1280
    for embedding in embeddings:
        assert embedding.vector.shape == (1280,)
        assert embedding.vector.dtype == np.float32
        assert np.linalg.norm(embedding.vector) == pytest.approx(1, abs=1e-5)
        assert embedding.classes is not None
        assert embedding.classes.dtype == np.float32
        assert embedding.classes.sum() == pytest.approx(1, abs=1e-5)
        assert embedding.location is None


def test_no_photos_no_embeddings(lite: Encoder) -> None:
    assert lite.encode([]) == []


def test_a_palace_is_seen_as_one(lite: Encoder) -> None:
    classes = lite.encode([china()])[0].classes
    names = lite.class_names()
    assert classes is not None
    assert len(names) == len(classes) == 1000
    assert names[int(classes.argmax())] == "palace"


def test_a_photo_weighs_the_same_alone_and_in_a_batch(lite: Encoder) -> None:
    photos = [noise(seed, 100 + 50 * seed, 300) for seed in range(5)]
    together = lite.encode(photos)
    for one, embedding in zip(photos, together, strict=True):
        assert np.abs(lite.encode([one])[0].vector - embedding.vector).max() < 1e-5


def test_threads_share_a_session(lite: Encoder) -> None:
    expected = lite.encode([noise(7)])[0].vector
    found: list[np.ndarray] = []
    threads = [
        threading.Thread(target=lambda: found.append(lite.encode([noise(7)])[0].vector))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    assert all(np.abs(vector - expected).max() < 1e-5 for vector in found)


def test_warm_up_and_reference(lite: Encoder, location: LocationEncoder) -> None:
    lite.warm_up()
    location.warm_up()
    assert lite.check() < REFERENCE_TOLERANCE
    assert location.check() < REFERENCE_TOLERANCE


def test_another_model_fails_its_reference(lite: Encoder) -> None:
    moved = tuple(value + 0.01 for value in lite.card.reference)
    wrong = Encoder.load(replace(lite.card, reference=moved))
    assert wrong.check() > REFERENCE_TOLERANCE


def test_photos_are_decoded_at_twice_the_models_size(lite: Encoder) -> None:
    assert lite.decode_target == 512


@pytest.mark.parametrize("size", [(300, 400), (400, 300), (224, 224), (100, 173), (1999, 224)])
def test_preprocessing_is_resize_then_centre_crop(size: tuple[int, int]) -> None:
    """Against the two steps done one after the other, as the models' own code does."""
    pixels = noise(3, *size).pixels
    height, width = size
    shortest = min(size)
    resized = (224 * height // shortest, 224 * width // shortest)
    picture = Image.fromarray(pixels).resize(resized[::-1], Image.Resampling.BICUBIC)
    top, left = (resized[0] - 224) // 2, (resized[1] - 224) // 2
    cropped = picture.crop((left, top, left + 224, top + 224))
    expected = (np.asarray(cropped) / 255 - CLIP.mean) / CLIP.std
    got = preprocess(pixels, CLIP)
    assert got.shape == (3, 224, 224)
    assert got.dtype == np.float32
    off = np.abs(got - expected.transpose(2, 0, 1)) * np.array(CLIP.std)[:, None, None] * 255
    assert off.max() < 1.01, "one of 256 levels, where the last bit of a weight decides"
    assert (off > 1e-3).mean() < 1e-4


@pytest.mark.parametrize("size", [(1, 60_000), (60_000, 1), (1, 1), (2, 3)])
def test_extreme_shapes_are_cheap_and_finite(lite: Encoder, size: tuple[int, int]) -> None:
    vector = lite.encode([noise(5, *size)])[0].vector
    assert np.isfinite(vector).all()


def test_stretching_to_a_fixed_size() -> None:
    how = replace(CLIP, resize=(384, 256), crop=(384, 256))
    assert preprocess(noise(2).pixels, how).shape == (3, 384, 256)


def test_location_vectors_are_unit_vectors(location: LocationEncoder) -> None:
    vectors = location.encode(coordinates()[:3000])
    assert vectors.shape == (3000, 512)
    assert vectors.dtype == np.float32
    assert np.abs(np.linalg.norm(vectors, axis=1) - 1).max() < 1e-5


def test_no_coordinates_no_vectors(location: LocationEncoder) -> None:
    assert location.encode(np.zeros((0, 2))).shape == (0, 512)


EDGES = [-90.0, -89.99999, -60.0, -1e-30, 0.0, 5e-324, 60.0, 89.99999, 90.0]


def test_finite_at_the_edges_of_the_map(location: LocationEncoder) -> None:
    lons = [-180.0, -179.99999, -90.0, -0.0, 1e-30, 90.0, 179.99999, 180.0]
    grid = np.array([(lat, lon) for lat in EDGES for lon in lons])
    vectors = location.encode(grid)
    assert np.isfinite(vectors).all()
    assert np.abs(np.linalg.norm(vectors, axis=1) - 1).max() < 1e-5


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.floats(-90, 90), st.floats(-180, 180)), min_size=1, max_size=20))
def test_finite_for_every_legal_input(points: list[tuple[float, float]]) -> None:
    encoder = _shared_location()
    assert np.isfinite(encoder.encode(np.array(points))).all()


_cache: list[LocationEncoder] = []


def _shared_location() -> LocationEncoder:
    """Hypothesis cannot take a module's fixture into every example."""
    if not _cache:
        _cache.append(LocationEncoder.load(threads=2))
    return _cache[0]


@pytest.mark.parametrize(
    "rows",
    [
        [[90.001, 0.0]],
        [[-91.0, 0.0]],
        [[0.0, 180.001]],
        [[48.0, 2.0], [139.7, 35.7]],
        [[float("nan"), 0.0]],
        [[0.0, float("inf")]],
        [[1.0, 2.0, 3.0]],
        [1.0, 2.0],
    ],
)
def test_illegal_coordinates_are_refused(
    location: LocationEncoder, rows: list[list[float]]
) -> None:
    with pytest.raises(InvalidCoordinate):
        location.encode(np.array(rows))


def test_likeness_falls_with_distance(location: LocationEncoder) -> None:
    places = coordinates()[::500]
    places = places[np.abs(places[:, 0]) < 60]
    here = location.encode(places)
    likeness = []
    for km in (1, 25, 200, 2500):
        north = np.add(places, (km / 111.2, 0.0))
        likeness.append(float((here * location.encode(north)).sum(axis=1).mean()))
    assert likeness == sorted(likeness, reverse=True)
    assert likeness[0] > 0.9
    assert likeness[-1] < 0.3


def test_the_gallery_of_coordinates() -> None:
    degrees = coordinates()
    assert degrees.shape == (100_000, 2)
    assert degrees.dtype == np.float64
    assert degrees[0].tolist() == [-50.943392, -72.935664]
    assert len(np.unique(degrees, axis=0)) == 94_123
    assert (np.abs(degrees) <= (90, 180)).all()


@pytest.fixture
def copied_lite(tmp_path: Path) -> ModelCard:
    card = built_in()["lite"]
    for file in card.files:
        shutil.copy(BUILT_IN / file, tmp_path)
    return replace(card, directory=tmp_path)


def test_a_missing_file_is_named_with_its_remedy(copied_lite: ModelCard) -> None:
    copied_lite.path.unlink()
    with pytest.raises(ModelUnavailable, match=r"lite\.onnx is missing.*geofix models"):
        Encoder.load(copied_lite)


def test_a_flipped_bit_is_noticed(copied_lite: ModelCard) -> None:
    data = bytearray(copied_lite.path.read_bytes())
    data[len(data) // 2] ^= 1
    copied_lite.path.write_bytes(data)
    with pytest.raises(ModelUnavailable, match=r"lite\.onnx is damaged.*geofix models"):
        Encoder.load(copied_lite)


def test_a_damaged_companion_is_noticed(copied_lite: ModelCard) -> None:
    (copied_lite.directory / "lite.classes.txt").write_text("palace\n")
    with pytest.raises(ModelUnavailable, match=r"lite\.classes\.txt is damaged"):
        Encoder.load(copied_lite)


def test_what_is_no_graph_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.onnx").write_bytes(b"this is no graph")
    with pytest.raises(ModelUnavailable, match="no graph"):
        Encoder.load(card_of(tmp_path / "x.onnx"))


@pytest.mark.parametrize("constant", [0.0, float("nan"), float("inf")])
def test_a_vector_without_direction_is_an_error(tmp_path: Path, constant: float) -> None:
    path = tmp_path / "constant.onnx"
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", 3, 224, 224])
    out = helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["batch", 4])
    value = helper.make_tensor("value", TensorProto.FLOAT, [1, 4], [constant] * 4)
    node = helper.make_node("Constant", [], ["embedding"], value=value)
    graph = helper.make_graph([node], "constant", [image], [out])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)]), path)
    with pytest.raises(ModelUnavailable, match="without direction"):
        Encoder.load(card_of(path)).encode([noise(1)])


def card_of(path: Path) -> ModelCard:
    import hashlib

    return ModelCard(
        name="other",
        kind=Kind.IMAGE,
        file=path.name,
        sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        source="a test",
        licence="unknown",
        input="image float32 [N, 3, 224, 224]",
        outputs={"embedding": 4},
        preprocessing=CLIP,
        directory=path.parent,
    )


def test_the_manifest_lists_built_in_and_pulled_models(tmp_path: Path) -> None:
    folder = tmp_path / "models" / "other"
    folder.mkdir(parents=True)
    (folder / "other.onnx").write_bytes(b"weights")
    card = card_of(folder / "other.onnx")
    write_card(card, folder / "card.json")
    assert pulled(tmp_path) == {"other": card}
    assert {"lite", LOCATION_MODEL, "other"} <= manifest(tmp_path).keys()
    assert find("other", tmp_path).path == folder / "other.onnx"


def test_a_name_that_is_not_there_is_answered_with_those_that_are(tmp_path: Path) -> None:
    for name in ("clip", LOCATION_MODEL):
        with pytest.raises(ModelUnavailable, match="there are lite"):
            find(name, tmp_path)


@pytest.mark.parametrize("text", ["", "{}", '{"name": "x"}'])
def test_a_damaged_card_is_named(tmp_path: Path, text: str) -> None:
    folder = tmp_path / "models" / "broken"
    folder.mkdir(parents=True)
    (folder / "card.json").write_text(text)
    with pytest.raises(ModelUnavailable, match="broken"):
        manifest(tmp_path)


def test_the_runtime_is_not_loaded_before_a_model_is() -> None:
    script = (
        "import sys, geofix.engine.encoder, geofix.engine.models\n"
        "assert not {'onnxruntime', 'torch', 'onnx'} & set(sys.modules), 'loaded too early'"
    )
    subprocess.run([sys.executable, "-c", script], check=True)  # noqa: S603
