"""A thousand damaged photos through the whole service: each is answered, and none hurts it."""

from __future__ import annotations

import asyncio
import io
import random
import subprocess
from collections import Counter
from pathlib import Path

import httpx
from PIL import Image

PHOTOS = 1_000
AT_ONCE = 16
LONG_S = 60.0
GROWTH_MB = 60.0
EXPECTED = {200, 400, 413, 415, 422}
MAGIC = (b"\x00", b"\xff", b"\x7f", b"\x80", b"\xff\xff\xff\xff", b"\x00\x00\x00\x00", b"\xff\xda")


def seeds(picture: Image.Image) -> list[bytes]:
    """Small photos of every kind that is read."""
    small = picture.resize((96, 72))
    made = []
    for kind, options in (
        ("JPEG", {}),
        ("JPEG", {"progressive": True}),
        ("PNG", {}),
        ("WEBP", {}),
        ("WEBP", {"lossless": True}),
    ):
        stream = io.BytesIO()
        small.save(stream, kind, **options)
        made.append(stream.getvalue())
    stream = io.BytesIO()
    small.convert("RGBA").quantize(16).save(stream, "PNG")
    return [*made, stream.getvalue()]


def mutated(data: bytes, chance: random.Random) -> bytes:
    """One to six cuts, flips, copies, swaps and insertions, most of them near the front."""
    changed = bytearray(data)
    for _ in range(chance.randint(1, 6)):
        size = max(1, len(changed))
        at = min(int(chance.expovariate(4 / size)), size - 1)
        match chance.randrange(6):
            case 0:
                changed[at : at + 1] = bytes([chance.randrange(256)])
            case 1:
                changed[at : at + 4] = chance.choice(MAGIC)
            case 2:
                del changed[at : at + chance.randint(1, 64)]
            case 3:
                changed[at:at] = chance.randbytes(chance.randint(1, 64))
            case 4:
                end = at + chance.randint(1, 256)
                changed[at:at] = changed[at:end]
            case _:
                del changed[chance.randrange(size) :]
    return bytes(changed) or b"\x00"


def memory_mb(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) / 1024


def test_a_thousand_damaged_photos(
    address: str,
    client: httpx.Client,
    service: subprocess.Popen[bytes],
    picture: Image.Image,
) -> None:
    chance = random.Random(20_240_601)  # noqa: S311 - the same photos every time
    originals = seeds(picture)
    photos = [mutated(chance.choice(originals), chance) for _ in range(PHOTOS)]

    async def send_all(photos: list[bytes]) -> Counter[int]:
        limit = asyncio.Semaphore(AT_ONCE)

        async def send(one: httpx.AsyncClient, photo: bytes) -> int:
            async with limit:
                answer = await one.post(
                    "/v1/embed/image", content=photo, headers={"Content-Type": "image/jpeg"}
                )
            kind = answer.headers["Content-Type"]
            assert kind == (
                "application/json" if answer.status_code == 200 else "application/problem+json"
            )
            return answer.status_code

        async with httpx.AsyncClient(base_url=address, timeout=LONG_S) as one:
            return Counter(await asyncio.gather(*(send(one, photo) for photo in photos)))

    asyncio.run(send_all(photos[: PHOTOS // 4]))  # decoders and allocators warm up
    before = memory_mb(service.pid)
    codes = asyncio.run(send_all(photos))
    grown = memory_mb(service.pid) - before
    # 503 is a documented answer, but sixteen at once are no overload.
    assert set(codes) <= EXPECTED, codes
    assert codes[422] > PHOTOS / 4, codes
    assert codes[200] > PHOTOS / 50, codes
    assert grown < GROWTH_MB
    assert client.get("/readyz").status_code == 200
