"""The server that indexes galleries, where it is not the embedded one."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, SecretStr


class QdrantLayout(BaseModel):
    """How a gallery's collections are laid out on a Qdrant server."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    shards: Annotated[int, Field(ge=1, le=1024)] = 1
    """Parts of a collection; one for each node of a cluster or a few times as many."""
    replicas: Annotated[int, Field(ge=1, le=16)] = 1
    """Nodes that hold each part."""
    on_disk: bool = True
    """Keep full vectors and payloads on the disk; int8 copies and the graph stay in memory."""


class QdrantSettings(BaseModel):
    """The server that indexes galleries, where it is not the embedded one."""

    qdrant_url: str = Field(
        default="",
        description="Qdrant server that indexes the galleries, with its gRPC port: "
        "http://qdrant:6334; empty = the embedded one.",
    )
    qdrant_api_key: SecretStr = Field(default=SecretStr(""), description="Key of that server.")
    qdrant_deadline_s: Annotated[float, Field(gt=0)] = Field(
        default=10.0, description="Longest wait for one answer of that server, in seconds."
    )
    qdrant_layout: QdrantLayout = Field(
        default=QdrantLayout(), description="Shards, replicas and storage there, as JSON."
    )
