"""What the probes answer."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel


class Alive(BaseModel):
    """The process runs and its event loop turns."""

    status: Literal["alive"] = "alive"


class Ready(BaseModel):
    """The model is warm and the galleries are open."""

    status: Literal["ready"] = "ready"
    encoder: str
