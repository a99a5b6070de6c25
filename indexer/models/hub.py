"""Checkpoints from the Hugging Face hub: one revision, every file's hash checked."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path

from huggingface_hub import HfApi, snapshot_download
from huggingface_hub.errors import (
    GatedRepoError,
    HFValidationError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.hf_api import RepoSibling

from geofix.errors import InvalidSource, Unavailable

CONFIGURATION = ("config.json", "preprocessor_config.json", "processor_config.json")
WEIGHTS = (
    ("model.safetensors", "model.safetensors.index.json", "model-*.safetensors"),
    ("pytorch_model.bin", "pytorch_model.bin.index.json", "pytorch_model-*.bin"),
)
"""Names of weight files; the first group of which the repository has any is taken."""


@dataclass(frozen=True, slots=True)
class Repository:
    """A model on the hub."""

    id: str
    revision: str | None = None
    """Branch, tag or commit; None = the newest."""
    sha256: Mapping[str, str] = field(default_factory=dict)
    """Files whose content is known beforehand."""
    licence: str = ""
    """Where it is known beforehand; else what the hub says."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The files of one revision on this machine."""

    folder: Path
    source: str
    licence: str


CLIP_VIT_L14 = Repository(
    "openai/clip-vit-large-patch14",
    revision="32bd64288804d66eefd0ccbe215aa642df71cc41",
    sha256={
        "model.safetensors": "a2bf730a0c7debf160f7a6b50b3aaf3703e7e88ac73de7a314903141db026dcb"
    },
    licence="MIT",
)
"""GeoCLIP's backbone; OpenAI published CLIP's code and weights under the MIT licence."""


def fetch(repository: Repository, endpoint: str | None = None) -> Snapshot:
    """Download what is needed of a model into the hub's own cache, resuming if need be.

    A branch is resolved to its commit first, so that all files are of one revision. Raises
    :class:`Unavailable` when the hub cannot be reached, :class:`InvalidSource` when it has no
    such model or a file is not what the hub or ``repository`` says it is.
    """
    try:
        info = HfApi(endpoint=endpoint).model_info(
            repository.id, revision=repository.revision, files_metadata=True
        )
        files = _needed(info.siblings or [])
        folder = Path(
            snapshot_download(
                repository.id,
                revision=info.sha,
                allow_patterns=[file.rfilename for file in files],
                endpoint=endpoint,
            )
        )
    except InvalidSource:
        raise
    except (GatedRepoError, RepositoryNotFoundError, RevisionNotFoundError) as error:
        raise InvalidSource(
            f"The Hugging Face hub has no {repository.id!r} that is free to download "
            "(gated models need `hf auth login` first)."
        ) from error
    except HFValidationError as error:
        raise InvalidSource(
            f"{repository.id!r} is neither a folder nor the name of a model on the hub."
        ) from error
    except Exception as error:  # of whichever HTTP library the client is built on
        raise Unavailable(
            f"The Hugging Face hub cannot be reached ({type(error).__name__}). Run the command "
            "again where it can, a download goes on where it stopped; or copy the checkpoint "
            "here and name its folder."
        ) from error
    for file in files:
        _check(folder / file.rfilename, file, repository.sha256.get(file.rfilename))
    stated = info.card_data.get("license") if info.card_data else None
    licence = repository.licence or str(stated or "unknown")
    return Snapshot(folder, f"Hugging Face {repository.id} {info.sha}", licence)


def _needed(files: Sequence[RepoSibling]) -> list[RepoSibling]:
    """Configuration and one set of weights, safetensors where there are any."""
    for weights in WEIGHTS:
        chosen = [f for f in files if any(fnmatch(f.rfilename, name) for name in weights)]
        if chosen:
            return chosen + [f for f in files if f.rfilename in CONFIGURATION]
    raise InvalidSource("The model on the hub has no weights in safetensors or PyTorch format.")


def _check(path: Path, file: RepoSibling, pinned: str | None) -> None:
    """Large files carry their sha256, small ones the hash that git gives them."""
    if file.lfs is not None:
        with path.open("rb") as stream:
            actual = hashlib.file_digest(stream, "sha256").hexdigest()
        expected = {file.lfs.sha256, pinned or file.lfs.sha256}
    else:
        content = path.read_bytes()
        blob = b"blob %d\0" % len(content) + content
        actual = hashlib.sha1(blob, usedforsecurity=False).hexdigest()
        expected = {str(file.blob_id)}
    if expected != {actual}:
        path.resolve().unlink()
        raise InvalidSource(
            f"{file.rfilename} is not what the hub published. It has been removed: run the "
            "command again to fetch it anew."
        )
