"""Image towers of CLIP, SigLIP and DINOv2 checkpoints in Hugging Face format."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import onnx
import torch
from onnx import numpy_helper
from safetensors import SafetensorError
from torch import Tensor, nn
from transformers import (
    AutoConfig,
    AutoImageProcessor,
    CLIPVisionModelWithProjection,
    Dinov2Model,
    Dinov2WithRegistersModel,
    PreTrainedConfig,
    PreTrainedModel,
    SiglipVisionModel,
)
from transformers.utils import logging

from geofix.engine.models import HEAD_MODEL, Preprocessing, Resampling, built_in
from geofix.errors import InvalidSource
from indexer.models import location

FAMILIES: dict[str, type[PreTrainedModel]] = {
    "clip": CLIPVisionModelWithProjection,
    "clip_vision_model": CLIPVisionModelWithProjection,
    "siglip": SiglipVisionModel,
    "siglip_vision_model": SiglipVisionModel,
    "dinov2": Dinov2Model,
    "dinov2_with_registers": Dinov2WithRegistersModel,
}
RESAMPLING = {1: Resampling.LANCZOS, 2: Resampling.BILINEAR, 3: Resampling.BICUBIC}


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """An image tower and how its photos are prepared."""

    tower: nn.Module
    """Float32 [N, 3, height, width] → one or two tensors, named by ``outputs``."""
    outputs: dict[str, int]
    preprocessing: Preprocessing


class ImageTower(nn.Module):
    """A vision model, reduced to the one vector that stands for the picture.

    For CLIP that is the projected embedding, for SigLIP the attention-pooled one, for DINOv2 the
    normalised class token.
    """

    def __init__(self, model: PreTrainedModel) -> None:
        super().__init__()
        self.model = model
        self.output = (
            "image_embeds" if isinstance(model, CLIPVisionModelWithProjection) else "pooler_output"
        )

    def forward(self, image: Tensor) -> Tensor:
        vector: Tensor = getattr(self.model(pixel_values=image), self.output)
        return vector


class AlignedTower(nn.Module):
    """CLIP ViT-L/14 with GeoCLIP's image head: embedding [N, 768] and location [N, 512]."""

    def __init__(self, tower: ImageTower) -> None:
        super().__init__()
        self.tower = tower
        self.head = geoclip_head()

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        embedding = self.tower(image)
        return embedding, self.head(embedding)


def geoclip_head() -> nn.Sequential:
    """GeoCLIP's image head with the weights of the built-in file."""
    card = built_in()[HEAD_MODEL]
    card.require()
    weights = onnx.load(card.path).graph.initializer
    head = location.image_head()
    head.load_state_dict({w.name: torch.tensor(numpy_helper.to_array(w)) for w in weights})
    return head.eval()


def read(folder: Path, *, aligned: bool = False) -> Checkpoint:
    """The checkpoint in ``folder``, ready for export.

    ``aligned`` adds GeoCLIP's head, which needs a CLIP of 768 dimensions. Raises
    :class:`InvalidSource` when the folder holds no complete checkpoint of a known family, or one
    whose preprocessing cannot be reproduced.
    """
    logging.set_verbosity_error()  # type: ignore[no-untyped-call]  # the text tower's weights are left out on purpose
    config = _config(folder)
    preprocessing = read_preprocessing(folder)
    model = _model(folder, config)
    height, width = preprocessing.crop
    tower = ImageTower(model)
    if isinstance(model, (Dinov2Model, Dinov2WithRegistersModel)):
        _fix_positions(model, height, width)
    with torch.no_grad():
        try:
            dimension = tower(torch.zeros(1, 3, height, width)).shape[1]
        except (RuntimeError, ValueError) as error:
            raise InvalidSource(
                f"The checkpoint does not take photos of {height} by {width} pixels, which is "
                "what its preprocessor_config.json makes of them."
            ) from error
    if not aligned:
        return Checkpoint(tower, {"embedding": dimension}, preprocessing)
    if not isinstance(model, CLIPVisionModelWithProjection) or (
        dimension != location.CLIP_DIMENSION
    ):
        raise InvalidSource(
            f"GeoCLIP's head needs CLIP with {location.CLIP_DIMENSION} dimensions; this checkpoint "
            f"is {config.model_type} with {dimension}."
        )
    outputs = {"embedding": dimension, "location": location.DIMENSION}
    return Checkpoint(AlignedTower(tower), outputs, preprocessing)


