"""Checkpoints of every family into encoders.

The weights are random: what is tested is that the encoder computes what the checkpoint does.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime as ort  # type: ignore[import-untyped]
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from transformers import (
    AutoImageProcessor,
    BitImageProcessorPil,
    CLIPConfig,
    CLIPImageProcessorPil,
    CLIPModel,
    CLIPVisionConfig,
    CLIPVisionModel,
    CLIPVisionModelWithProjection,
    Dinov2Config,
    Dinov2Model,
    Dinov2WithRegistersConfig,
    Dinov2WithRegistersModel,
    PreTrainedModel,
    SiglipConfig,
    SiglipImageProcessorPil,
    SiglipModel,
    ViTConfig,
    ViTModel,
)

from geofix.engine.encoder import REFERENCE_TOLERANCE, Encoder, LocationEncoder, preprocess
from geofix.engine.models import Resampling, find, manifest, pulled
from geofix.engine.types import Photo
from geofix.errors import InvalidSource, Unavailable
from indexer.models import graph, towers, wheels
from indexer.models.export import HEAD_CHECKPOINT, with_weights
from indexer.models.location import image_head
from indexer.models.pull import pull

PARITY = 1e-4
VISION = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "image_size": 32,
    "patch_size": 8,
}
TEXT = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "vocab_size": 99,
    "max_position_embeddings": 16,
    "bos_token_id": 0,
    "eos_token_id": 2,
}
DINO = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "patch_size": 8,
    "mlp_ratio": 2,
}
SQUARE = {"height": 32, "width": 32}


def clip(projection: int = 16) -> PreTrainedModel:
    return CLIPModel(
        CLIPConfig(text_config=dict(TEXT), vision_config=dict(VISION), projection_dim=projection)
    )


def clip_processor() -> object:
    return CLIPImageProcessorPil(size={"shortest_edge": 32}, crop_size=SQUARE)


def bit_processor(shortest: int = 36) -> object:
    return BitImageProcessorPil(
        size={"shortest_edge": shortest},
        crop_size=SQUARE,
        image_mean=[0.485, 0.456, 0.406],
        image_std=[0.229, 0.224, 0.225],
    )


FAMILIES: dict[str, tuple[Callable[[], PreTrainedModel], Callable[[], object], str]] = {
    "clip": (clip, clip_processor, "image_embeds"),
    "clip-vision": (
        lambda: CLIPVisionModelWithProjection(
            CLIPVisionConfig.from_dict({**VISION, "projection_dim": 24})
        ),
        clip_processor,
        "image_embeds",
    ),
    "siglip": (
        lambda: SiglipModel(SiglipConfig(text_config=dict(TEXT), vision_config=dict(VISION))),
        lambda: SiglipImageProcessorPil(size=SQUARE),
        "pooler_output",
    ),
    "dinov2": (
        lambda: Dinov2Model(Dinov2Config.from_dict({**DINO, "image_size": 32})),
        bit_processor,
        "pooler_output",
    ),
    "dinov2-other-size": (
        lambda: Dinov2Model(Dinov2Config.from_dict({**DINO, "image_size": 56})),
        bit_processor,
        "pooler_output",
    ),
    "dinov2-registers": (
        lambda: Dinov2WithRegistersModel(
            Dinov2WithRegistersConfig.from_dict(
                {**DINO, "image_size": 56, "num_register_tokens": 4}
            )
        ),
        bit_processor,
        "pooler_output",
    ),
}


def save(folder: Path, model: PreTrainedModel, processor: object) -> Path:
    """A checkpoint as published ones are; random weights a little livelier than the default."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))
    model.save_pretrained(folder)
    processor.save_pretrained(folder)  # type: ignore[attr-defined]
    return folder


def vectors(model: PreTrainedModel, pixels: torch.Tensor) -> np.ndarray:
    """What the checkpoint's own class makes of a batch, as its users would ask for it."""
    model.train(False)
    with torch.no_grad():
        if isinstance(model, (CLIPModel, SiglipModel)):
            out = model.get_image_features(pixel_values=pixels)
            out = getattr(out, "pooler_output", out)
        else:
            out = model(pixel_values=pixels)
            out = out.image_embeds if "image_embeds" in out else out.pooler_output
    return np.asarray(out.numpy())


def photo(seed: int = 0, height: int = 90, width: int = 130) -> Photo:
    small = np.random.default_rng(seed).integers(0, 256, (9, 13, 3)).astype(np.uint8)
    pixels = np.asarray(Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC))
    return Photo(pixels, "", width, height, "PNG")


