"""Settings, read once from the environment (``GEOFIX_…``) and an optional ``.env`` file."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Annotated

from platformdirs import user_data_path
from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """Everything an operator may set; the defaults need no server, key or network."""

    model_config = SettingsConfigDict(env_prefix="GEOFIX_", env_file=".env", extra="ignore")

    data_dir: Path = Field(
        default_factory=lambda: user_data_path("geofix"),
        description="Where galleries, pulled models and the lock of the owner live.",
    )
    model: str = Field("lite", description="Name of the encoder in the model manifest.")
    gallery: str = Field("default", description="Gallery searched when a request names none.")
    threads: Annotated[int, Field(ge=0)] = Field(
        0, description="Threads of one encoder session; 0 = one per physical core."
    )
    neighbours: Annotated[int, Field(ge=1, le=1000)] = Field(
        50, description="Gallery photos retrieved for one query."
    )
    host: str = Field("127.0.0.1", description="Address the service listens on.")
    port: Annotated[int, Field(ge=1, le=65535)] = Field(8000, description="Port of the service.")
    max_body_bytes: Annotated[int, Field(ge=1)] = Field(
        20 * 1024 * 1024, description="Largest request body, in bytes."
    )
    text_budget_s: Annotated[float, Field(gt=0)] = Field(
        8.0, description="Wall-clock limit of reading text in one photo, in seconds."
    )
    attributes_budget_s: Annotated[float, Field(gt=0)] = Field(
        1.0, description="Wall-clock limit of weighing visible attributes, in seconds."
    )


@lru_cache(maxsize=1)
def settings() -> Settings:
    """The settings of this process."""
    return Settings()
