"""Asking a language model, where what is known of a photo says that it is worth its price."""

from __future__ import annotations

from dataclasses import replace

from geofix.engine import retrieval, searching
from geofix.engine.choosing.conclude import Findings
from geofix.engine.concluding import concluded
from geofix.engine.eyes import View
from geofix.engine.generators import router
from geofix.engine.generators.lmm import LmmGenerator
from geofix.engine.stages import Stopwatch, propose_all
from geofix.engine.types import Channel, Degradation, LocateOptions
from geofix.settings import Settings

_LEAST_S = 0.5
"""Of an answer's budget: with less left, no language model is asked."""


async def consult(
    lmm: LmmGenerator,
    view: View,
    found: Findings,
    options: LocateOptions,
    settings: Settings,
    clock: Stopwatch,
) -> Findings:
    """The findings and, where this photo is worth asking about, what the language model says."""
    sketch = await concluded(found, replace(options, heatmap=False), clock)
    query = found.query
    signals = router.Signals.of(
        sketch,
        query.embedding,
        affordable=query.left_s() >= _LEAST_S and lmm.affords(query.account),
    )
    always = options.rule.asks_every_time
    decision = router.decide((str(Channel.LMM),) if always else options.generators, signals)
    if decision.degraded:
        return found.joined((), [Degradation(str(Channel.LMM), decision.degraded)])
    if not decision.ask:
        return found
    opened = await searching.opened(view, options.galleries, settings)
    dissimilar = await retrieval.farthest(opened.galleries, query, lmm.references)
    return found.joined(*await propose_all([lmm], replace(query, dissimilar=dissimilar), clock))
