"""The file of a backup: galleries as snapshots, everything else as it lies in the data directory.

Files are taken while the service writes. What is only appended to (audit, truths) may end in half
a line, which its readers pass over. Objects of jobs are written whole and once, inputs before the
manifest, results before the mark that the job has ended, and inputs go when there are results. So
marks are taken first, then inputs, then results: none is missing that another speaks of. Last come
the manifests that were there at first and still are, without which there is no job.
"""

from __future__ import annotations

import re
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import Self
from urllib.parse import unquote, urlsplit

from geofix.engine.gallery.directory import SCHEMA_FILE, require_schema
from geofix.engine.gallery.durable import sync_directory
from geofix.engine.gallery.sealed import SealedReader, SealedWriter
from geofix.errors import Conflict, InvalidSource
from geofix.settings import Settings

KEPT = (SCHEMA_FILE, "keys.json", "worker.key", "feedback.jsonl", "audit", "calibrations")
"""What is taken as it lies, beside models and jobs."""
LEFT_OUT = ("snapshots", "valkey", "run", "spool", "align")
"""What can be made again, or is a copy itself."""

_MODELS, _OBJECTS = "models", "objects"
_GALLERIES, _FILES = "galleries/", "files/"
_UNFINISHED = re.compile(r".*(\.lock|\.writing|#\d+)")
_ALWAYS = {"owner.json", "owner.lock", SCHEMA_FILE}
_MARKS, _MANIFEST = "marks", "manifest.json"
_RESULTS = ("kept", "tries", "results")


def objects_folder(config: Settings) -> Path | None:
    """Where the objects of jobs lie; None where that is no folder."""
    url = config.object_store_url
    if url.startswith("file://"):
        return Path(unquote(urlsplit(url).path))
    return None if url else config.data_dir / _OBJECTS


def copy_files(writer: SealedWriter, config: Settings) -> int:
    """Add everything but the galleries to a backup; how many files these were."""
    count = 0
    for name, path in wanted(config.data_dir, objects_folder(config)):
        try:
            writer.add(f"{_FILES}{name}", path)
        except FileNotFoundError:
            continue  # removed since: a job that was deleted, a day of the audit that is over
        count += 1
    return count


def require_empty(config: Settings) -> None:
    """Raise Conflict where a data directory, or the folder of jobs, holds anything already."""
    folders = [config.data_dir, objects_folder(config) or config.data_dir]
    paths = {path for folder in folders if folder.exists() for path in folder.iterdir()}
    if held := sorted(path.name for path in paths if path.name not in _ALWAYS):
        raise Conflict(
            f"The data directory holds {', '.join(held)[:200]} already. Restore into an empty one."
        )


def put_files(held: Backup, config: Settings) -> None:
    """Write everything but the galleries where it lay.

    Raises Conflict for a newer Geofix's, and for jobs where these lie in no folder.
    """
    if SCHEMA_FILE in held.files:
        require_schema(held.read_file(SCHEMA_FILE))
    objects = objects_folder(config)
    if objects is None and any(name.startswith(f"{_OBJECTS}/") for name in held.files):
        raise Conflict("The backup holds jobs from a folder. Leave GEOFIX_OBJECT_STORE_URL out.")
    for name in held.files:
        kind, _, rest = name.partition("/")
        to = objects / rest if kind == _OBJECTS and objects else config.data_dir / name
        held.extract_file(name, to)
        sync_directory(to.parent)


class Backup:
    """A backup's file. Opening it raises InvalidSource where it is none, or damaged."""

    def __init__(self, file: Path) -> None:
        try:
            self._sealed = SealedReader(file)
        except (OSError, ValueError, KeyError, tarfile.TarError) as error:
            raise InvalidSource("This is no backup, or it is damaged.") from error
        names = self._sealed.names
        self.files = [name.removeprefix(_FILES) for name in names if name.startswith(_FILES)]
        self.galleries = [PurePosixPath(n).stem for n in names if n.startswith(_GALLERIES)]
        known = {_FILES + name for name in self.files if _inside(name)}
        known |= {f"{_GALLERIES}{name}.tar" for name in self.galleries}
        if known != {*names}:
            self._sealed.__exit__(None, None, None)
            raise InvalidSource("This is no backup: it holds what none has.")

    def read_file(self, name: str) -> bytes:
        """One of ``files``."""
        return self._sealed.read(_FILES + name)

    def extract_file(self, name: str, to: Path) -> None:
        """Write one of ``files``."""
        self._sealed.extract(_FILES + name, to)

    def extract_gallery(self, name: str, to: Path) -> None:
        """Write the snapshot of one of ``galleries``."""
        self._sealed.extract(f"{_GALLERIES}{name}.tar", to)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._sealed.__exit__(kind, error, trace)


def wanted(data_dir: Path, objects: Path | None) -> Iterator[tuple[str, Path]]:
    """The files to take and their names, each looked for in its turn; it may be gone by then."""
    for name in (*KEPT, _MODELS):
        for path in _below(data_dir / name):
            yield path.relative_to(data_dir).as_posix(), path
    if objects is not None:
        for path in _of_jobs(objects):
            yield f"{_OBJECTS}/{path.relative_to(objects).as_posix()}", path


def _of_jobs(objects: Path) -> Iterator[Path]:
    """The objects of jobs, looked for anew at every turn; see above."""

    def found(wanted: Callable[[str], bool]) -> list[Path]:
        return [path for path in _below(objects) if wanted(_kind(path.relative_to(objects)))]

    acknowledged = found(lambda kind: kind == _MANIFEST)
    yield from found(lambda kind: kind in ("", _MARKS))
    yield from found(lambda kind: kind not in ("", _MARKS, _MANIFEST, *_RESULTS))  # inputs
    yield from found(lambda kind: kind in _RESULTS)
    yield from acknowledged


def _kind(path: Path) -> str:
    """What an object is to its job: the name that stands below the job's."""
    return path.parts[2] if path.parts[0] == "jobs" and len(path.parts) > 2 else ""


def _below(path: Path) -> list[Path]:
    files = sorted(path.rglob("*")) if path.is_dir() else [path]
    return [file for file in files if file.is_file() and not _UNFINISHED.fullmatch(file.name)]


def _inside(name: str) -> bool:
    """Whether a name leads into the data directory, to where backups take files from."""
    parts = PurePosixPath(name).parts
    return ".." not in parts and parts[:1] != () and parts[0] in {*KEPT, _MODELS, _OBJECTS}
