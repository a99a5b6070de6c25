"""The frozen text tower: CLIP's, from a folder in Hugging Face format."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from transformers import AutoTokenizer, CLIPTextModelWithProjection
from transformers.utils import logging

from geofix.engine.types import Float32Array
from geofix.errors import InvalidSource

BATCH = 64


class TextTower:
    """Captions into the projected embeddings of CLIP's text model."""

    def __init__(self, folder: Path) -> None:
        """Read ``folder``. Raises :class:`InvalidSource` unless model and tokenizer are there."""
        logging.set_verbosity_error()  # type: ignore[no-untyped-call]  # a whole CLIP's image tower is left out on purpose
        try:
            self._tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
            loaded: tuple[CLIPTextModelWithProjection, dict[str, set[str]]] = (
                CLIPTextModelWithProjection.from_pretrained(  # type: ignore[assignment]
                    folder,
                    local_files_only=True,
                    output_loading_info=True,
                    dtype=torch.float32,
                    attn_implementation="eager",
                )
            )
        except (OSError, RuntimeError, ValueError, SafetensorError) as error:
            raise InvalidSource("The folder holds no CLIP text model and tokenizer.") from error
        self._model, report = loaded
        if report["missing_keys"]:
            # transformers would go on with random numbers in their place.
            raise InvalidSource("The checkpoint lacks weights of CLIP's text tower.")
        self._model.requires_grad_(False)
        self._model.train(False)
        self._length = self._model.config.max_position_embeddings

    @property
    def sha256(self) -> str:
        """Of the weights, whatever file they came from."""
        digest = hashlib.sha256()
        for name, tensor in sorted(self._model.state_dict().items()):
            digest.update(name.encode())
            digest.update(tensor.numpy().tobytes())
        return digest.hexdigest()

    def encode(self, captions: Sequence[str]) -> Float32Array:
        """Float32 [N, t]; a caption beyond the model's length is cut."""
        vectors = []
        for start in range(0, len(captions), BATCH):
            tokens = self._tokenizer(
                list(captions[start : start + BATCH]),
                padding=True,
                truncation=True,
                max_length=self._length,
                return_tensors="pt",
            )
            with torch.no_grad():
                vectors.append(
                    self._model(
                        input_ids=tokens["input_ids"], attention_mask=tokens["attention_mask"]
                    ).text_embeds.numpy()
                )
        return np.concatenate(vectors)
