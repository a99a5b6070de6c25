"""The parts of the alignment trainer, each by itself."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_sample_image  # type: ignore[import-untyped]
from torch import nn
from torch.nn.functional import normalize
from transformers import CLIPTextConfig, CLIPTextModelWithProjection, CLIPTokenizer

from geofix.engine.encoder import Encoder, LocationEncoder
from geofix.engine.models import built_in
from geofix.errors import Conflict, InvalidOption, InvalidSource
from geofix.geo import cells
from geofix.geo.coordinates import Coordinate
from indexer.models.align import checkpoint
from indexer.models.align.aligner import Aligner, Batch, geoclip_encoder, head
from indexer.models.align.examples import Examples, Origin, caption, encode, held_out
from indexer.models.align.harmonics import HarmonicEncoder, harmonics
from indexer.models.align.losses import Queue, info_nce
from indexer.models.align.measure import retrieval
from indexer.models.align.options import Gps, Options
from indexer.models.align.text import TextTower
from indexer.models.align.train import Training, deterministic

TEXT_WIDTH = 24


def examples(count: int = 60, text: bool = False, seed: int = 0) -> Examples:
    """Features that a position decides, and some noise."""
    random = np.random.default_rng(seed)
    latlon = random.uniform((-60, -180), (70, 180), (count, 2))
    waves = np.sin(np.radians(latlon) @ random.normal(size=(2, 32)) * 2)
    image = (waves + 0.1 * random.normal(size=waves.shape)).astype(np.float32)
    return Examples(
        origin=Origin(("made",), "lite", "0"),
        keys=tuple(map(str, range(count))),
        licences=(),
        skipped=(),
        latlon=latlon,
        image=image / np.linalg.norm(image, axis=1, keepdims=True),
        text=image[:, :TEXT_WIDTH].copy() if text else None,
    )


def unit(count: int, seed: int, width: int = 8) -> torch.Tensor:
    return normalize(torch.randn(count, width, generator=torch.Generator().manual_seed(seed)))


def test_the_defaults_are_the_published_ones() -> None:
    default = Options()
    assert (default.learning_rate, default.weight_decay, default.decay) == (3e-5, 1e-6, 0.87)
    assert (default.batch, default.epochs) == (256, 10)
    assert not default.text_gps
    assert default.queue == 0
    assert [type(layer) for layer in head(4, 2, 0.0) if not isinstance(layer, nn.Dropout)] == [
        nn.Linear,
        nn.ReLU,
        nn.Linear,
    ]


def test_info_nce_is_the_mean_of_both_directions() -> None:
    a, b = unit(5, 0), unit(5, 1)
    similarity = np.exp(7.0 * (a @ b.T).numpy().astype(np.float64))
    own = np.diag(similarity)
    expected = -(
        np.log(own / similarity.sum(axis=1)).mean() + np.log(own / similarity.sum(axis=0)).mean()
    )
    assert float(info_nce(a, b, torch.tensor(7.0))) == pytest.approx(expected / 2, rel=1e-5)


def test_the_queue_adds_negatives_for_photos_only_and_never_the_photo_itself() -> None:
    a, b = unit(3, 0), unit(3, 1)
    scale = torch.tensor(5.0)
    queue = Queue(4, 8)
    rows = torch.tensor([10, 11, 12])
    assert not queue.negatives_of(rows).any()
    empty = info_nce(a, b, scale, queue.vectors, queue.negatives_of(rows))
    assert torch.equal(empty, info_nce(a, b, scale))
    queue.push(unit(3, 2), torch.tensor([11, 20, 21]))
    counts = queue.negatives_of(rows)
    assert counts.tolist() == [
        [True, True, True, False],
        [False, True, True, False],
        [True, True, True, False],
    ]
    similarity = np.exp(5.0 * (a @ b.T).numpy().astype(np.float64))
    further = np.exp(5.0 * (a @ queue.vectors.T).numpy().astype(np.float64)) * counts.numpy()
    own = np.diag(similarity)
    forward = -np.log(own / (similarity.sum(axis=1) + further.sum(axis=1))).mean()
    backward = -np.log(own / similarity.sum(axis=0)).mean()
    got = float(info_nce(a, b, scale, queue.vectors, counts))
    assert got == pytest.approx((forward + backward) / 2, rel=1e-5)


def test_the_queue_forgets_the_oldest() -> None:
    queue = Queue(4, 8)
    for start in (0, 3):
        queue.push(unit(3, start), torch.arange(start, start + 3))
    assert queue.rows.tolist() == [3, 4, 5, 0]
    assert torch.equal(queue.vectors[0], unit(3, 3)[0])


def test_harmonics_are_orthonormal() -> None:
    degree = 12
    nodes, weights = np.polynomial.legendre.leggauss(degree + 1)
    lon = np.arange(2 * degree + 2) * (360 / (2 * degree + 2)) - 180
    lat = np.degrees(np.arcsin(nodes))
    grid = np.stack(np.meshgrid(lat, lon, indexing="ij"), axis=-1).reshape(-1, 2)
    area = np.repeat(weights, len(lon)) * (2 * np.pi / len(lon))
    values = harmonics(torch.from_numpy(grid), degree).numpy()
    assert values.shape == (len(grid), degree * degree)
    assert np.abs(values.T @ (values * area[:, None]) - np.eye(degree * degree)).max() < 1e-12


def test_the_harmonic_encoder_has_no_seam_and_no_poles() -> None:
    torch.manual_seed(0)
    encoder = HarmonicEncoder(16)
    with torch.no_grad():
        east, west = encoder(torch.tensor([[12.0, 180.0], [12.0, -180.0]]))
        poles = encoder(torch.tensor([[90.0, 0.0], [90.0, 77.0], [90.0, -140.0]]))
        here, there = encoder(torch.tensor([[48.0, 2.0], [-33.0, 151.0]]))
    assert torch.allclose(east, west, atol=1e-5)
    assert torch.allclose(poles, poles[:1].expand(3, -1), atol=1e-5)
    assert float((here - there).norm()) > 0.1


def test_the_gps_encoder_starts_as_the_built_in_one() -> None:
    points = np.random.default_rng(0).uniform((-90, -180), (90, 180), (200, 2))
    with torch.no_grad():
        got = geoclip_encoder()(torch.from_numpy(points.astype(np.float32))).numpy()
    assert np.abs(got - LocationEncoder.load().encode_raw(points)).max() <= 1e-4


def test_no_cell_is_on_both_sides() -> None:
    latlon = np.random.default_rng(3).uniform((-60, -180), (70, 180), (300, 2))
    options = Options(hold_out=0.2, cell_level=3, seed=5)
    rows, out = held_out(latlon, options)
    assert sorted([*rows, *out]) == list(range(300))
    assert 45 <= len(out) <= 60
    ids = cells.cell_ids(latlon, 3)
    assert not set(ids[rows]) & set(ids[out])
    other = held_out(latlon, options.model_copy(update={"seed": 6}))[1]
    assert not np.array_equal(out, other)


def test_photos_of_one_place_cannot_be_held_out() -> None:
    with pytest.raises(InvalidSource, match="too few"):
        held_out(np.full((50, 2), 48.0), Options())


def test_retrieval_knows_the_best_the_worst_and_chance() -> None:
    ids = np.repeat(np.arange(20, dtype=np.uint64), 3)
    places = normalize(torch.eye(20)[torch.from_numpy(ids.astype(np.int64))])
    best, worst = retrieval(places, places, ids), retrieval(-places, places, ids)
    assert (best.recall_1, best.percentile) == (1.0, 1.0)
    assert (worst.recall_1, worst.percentile) == (0.0, 0.0)
    assert best.chance_recall_1 == pytest.approx(1 / 20)
    blind = retrieval(torch.ones_like(places), places, ids)
    assert blind.percentile == 0.5


@pytest.mark.parametrize("gps", list(Gps))
def test_every_gps_encoder_learns_from_every_loss(tmp_path: Path, gps: Gps) -> None:
    options = Options(
        gps=gps,
        gps_head=gps is Gps.HARMONICS,
        harmonics_degree=6,
        text_gps=True,
        queue=16,
        epochs=3,
        batch=30,
        hold_out=0.2,
        learning_rate=1e-3,
    )
    with deterministic(options):
        training = Training(examples(text=True), options, tmp_path)
        before, _ = training.measure()
        training.run()
        first, last = training.history[0], training.history[-1]
        assert last.training.keys() == {"image_gps", "image_text", "text_gps", "total"}
        assert all(last.training[term] < first.training[term] for term in last.training)
        assert last.held_out["image_text"] < before["image_text"]
        trained = [name for name, _ in training.model.named_parameters() if name[:4] == "gps."]
        assert bool(trained) == (gps is not Gps.FROZEN)


def test_text_and_gps_need_a_text_model(tmp_path: Path) -> None:
    options = Options(text_gps=True, hold_out=0.2)
    with deterministic(options), pytest.raises(InvalidOption, match="text model"):
        Training(examples(), options, tmp_path)


def test_training_ends_when_patience_does_and_keeps_the_best(tmp_path: Path) -> None:
    options = Options(epochs=60, patience=2, learning_rate=0.02, decay=1.0, hold_out=0.3, batch=20)
    with deterministic(options):
        training = Training(examples(), options, tmp_path)
        training.run()
        assert training.epochs == training.best_epoch + 2 < 60
        least = min(epoch.held_out["total"] for epoch in training.history)
        training.best()
        assert training.measure()[0]["total"] == least


def test_a_run_goes_on_with_its_own_options_and_photos_only(tmp_path: Path) -> None:
    options = Options(epochs=1, hold_out=0.2)
    with deterministic(options):
        Training(examples(), options, tmp_path).run()
        longer = options.model_copy(update={"epochs": 2})
        resumed = Training(examples(), longer, tmp_path)
        assert resumed.resume()
        assert not resumed.finished
        other = options.model_copy(update={"learning_rate": 1.0})
        with pytest.raises(Conflict, match="other options"):
            Training(examples(), other, tmp_path).resume()
        with pytest.raises(Conflict, match="other photos"):
            Training(examples(seed=1), options, tmp_path).resume()
        path = tmp_path / checkpoint.FILE
        whole = path.read_bytes()
        for damaged in (whole[: len(whole) // 2], b"nothing", b""):
            path.write_bytes(damaged)
            with pytest.raises(InvalidSource, match="damaged"):
                Training(examples(), options, tmp_path).resume()


def test_the_rest_of_the_process_is_left_as_it_was() -> None:
    threads, drawn = torch.get_num_threads(), torch.get_rng_state()
    with deterministic(Options(threads=1)):
        torch.manual_seed(1)
        assert torch.are_deterministic_algorithms_enabled()
    assert torch.get_num_threads() == threads
    assert torch.equal(torch.get_rng_state(), drawn)
    assert not torch.are_deterministic_algorithms_enabled()


def test_examples_come_back_as_they_were_saved(tmp_path: Path) -> None:
    made = replace(examples(text=True), skipped=("a: broken",), licences=("CC0-1.0",))
    assert Examples.read(tmp_path) is None
    examples(seed=1).save(tmp_path)
    made.save(tmp_path)
    read = Examples.read(tmp_path)
    assert read is not None
    assert read.fingerprint() == made.fingerprint()
    assert (read.origin, read.skipped, read.licences) == (made.origin, made.skipped, made.licences)


def test_a_caption_says_where_the_position_is() -> None:
    assert caption(Coordinate(48.8584, 2.2945)).startswith("A street view photo taken in Paris, ")
    assert caption(Coordinate(48.8584, 2.2945)).endswith(", France")
    assert caption(Coordinate(-30.0, -120.0)) == "A street view photo"


@pytest.fixture
def text_folder(tmp_path: Path) -> Path:
    """A small CLIP text model with random weights, and a tokenizer of single characters."""
    folder = tmp_path / "text"
    characters = [chr(i) for i in range(33, 127)]
    tokens = [*characters, *(f"{c}</w>" for c in characters), "<|startoftext|>", "<|endoftext|>"]
    vocabulary = {token: i for i, token in enumerate(tokens)}
    CLIPTokenizer(vocab=vocabulary, merges=[]).save_pretrained(folder)
    torch.manual_seed(0)
    config = CLIPTextConfig(
        vocab_size=len(tokens),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=40,
        projection_dim=TEXT_WIDTH,
        bos_token_id=len(tokens) - 2,
        eos_token_id=len(tokens) - 1,
    )
    CLIPTextModelWithProjection(config).save_pretrained(folder)
    return folder


def test_the_text_tower_is_the_model_of_the_folder(text_folder: Path) -> None:
    tower = TextTower(text_folder)
    captions = ["A street view photo taken in Kyoto, Japan", "a"]
    vectors = tower.encode(captions)
    assert vectors.shape == (2, TEXT_WIDTH)
    model = CLIPTextModelWithProjection.from_pretrained(text_folder)
    tokenizer = CLIPTokenizer.from_pretrained(text_folder)
    for text, vector in zip(captions, vectors, strict=True):
        tokens = tokenizer(text, truncation=True, max_length=40, return_tensors="pt")
        with torch.no_grad():
            expected = model(**tokens).text_embeds[0].numpy()
        assert np.abs(vector - expected).max() < 1e-5
    assert np.abs(vectors[0] - vectors[1]).max() > 1e-3
    assert TextTower(text_folder).sha256 == tower.sha256


def test_a_folder_without_a_text_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidSource, match="no CLIP text model"):
        TextTower(tmp_path)


def test_photos_are_encoded_once_and_the_useless_ones_named(
    tmp_path: Path, text_folder: Path
) -> None:
    picture = Image.fromarray(load_sample_image("china.jpg"))
    picture.save(tmp_path / "a.jpg")
    (tmp_path / "b.jpg").write_bytes((tmp_path / "a.jpg").read_bytes())
    (tmp_path / "c.jpg").write_bytes(b"no photo")
    picture.crop((0, 0, 300, 300)).save(tmp_path / "e.jpg")
    rows = ("a.jpg,39.9,116.4,", "b.jpg,1,1,", "c.jpg,1,1,", "d.jpg,1,1,", "e.jpg,91,1,")
    (tmp_path / "index.csv").write_text("\n".join(["file,lat,lon,caption", *rows]))
    encoder, text = Encoder.load(built_in()["lite"]), TextTower(text_folder)
    seen: list[tuple[int, int]] = []
    got = encode([tmp_path], encoder, text, lambda done, total: seen.append((done, total)))
    assert [key.rpartition("/")[2] for key in got.keys] == ["a.jpg"]
    assert [line.partition(":")[0][-5:] for line in got.skipped] == [
        "b.jpg",
        "c.jpg",
        "d.jpg",
        "e.jpg",
    ]
    assert seen == [(5, 5)]
    assert got.text is not None
    beijing = caption(Coordinate(39.9, 116.4))
    assert np.abs(got.text - text.encode([beijing])).max() < 1e-6
    (tmp_path / "index.csv").write_text("file,lat,lon,caption\na.jpg,39.9,116.4,a temple")
    other = encode([tmp_path], encoder, text).text
    assert other is not None
    assert np.array_equal(other, text.encode(["a temple"]))


def test_a_model_without_text_has_one_loss() -> None:
    made = examples()
    model = Aligner(torch.from_numpy(made.image), None, Options())
    rows = torch.arange(10)
    batch = Batch(rows, torch.from_numpy(made.image)[rows], unit(10, 0, 512))
    assert model.losses(batch).keys() == {"image_gps"}
