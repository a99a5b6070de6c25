"""Settings, read once from the environment (``GEOFIX_…``) and an optional ``.env`` file.

Each area has a model of its own; one name in the environment belongs to one field of one of them.
"""

from __future__ import annotations

import re
from functools import lru_cache

from pydantic import ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict, SettingsError

from geofix.errors import InvalidOption
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
    """The settings of this process. Raises InvalidOption, which names those that are wrong."""
    try:
        return Settings()
    except ValidationError as error:
        wrong = [f"{_variable(entry['loc'][0])}: {entry['msg']}." for entry in error.errors()]
    except SettingsError as error:
        field = re.search(r'"(\w+)"', str(error))
        wrong = [f"{_variable(field[1] if field else '…')}: that is not valid JSON."]
    # Outside of the handlers: what pydantic raised holds the values, and one may be a key.
    raise InvalidOption(" ".join(dict.fromkeys(wrong)))


def _variable(field: int | str) -> str:
    return f"GEOFIX_{field}".upper()
