"""infinity: its engine on CLIP ViT-B/32 with random weights, as it opens no ONNX image models.

Its own server takes pictures by address or as base64 in JSON; here its engine, which does the
decoding and batching, stands behind the raw bodies that the others get.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import uvicorn
from fastapi import FastAPI, Request
from infinity_emb import AsyncEmbeddingEngine, EngineArgs  # type: ignore[import-not-found]
from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel, CLIPTokenizer


def checkpoint(folder: str) -> None:
    """A CLIP with random weights, and a tokenizer of three words."""
    CLIPModel(CLIPConfig(projection_dim=512)).save_pretrained(folder)
    words = {"<|startoftext|>": 49406, "<|endoftext|>": 49407, "a</w>": 2}
    Path(folder, "vocab.json").write_text(json.dumps(words))
    Path(folder, "merges.txt").write_text("#version: 0.2\n")
    CLIPTokenizer.from_pretrained(folder).save_pretrained(folder)
    CLIPImageProcessor().save_pretrained(folder)


def serve(port: int, folder: str) -> None:
    """Open the engine and answer."""
    arguments = EngineArgs(
        model_name_or_path=folder, engine="torch", device="cpu", batch_size=8, dtype="float32"
    )
    engine = AsyncEmbeddingEngine.from_args(arguments)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with engine:
            yield

    app = FastAPI(lifespan=lifespan)

    @app.post("/embed")
    async def embed(request: Request) -> dict[str, list[float]]:
        vectors, _ = await engine.image_embed(images=[await request.body()])
        return {"vector": vectors[0].tolist()}

    uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as made:
        checkpoint(made)
        serve(int(sys.argv[1]), made)