def read_preprocessing(folder: Path) -> Preprocessing:
    """What the checkpoint's image processor does, with the defaults of its family filled in."""
    if not any(
        (folder / f).exists() for f in ("preprocessor_config.json", "processor_config.json")
    ):
        raise InvalidSource("The checkpoint has no preprocessor_config.json.")
    try:
        processor = AutoImageProcessor.from_pretrained(  # type: ignore[no-untyped-call]
            folder, backend="pil", local_files_only=True
        )
    except (OSError, ValueError, TypeError, KeyError, json.JSONDecodeError) as error:
        raise InvalidSource("The checkpoint's preprocessor_config.json cannot be read.") from error
    size, crop = processor.size, processor.crop_size
    resize = size.shortest_edge or (size.height, size.width)
    crop_to = (crop.height, crop.width) if processor.do_center_crop else resize
    if (
        not processor.do_resize
        or not isinstance(crop_to, tuple)
        or None in crop_to
        or (isinstance(resize, tuple) and None in resize)
        or min(crop_to) < 1
        or (resize < max(crop_to) if isinstance(resize, int) else crop_to > resize)
        or processor.resample not in RESAMPLING
        or not processor.do_rescale
        or abs(processor.rescale_factor * 255 - 1) > 1e-6
    ):
        raise InvalidSource(
            "The checkpoint's preprocessing is not resize, centre crop, scale to 0…1, normalise."
        )
    mean, std = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)
    if processor.do_normalize:
        mean, std = tuple(processor.image_mean), tuple(processor.image_std)
    return Preprocessing(resize, crop_to, RESAMPLING[processor.resample], mean, std)


def _config(folder: Path) -> PreTrainedConfig:
    try:
        config = AutoConfig.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError) as error:
        raise InvalidSource("The folder has no config.json of a Hugging Face model.") from error
    if config.model_type not in FAMILIES:
        raise InvalidSource(
            f"The checkpoint is of the family {config.model_type!r}; "
            f"known are {', '.join(FAMILIES)}."
        )
    if config.model_type == "clip":
        # The two say the same in most checkpoints; the outer one is what the weights have.
        config.vision_config.projection_dim = config.projection_dim
    inner: PreTrainedConfig = getattr(config, "vision_config", config)
    return inner


def _model(folder: Path, config: PreTrainedConfig) -> PreTrainedModel:
    try:
        loaded: tuple[PreTrainedModel, dict[str, set[str]]] = FAMILIES[
            config.model_type
        ].from_pretrained(  # type: ignore[assignment]
            folder,
            config=config,
            local_files_only=True,
            output_loading_info=True,
            dtype=torch.float32,
            attn_implementation="eager",
        )
    except (OSError, RuntimeError, ValueError, SafetensorError) as error:
        raise InvalidSource("The checkpoint's weights are missing or damaged.") from error
    model, report = loaded
    if report["missing_keys"]:
        # transformers would go on with random numbers in their place.
        raise InvalidSource(
            "The checkpoint lacks weights of the image tower: "
            f"{', '.join(sorted(report['missing_keys'])[:3])} …"
        )
    model.requires_grad_(False)
    model.train(False)
    return model


def _fix_positions(model: Dinov2Model | Dinov2WithRegistersModel, height: int, width: int) -> None:
    """Interpolate DINOv2's position embeddings to the model's one input size, once and for all."""
    if height != width:
        raise InvalidSource("DINOv2 is exported for square photos only.")
    embeddings = model.embeddings
    with torch.no_grad():
        patches = embeddings.patch_embeddings(torch.zeros(1, 3, height, width))
        with_class = torch.cat((embeddings.cls_token, patches), dim=1)
        fixed = embeddings.interpolate_pos_encoding(with_class, height, width)
    embeddings.position_embeddings = nn.Parameter(fixed.clone(), requires_grad=False)
