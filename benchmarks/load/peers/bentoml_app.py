"""BentoML: adaptive batches of at most 8; photos are decoded by the service in front."""

import asyncio
from pathlib import Path

import bentoml  # type: ignore[import-not-found]
import numpy as np
from one_model import encode, opened, prepare  # type: ignore[import-not-found]


@bentoml.service(traffic={"timeout": 120})
class Model:
    def __init__(self) -> None:
        self.session = opened()

    @bentoml.api(batchable=True, max_batch_size=8, max_latency_ms=60_000)  # type: ignore[untyped-decorator]
    def encode(self, batch: np.ndarray) -> np.ndarray:
        vectors: np.ndarray = encode(self.session, batch)
        return vectors


@bentoml.service(traffic={"timeout": 120})
class Embed:
    model = bentoml.depends(Model)

    @bentoml.api  # type: ignore[untyped-decorator]
    async def embed(self, photo: Path, /) -> dict[str, list[float]]:
        inputs = await asyncio.to_thread(lambda: prepare(photo.read_bytes()))
        vectors = await self.model.to_async.encode(inputs[None])
        return {"vector": vectors[0].tolist()}
