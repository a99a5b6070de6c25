"""Photos that are ingested beside a service's own work: the same vectors, behind persons'."""

from __future__ import annotations

import asyncio
import io

import numpy as np
import pytest
from PIL import Image

from geofix.engine import models
from geofix.engine.batching import Batcher, Limits
from geofix.engine.encoder import Encoder
from geofix.engine.gallery.sight import OwnSight, QueuedSight
from geofix.engine.types import Lane
from geofix.errors import InvalidPhoto


def test_a_services_line_sees_what_an_own_encoder_sees(jpeg: bytes, picture: Image.Image) -> None:
    stream = io.BytesIO()
    picture.rotate(90).save(stream, "PNG")
    png = stream.getvalue()
    card = models.built_in()["lite"]
    batcher = Batcher([lambda: Encoder.load(card)], Limits(size=2, decoders=1))

    async def look() -> None:
        queued, own = QueuedSight(batcher), OwnSight(batcher.encoder)
        seen = [await queued.look(data) for data in (jpeg, png)]
        assert [one.passing.lane for one in seen if one.passing] == [Lane.BATCH, Lane.BATCH]
        alone = [await own.look(data) for data in (jpeg, png)]
        for one, other in zip(seen, alone, strict=True):
            assert np.array_equal(one.photo.pixels, other.photo.pixels)
        expected = await own.embeddings(alone)
        for found, wanted in zip(await queued.embeddings(seen), expected, strict=True):
            np.testing.assert_allclose(found.vector, wanted.vector, atol=1e-5)
        with pytest.raises(InvalidPhoto):
            await queued.look(jpeg[:200])

    try:
        asyncio.run(look())
    finally:
        batcher.close()
