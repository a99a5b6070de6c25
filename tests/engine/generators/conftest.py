"""Signs rendered with fonts from the registry, and what the generator says of them."""

from __future__ import annotations

import asyncio
import zlib
from collections import defaultdict
from collections.abc import Callable, Sequence
from importlib.resources import as_file, files

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from geofix.engine.choosing import pooling, verify
from geofix.engine.generators.text import TextGenerator
from geofix.engine.types import Channel, Embedding, Filter, Photo, Proposal, Query, UInt8Array
from geofix.geo.priors import cell_countries

_FONTS = {
    "sans": ("manimgx_fonts", "NotoSans[wght].ttf", 0),
    "italic": ("manimgx_fonts", "NotoSans-Italic[wght].ttf", 0),
    "serif": ("fontpkg_noto_serif", "files/NotoSerif[wdth,wght].ttf", 0),
    "arabic": ("manimgx_fonts", "NotoSansArabic[wght].ttf", 0),
    "hebrew": ("manimgx_fonts", "NotoSansHebrew[wght].ttf", 0),
    "devanagari": ("manimgx_fonts", "NotoSansDevanagari[wght].ttf", 0),
    "thai": ("manimgx_fonts", "NotoSansThai[wght].ttf", 0),
    "japanese": ("manimgx_fonts_cjk", "NotoSansCJK-VF.otf.ttc", 0),
    "korean": ("manimgx_fonts_cjk", "NotoSansCJK-VF.otf.ttc", 1),
    "simplified": ("manimgx_fonts_cjk", "NotoSansCJK-VF.otf.ttc", 2),
    "traditional": ("manimgx_fonts_cjk", "NotoSansCJK-VF.otf.ttc", 3),
}
_COLOURS = (
    ((255, 255, 255), (0, 80, 160)),
    ((15, 15, 15), (245, 245, 245)),
    ((20, 20, 20), (240, 205, 50)),
    ((255, 255, 255), (150, 20, 30)),
    ((250, 240, 200), (20, 90, 40)),
)
_WIDTH, _HEIGHT = 800, 600


@pytest.fixture(scope="session")
def sign() -> Callable[..., UInt8Array]:
    """``sign(lines, font)``: a street scene with a sign, the same for the same words."""

    def rendered(lines: Sequence[str], font: str, *, upright: bool = False) -> UInt8Array:
        rng = np.random.default_rng(zlib.crc32("|".join(lines).encode()))
        board = _board(lines, font, rng, upright=upright)
        scene = Image.fromarray(_scene(rng))
        corner = (
            int(rng.integers(0, max(1, _WIDTH - board.width))),
            int(rng.integers(0, max(1, _HEIGHT - board.height))),
        )
        scene.paste(board, corner, board)
        return np.asarray(scene.filter(ImageFilter.GaussianBlur(float(rng.uniform(0.2, 0.7)))))

    return rendered


def _board(
    lines: Sequence[str], font: str, rng: np.random.Generator, *, upright: bool
) -> Image.Image:
    size = int(rng.choice([40, 52, 68]))
    package, file, index = _FONTS[font]
    with as_file(files(package) / file) as path:
        face = ImageFont.truetype(str(path), size, index=index)
    ink, ground = _COLOURS[int(rng.integers(len(_COLOURS)))]
    text = "\n".join(lines[0]) if upright else "\n".join(lines)
    probe = ImageDraw.Draw(Image.new("RGB", (1, 1)))
    left, top, right, bottom = probe.multiline_textbbox((0, 0), text, font=face, spacing=size // 3)
    board = Image.new("RGB", (int(right - left) + size, int(bottom - top) + size), ground)
    at = (size / 2 - left, size / 2 - top)
    draw = ImageDraw.Draw(board)
    draw.multiline_text(at, text, font=face, fill=ink, spacing=size // 3, align="center")
    board.thumbnail((_WIDTH - 80, _HEIGHT - 80))
    turned = board.convert("RGBA").rotate(
        float(rng.uniform(-4, 4)), expand=True, resample=Image.Resampling.BICUBIC
    )
    return turned


def _scene(rng: np.random.Generator) -> UInt8Array:
    sky = np.linspace(0, 1, _HEIGHT)[:, None, None]
    colours = rng.uniform(60, 220, (2, 3))
    picture = colours[0] * (1 - sky) + colours[1] * sky + np.zeros((_HEIGHT, _WIDTH, 3))
    corners = rng.integers((0, 0), (_WIDTH, _HEIGHT), (6, 2))
    sizes = rng.integers(30, 180, (6, 2))
    for (x, y), (w, h) in zip(corners, sizes, strict=True):
        picture[y : y + h, x : x + w] = rng.uniform(40, 220, 3)
    noisy: UInt8Array = np.clip(picture + rng.normal(0, 6, picture.shape), 0, 255).astype(np.uint8)
    return noisy


@pytest.fixture(scope="session")
def generator() -> TextGenerator:
    """The built-in reader alone, whether Tesseract is installed or not."""
    return TextGenerator(budget_s=8, tesseract="")


@pytest.fixture(scope="session")
def propose() -> Callable[..., Proposal]:
    """``propose(generator, pixels, where=Filter())``."""

    def proposed(
        generator: TextGenerator, pixels: UInt8Array, where: Filter | None = None
    ) -> Proposal:
        return asyncio.run(generator.propose(query_of(pixels, where or Filter())))

    return proposed


@pytest.fixture(scope="session")
def ranking() -> Callable[[Proposal], list[str]]:
    """Country codes by probability once the proposal alone has met the prior."""

    def ranked(proposal: Proposal) -> list[str]:
        query = query_of(np.zeros((2, 2, 3), np.uint8), Filter())
        pool = pooling.gather([], [proposal], query)
        fused = pooling.fuse(pool, [proposal], Filter(), verify.Trust())
        mass: defaultdict[str, float] = defaultdict(float)
        for code, share in zip(pool.countries, fused.kernels.mass, strict=True):
            mass[code] += float(share)
        codes = cell_countries()[fused.background.cell]
        for code in np.unique(codes):
            mass[str(code)] += float(fused.background.mass[codes == code].sum())
        return sorted(mass, key=lambda code: -mass[code])

    return ranked


@pytest.fixture(scope="session")
def ranking_without(ranking: Callable[[Proposal], list[str]]) -> list[str]:
    """The same with text off."""
    return ranking(Proposal(Channel.TEXT))


def query_of(pixels: UInt8Array, where: Filter) -> Query:
    height, width = pixels.shape[:2]
    photo = Photo(pixels, sha256="", width=width, height=height, format="JPEG")
    return Query(photo, Embedding(np.ones(1, np.float32)), (), where)
