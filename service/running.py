"""What a running service holds, typed: the one engine, the answers it gave, the settings."""

from __future__ import annotations

from typing import cast

from fastapi import FastAPI, Request

from geofix.engine.locate import Locator
from geofix.errors import Unavailable
from geofix.settings import Settings
from service.audit import Audit
from service.feedback.answers import AnswersGiven
from service.locate.cache import AnswerCache


def attach(app: FastAPI, locator: Locator | None) -> None:
    """Make ``app`` answer with this engine, or with 503 when there is none."""
    app.state.locator = locator


def opened(app: FastAPI) -> Locator | None:
    """The engine, ready or not; None before it is opened and after it is closed."""
    return cast("Locator | None", app.state.locator)


def locator_of(request: Request) -> Locator:
    """The service's engine. Raises Unavailable before it is up and while it goes down."""
    locator = opened(request.app)
    if locator is None or not locator.ready:
        raise Unavailable("The model is not ready. Try again in a few seconds.", retry_after_s=2)
    return locator


def settings_of(request: Request) -> Settings:
    """The settings the service runs with."""
    return cast("Settings", request.app.state.settings)


def answers_of(request: Request) -> AnswersGiven:
    """The answers given lately."""
    return cast("AnswersGiven", request.app.state.answers)


def cache_of(request: Request) -> AnswerCache:
    """The answers kept for repeats."""
    return cast("AnswerCache", request.app.state.cache)


def audit_of(request: Request) -> Audit:
    """The audit of who asked what."""
    return cast("Audit", request.app.state.audit)
