"""The model, how it computes, and how long an answer may take."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from platformdirs import user_data_path
from pydantic import BaseModel, Field


class EngineSettings(BaseModel):
    """The model, how it computes, and how long an answer may take."""

    data_dir: Path = Field(
        default_factory=lambda: user_data_path("geofix"),
        description="Where galleries, pulled models and the lock of the owner live.",
    )
    model: str = Field(default="lite", description="Name of the encoder in the model manifest.")
    gallery: str = Field(
        default="default", description="Gallery searched when a request names none."
    )
    threads: Annotated[int, Field(ge=0)] = Field(
        default=0, description="Threads of one encoder session; 0 = one per physical core."
    )
    devices: tuple[str, ...] = Field(
        default=("auto",),
        min_length=1,
        description="Where the encoder runs, as JSON: cpu, cuda:0, tensorrt:0 …, one session on "
        "each; auto = the first GPU if there is one.",
    )
    fp16: bool = Field(default=False, description="Let GPUs compute in half precision.")
    batch_size: Annotated[int, Field(ge=0, le=256)] = Field(
        default=0, description="Photos encoded at once; 0 = what is measured to be quickest."
    )
    decoders: Annotated[int, Field(ge=0, le=256)] = Field(
        default=0, description="Threads that decode photos; 0 = one per core."
    )
    max_wait_s: Annotated[float, Field(gt=0)] = Field(
        default=5.0,
        description="A photo is refused (503) when it would wait longer for its embedding.",
    )
    batch_max_wait_s: Annotated[float, Field(gt=0)] = Field(
        default=60.0, description="The same for photos of batch jobs, which let others pass."
    )
    search_budget_s: Annotated[float, Field(gt=0)] = Field(
        default=5.0,
        description="Wall-clock limit of searching a gallery for one answer, in seconds.",
    )
    neighbours: Annotated[int, Field(ge=1, le=1000)] = Field(
        default=50, description="Gallery photos retrieved for one query."
    )
    budget_s: Annotated[float, Field(gt=0)] = Field(
        default=30.0,
        description="Wall-clock limit of one answer, in seconds, where a request sets none: "
        "generators that are not done by then are left out.",
    )
    text_budget_s: Annotated[float, Field(gt=0)] = Field(
        default=8.0, description="Wall-clock limit of reading text in one photo, in seconds."
    )
    attributes_budget_s: Annotated[float, Field(gt=0)] = Field(
        default=5.0, description="Wall-clock limit of weighing visible attributes, in seconds."
    )
    thumbnails: bool = Field(
        default=False,
        description="Keep a small picture, without metadata, of every photo added to a gallery; "
        "a request may say otherwise.",
    )
    require_licence: bool = Field(
        default=False, description="Refuse photos whose licence nobody names."
    )
    require_contributor: bool = Field(
        default=False, description="Refuse photos whose contributor nobody names."
    )
    default_licence: str = Field(
        default="", description="Licence of photos that come without one, as its SPDX identifier."
    )
    default_contributor: str = Field(
        default="", description="Contributor of photos that come without one."
    )
    contributor_max_photos: Annotated[int, Field(ge=0)] = Field(
        default=0, description="Photos that a gallery takes of one contributor; 0 = no limit."
    )
    version_grace_h: Annotated[float, Field(ge=0)] = Field(
        default=24.0,
        description="Hours for which a gallery's version that is out of use can be gone back to.",
    )
    keep_s: Annotated[float, Field(gt=0)] = Field(
        default=600.0, description="Seconds for which an answer with keep=true can be refined."
    )
    keep_bytes: Annotated[int, Field(ge=0)] = Field(
        default=64 * 1024 * 1024, description="Memory for what is kept to refine, in bytes."
    )
