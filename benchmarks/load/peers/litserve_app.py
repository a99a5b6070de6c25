"""LitServe: batches of 8, waiting at most 5 ms for more. It takes no raw bodies: JSON, base64."""

from __future__ import annotations

import base64
import sys

import litserve as ls  # type: ignore[import-not-found]
import numpy as np
from one_model import encode, opened, prepare  # type: ignore[import-not-found]


class Embed(ls.LitAPI):  # type: ignore[misc]
    def setup(self, device: str) -> None:
        self.session = opened()

    def decode_request(self, request: dict[str, str]) -> np.ndarray:
        inputs: np.ndarray = prepare(base64.b64decode(request["photo"]))
        return inputs

    def batch(self, inputs: list[np.ndarray]) -> np.ndarray:
        return np.stack(inputs)

    def predict(self, batch: np.ndarray) -> np.ndarray:
        vectors: np.ndarray = encode(self.session, batch)
        return vectors

    def unbatch(self, vectors: np.ndarray) -> list[np.ndarray]:
        return list(vectors)

    def encode_response(self, vector: np.ndarray) -> dict[str, list[float]]:
        return {"vector": vector.tolist()}


if __name__ == "__main__":
    api = Embed(max_batch_size=8, batch_timeout=0.005)
    server = ls.LitServer(api, accelerator="cpu", timeout=120)
    server.run(host="127.0.0.1", port=int(sys.argv[1]), generate_client_file=False)
