"""Asking a large multimodal model where a photo was taken.

``generator`` is the whole; ``prompts`` and ``questions`` say what is asked, ``endpoint``,
``dialect`` and ``asking`` how, ``spending`` and ``breaker`` how much and how long, ``chat``,
``notations``, ``degrees`` and ``reading`` what an answer says.
"""

from geofix.engine.generators.lmm.generator import LmmGenerator
from geofix.engine.generators.lmm.questions import Thumbnails

__all__ = ["LmmGenerator", "Thumbnails"]
