"""From a photo to what its sender is told: kept answers, the cap, the audit, feedback.

Every answer leaves through ``told``: no endpoint hands one out by itself.
"""

from __future__ import annotations

import asyncio
import hashlib

from fastapi import Request

from geofix.engine.locate import Locator
from geofix.engine.types import LocateOptions, Prediction
from service import precision
from service.audit import Action
from service.auth.access import caller_of
from service.disconnect import unless_disconnected
from service.headers import tell
from service.locate.cache import AnswerCache
from service.locate.options import Refinement
from service.locate.schemas import Answer
from service.request_id import request_id
from service.running import answers_of, audit_of, cache_of, settings_of


async def located(
    request: Request, locator: Locator, data: bytes, asked: LocateOptions
) -> Answer | Prediction:
    """The answer to a photo: one that is kept, or a new one, which is kept where it may be."""
    cache = cache_of(request)
    if not cache.keeps or asked.keep or not _may_be_kept(request):
        return await unless_disconnected(request, locator.locate(data, asked))
    key = await _key(cache, locator, data, asked)
    kept = await cache.get(key)
    if kept is not None:
        tell(request.scope, {"Cache-Status": "geofix; hit", "Age": str(kept.age_s)})
        return await asyncio.to_thread(Answer.model_validate_json, kept.text)
    tell(request.scope, {"Cache-Status": "geofix; fwd=miss"})
    prediction = await unless_disconnected(request, locator.locate(data, asked))
    if prediction.cap_km is not None or prediction.degraded:
        return prediction  # the policy is to be asked again; what failed may work next time
    answer = await asyncio.to_thread(Answer.of, prediction)
    await cache.put(key, await asyncio.to_thread(answer.model_dump_json))
    return answer


async def told(
    request: Request, whole: Answer | Prediction, options: Refinement, action: Action
) -> str:
    """The answer as this caller may know it, as JSON; audited, and remembered for feedback."""
    caller = caller_of(request)
    caps = [caller.cap_km, whole.cap_km if isinstance(whole, Prediction) else None]
    cap_km = max((cap for cap in caps if cap is not None), default=None)
    answer = await asyncio.to_thread(_coarsened, whole, cap_km)
    await audit_of(request).record(
        action,
        request=request_id(request.scope),
        account=caller.account,
        sha256=answer.photo.sha256,
        options=options.strings(),
        radius_90_km=answer.radius_90_km,
    )
    if not caller.no_store:
        answers_of(request).remember(answer, caller.account)
    return await asyncio.to_thread(answer.model_dump_json)


def _coarsened(whole: Answer | Prediction, cap_km: float | None) -> Answer:
    answer = Answer.of(whole) if isinstance(whole, Prediction) else whole
    return precision.coarsened(answer, cap_km)


def _may_be_kept(request: Request) -> bool:
    asked = request.headers.get("cache-control", "").lower()
    return not (
        caller_of(request).no_store
        or settings_of(request).privacy_hook  # it sees every photo
        or "no-store" in asked
    )


async def _key(cache: AnswerCache, locator: Locator, data: bytes, asked: LocateOptions) -> str:
    sha256 = await asyncio.to_thread(lambda: hashlib.sha256(data).hexdigest())
    infos = await locator.galleries_of(asked)
    return await cache.key(sha256, asked, locator.encoder.name, infos)
