"""Photos that are ingested beside a service's own work: the same vectors, behind persons'."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Sequence

import numpy as np
from PIL import Image

from geofix.engine import models
from geofix.engine.batching import Batcher, Limits
from geofix.engine.encoder import Encoder
from geofix.engine.gallery.sight import OwnSight, QueuedSight, Seen
from geofix.engine.types import Lane
from geofix.errors import InvalidPhoto


def test_a_services_line_sees_what_an_own_encoder_sees(jpeg: bytes, picture: Image.Image) -> None:
    stream = io.BytesIO()
    picture.rotate(90).save(stream, "PNG")
    png = stream.getvalue()
    card = models.built_in()["lite"]
    batcher = Batcher([lambda: Encoder.load(card)], Limits(size=2, decoders=1))

    def whole(looked: Sequence[Seen | InvalidPhoto]) -> list[Seen]:
        return [one for one in looked if isinstance(one, Seen)]

    async def look() -> None:
        queued, own = QueuedSight(batcher), OwnSight(batcher.encoder)
        seen = whole(await queued.look([jpeg, png]))
        assert [one.passing.lane for one in seen if one.passing] == [Lane.BATCH, Lane.BATCH]
        alone = whole(await own.look([jpeg, png]))
        for one, other in zip(seen, alone, strict=True):
            assert np.array_equal(one.photo.pixels, other.photo.pixels)
        expected = await own.embeddings(alone)
        for found, wanted in zip(await queued.embeddings(seen), expected, strict=True):
            np.testing.assert_allclose(found.vector, wanted.vector, atol=1e-5)
        for sight in (queued, own):
            first, second = await sight.look([jpeg[:200], png])
            assert isinstance(first, InvalidPhoto)
            assert isinstance(second, Seen)

    try:
        asyncio.run(look())
    finally:
        batcher.close()