@pytest.mark.parametrize("family", FAMILIES)
def test_the_encoder_computes_what_the_checkpoint_does(family: str, tmp_path: Path) -> None:
    make, make_processor, _ = FAMILIES[family]
    model = make()
    folder = save(tmp_path / "Checkpoint", model, make_processor())
    stages: list[str] = []
    card = pull(str(folder), tmp_path / "data", name=family, progress=stages.append)
    assert stages == ["read", "export", "check"]
    assert pulled(tmp_path / "data") == {family: card}
    assert not card.faults()

    batch = torch.randn(5, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    expected = vectors(model, batch)
    session = ort.InferenceSession(card.path, providers=["CPUExecutionProvider"])
    (got,) = session.run(["embedding"], {"image": batch.numpy()})
    assert np.abs(got - expected).max() <= PARITY
    assert card.outputs == {"embedding": expected.shape[1]}

    encoder = Encoder.load(find(family, tmp_path / "data"))
    assert encoder.check() < REFERENCE_TOLERANCE
    processor = AutoImageProcessor.from_pretrained(folder, backend="pil")  # type: ignore[no-untyped-call]
    photos = [photo(0), photo(1, 130, 90), photo(2, 40, 40)]
    for one, embedding in zip(photos, encoder.encode(photos), strict=True):
        pixels = processor(images=Image.fromarray(one.pixels), return_tensors="pt")["pixel_values"]
        own = vectors(model, pixels)[0]
        assert np.abs(embedding.vector - own / np.linalg.norm(own)).max() <= PARITY
        assert embedding.location is None
        assert embedding.classes is None


@pytest.mark.parametrize("family", FAMILIES)
def test_preprocessing_is_the_checkpoints_own(family: str, tmp_path: Path) -> None:
    make, make_processor, _ = FAMILIES[family]
    folder = save(tmp_path / "checkpoint", make(), make_processor())
    how = towers.read_preprocessing(folder)
    processor = AutoImageProcessor.from_pretrained(folder, backend="pil")  # type: ignore[no-untyped-call]
    for height, width in ((90, 130), (131, 77), (32, 32), (20, 500), (501, 64)):
        pixels = photo(3, height, width).pixels
        own = processor(images=Image.fromarray(pixels), return_tensors="np")["pixel_values"][0]
        ours = preprocess(pixels, how)
        if max(height, width) <= 8 * min(height, width):
            off = np.abs(ours - own) * np.array(how.std)[:, None, None] * 255
            assert off.max() < 1.01, "one of 256 levels, where the last bit of a weight decides"
            assert (off > 1e-2).mean() < 6e-3
        assert ours.shape == own.shape


def test_old_spellings_of_the_preprocessing(tmp_path: Path) -> None:
    """Numbers where newer files have names, as the first CLIP checkpoints were published."""
    old = {
        "crop_size": 32,
        "do_center_crop": True,
        "do_normalize": True,
        "do_resize": True,
        "feature_extractor_type": "CLIPFeatureExtractor",
        "image_mean": [0.5, 0.5, 0.5],
        "image_std": [0.25, 0.25, 0.25],
        "resample": 3,
        "size": 32,
    }
    folder = save(tmp_path / "checkpoint", clip(), clip_processor())
    (folder / "preprocessor_config.json").write_text(json.dumps(old))
    how = towers.read_preprocessing(folder)
    assert how.resize == 32
    assert how.crop == (32, 32)
    assert how.resampling is Resampling.BICUBIC
    assert how.mean == (0.5, 0.5, 0.5)


@pytest.fixture(scope="module")
def clip768(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small CLIP with the width of ViT-L/14's embedding."""
    return save(tmp_path_factory.mktemp("hub") / "clip", clip(768), clip_processor())


def test_geoclip_is_clip_with_its_head(clip768: Path, tmp_path: Path) -> None:
    card = pull("geoclip", tmp_path, checkpoint=clip768)
    assert card.name == "geoclip"
    assert card.aligned
    assert card.outputs == {"embedding": 768, "location": 512}

    batch = torch.randn(3, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    head = with_weights(image_head(), wheels.read(wheels.GEOCLIP, HEAD_CHECKPOINT))
    embeds = torch.from_numpy(vectors(CLIPModel.from_pretrained(clip768), batch))
    with torch.no_grad():
        expected = head(embeds).numpy()
    session = ort.InferenceSession(card.path, providers=["CPUExecutionProvider"])
    embedding, location = session.run(["embedding", "location"], {"image": batch.numpy()})
    assert np.abs(embedding - embeds.numpy()).max() <= PARITY
    assert np.abs(location - expected).max() <= PARITY

    encoder = Encoder.load(manifest(tmp_path)["geoclip"])
    (result,) = encoder.encode([photo()])
    assert encoder.dimension == 768
    assert result.location is not None
    assert np.linalg.norm(result.location) == pytest.approx(1, abs=1e-5)
    places = LocationEncoder.load().encode(np.array([(22.2, -159.5), (48.9, 2.3)]))
    assert np.isfinite(places @ result.location).all()


def test_geoclip_needs_a_clip_of_its_width(tmp_path: Path) -> None:
    narrow = save(tmp_path / "narrow", clip(16), clip_processor())
    make, make_processor, _ = FAMILIES["dinov2"]
    other = save(tmp_path / "dino", make(), make_processor())
    for folder in (narrow, other):
        with pytest.raises(InvalidSource, match="GeoCLIP's head needs CLIP with 768"):
            pull("geoclip", tmp_path / "data", checkpoint=folder)
    assert not pulled(tmp_path / "data")


def test_a_half_finished_pull_leaves_the_old_model(
    clip768: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = tmp_path / "data"
    first = pull(str(clip768), data, name="mine")

    def stop(stage: str) -> None:
        if stage == "check":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pull(str(clip768), data, name="mine", progress=stop)
    assert pulled(data) == {"mine": first}
    assert not first.faults()
    second = pull(str(clip768), data, name="mine")
    assert second == first
    assert [entry.name for entry in data.iterdir()] == ["models"]


def test_large_weights_lie_beside_the_graph(
    clip768: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(graph, "ONE_FILE_BYTES", 1000)
    card = pull(str(clip768), tmp_path, name="large")
    assert set(card.files) == {"large.onnx", "large.onnx.data"}
    Encoder.load(card).warm_up()
    (card.directory / "large.onnx.data").unlink()
    assert card.faults() == ["large.onnx.data is missing or cannot be read"]


@pytest.mark.parametrize("name", ["lite", "geoclip-head", "Mine", "../mine", "a/b"])
def test_names_that_cannot_be(clip768: Path, tmp_path: Path, name: str) -> None:
    with pytest.raises(InvalidSource):
        pull(str(clip768), tmp_path, name=name)


def broken(folder: Path, kind: str) -> None:
    """Spoil a checkpoint in one way."""
    weights, config = folder / "model.safetensors", folder / "config.json"
    preprocessing = folder / "preprocessor_config.json"
    if kind == "no config":
        config.unlink()
    elif kind == "config is no JSON":
        config.write_text("{")
    elif kind == "no weights":
        weights.unlink()
    elif kind == "weights cut short":
        weights.write_bytes(weights.read_bytes()[:2000])
    elif kind == "a weight is missing":
        tensors = load_file(weights)
        del tensors["visual_projection.weight"]
        save_file(tensors, weights, metadata={"format": "pt"})
    elif kind == "no preprocessing":
        preprocessing.unlink()
    elif kind == "preprocessing is no JSON":
        preprocessing.write_text("{")
    elif kind == "another input size":
        changed = json.loads(preprocessing.read_text())
        changed["crop_size"] = changed["size"] = 64
        preprocessing.write_text(json.dumps(changed))
    elif kind == "no resize":
        changed = json.loads(preprocessing.read_text())
        preprocessing.write_text(json.dumps({**changed, "do_resize": False}))
    elif kind == "another family":
        shutil.rmtree(folder)
        vit = ViTModel(
            ViTConfig(
                hidden_size=32,
                num_hidden_layers=1,
                num_attention_heads=2,
                intermediate_size=64,
                image_size=32,
            )
        )
        save(folder, vit, clip_processor())


@pytest.mark.parametrize(
    "kind",
    [
        "no config",
        "config is no JSON",
        "no weights",
        "weights cut short",
        "a weight is missing",
        "no preprocessing",
        "preprocessing is no JSON",
        "another input size",
        "no resize",
        "another family",
    ],
)
def test_a_spoilt_checkpoint_is_refused(clip768: Path, tmp_path: Path, kind: str) -> None:
    folder = Path(shutil.copytree(clip768, tmp_path / "copy"))
    broken(folder, kind)
    with pytest.raises(InvalidSource):
        pull(str(folder), tmp_path / "data")
    assert not pulled(tmp_path / "data")


def test_a_vision_tower_without_projection_is_refused(tmp_path: Path) -> None:
    model = CLIPVisionModel(CLIPVisionConfig.from_dict(VISION))
    folder = save(tmp_path / "tower", model, clip_processor())
    with pytest.raises(InvalidSource, match="lacks weights"):
        pull(str(folder), tmp_path / "data")


@pytest.mark.parametrize("source", ["no-such-folder/with/depth", "./nowhere", "a b"])
def test_what_is_neither_a_folder_nor_a_model(source: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidSource):
        pull(source, tmp_path, endpoint="http://127.0.0.1:9")


def test_no_network_is_said_plainly(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match=r"hub cannot be reached.*name its folder"):
        pull("geoclip", tmp_path, endpoint="http://127.0.0.1:9")
    assert not list(tmp_path.iterdir())
