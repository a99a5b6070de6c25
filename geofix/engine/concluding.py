"""The last two stages, beside the event loop."""

from __future__ import annotations

import asyncio

from geofix.engine.choosing.conclude import Findings, conclude, weighed
from geofix.engine.stages import Stopwatch
from geofix.engine.types import LocateOptions, Prediction


async def concluded(found: Findings, options: LocateOptions, clock: Stopwatch) -> Prediction:
    """Candidates are verified, and everything becomes one Prediction."""
    verified = await clock.stage("verify", asyncio.to_thread(weighed, found))
    return await clock.stage("posterior", asyncio.to_thread(conclude, found, options, verified))
