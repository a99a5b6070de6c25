"""Settings, read once from the environment (``GEOFIX_…``) and an optional ``.env`` file.

Each area has a model of its own; one name in the environment belongs to one field of one of them.
"""

from __future__ import annotations

from functools import lru_cache

from pydantic_settings import BaseSettings, SettingsConfigDict

from geofix.settings.access import AccessSettings
from geofix.settings.engine import EngineSettings
from geofix.settings.jobs import JobSettings
from geofix.settings.lmm import LmmPrompt, LmmSettings
from geofix.settings.qdrant import QdrantLayout, QdrantSettings
from geofix.settings.service import ServiceSettings

__all__ = ["LmmPrompt", "QdrantLayout", "Settings", "settings"]


class Settings(
    EngineSettings,
    QdrantSettings,
    LmmSettings,
    ServiceSettings,
    JobSettings,
    AccessSettings,
    BaseSettings,
):
    """Everything an operator may set; the defaults need no server, key or network."""

    model_config = SettingsConfigDict(env_prefix="GEOFIX_", env_file=".env", extra="ignore")


@lru_cache(maxsize=1)
def settings() -> Settings:
    """The settings of this process."""
    return Settings()
