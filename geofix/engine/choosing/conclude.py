"""The last stage: everything found about a photo becomes one Prediction."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from geofix.engine.choosing import answer, pooling, rules, verify
from geofix.engine.choosing.posterior import Posterior
from geofix.engine.choosing.scorer import SURE_ENOUGH, Figures
from geofix.engine.types import (
    LEVELS_KM,
    Abstention,
    Degradation,
    GalleryInfo,
    LocateOptions,
    Neighbour,
    PhotoInfo,
    Prediction,
    Proposal,
    Query,
    Rule,
)
from geofix.geo.places import reverse


@dataclass(frozen=True, slots=True)
class Findings:
    """What the stages before found."""

    query: Query
    encoder: str
    galleries: tuple[GalleryInfo, ...]
    proposals: tuple[Proposal, ...] = ()
    degraded: tuple[Degradation, ...] = ()
    look: verify.Look | None = None
    """The photo in location space; None where neither encoder nor bridge leads there."""
    nearest: Neighbour | None = None
    """The gallery photo whose place is most like the photo in location space; looked up for
    ``Rule.GEOCLIP`` alone."""
    calibrated: Figures | None = None
    """An operator's calibration of these answers; None: that of the look's scorer, if any."""

    def joined(self, proposals: Sequence[Proposal], degraded: Sequence[Degradation]) -> Findings:
        """These findings and what further generators proposed or failed to."""
        told = [cause for proposal in proposals for cause in proposal.degraded]
        return replace(
            self,
            proposals=(*self.proposals, *proposals),
            degraded=(*self.degraded, *degraded, *told),
        )


def weighed(found: Findings) -> tuple[pooling.Pool, Posterior]:
    """The candidates, and the distribution that they and everything else found amount to."""
    trust = verify.Trust()
    pool = pooling.gather(
        verify.retrieved(found.query.neighbours, trust), found.proposals, found.query
    )
    return pool, pooling.fuse(pool, found.proposals, found.query.filter, trust, found.look)


def conclude(
    found: Findings,
    options: LocateOptions,
    already: tuple[pooling.Pool, Posterior] | None = None,
) -> Prediction:
    """The answer, its radii and shares, and what it rests on; ``already`` weighed or not.

    Whatever rule chooses the position, radii and probabilities are those of the one posterior
    around it; they were calibrated around the positions of ``Rule.GEOFIX`` and are claimed to be
    only there. The timings are left empty: they are the caller's.
    """
    pool, fused = already or weighed(found)
    by_rule = options.rule is not Rule.GEOFIX
    figures = found.calibrated or verify.scorer_for(pool.candidates, found.look)
    scorer = None if by_rule else figures
    chosen = (
        rules.choose(options.rule, found.query, found.proposals, found.look, found.nearest)
        if by_rule
        else fused.answer()
    )
    best = fused.answer() if chosen is None else chosen
    profile = fused.profile(best)
    within = {km: profile.within(km) for km in LEVELS_KM}
    if scorer is not None:
        within = scorer.within(within)
    radius_50_km, radius_90_km = (
        profile.radius_km(scorer.radii[share] if scorer else share) for share in (0.5, 0.9)
    )
    points = answer.spread(fused)
    countries = answer.country_mass(fused, points, pool.countries)
    named = answer.clusters(fused, pool.candidates, pool.countries, options.candidates)
    regions, cities = answer.region_shares(named)
    photo = found.query.photo
    rejected: Counter[str] = Counter()
    for proposal in found.proposals:
        rejected.update(proposal.rejected)
    return Prediction(
        lat=float(best[0]),
        lon=float(best[1]),
        radius_50_km=radius_50_km,
        radius_90_km=radius_90_km,
        within=within,
        abstention=_NOTHING_TO_CHOOSE
        if chosen is None
        else answer.abstention(
            within,
            scorer.answer_from if scorer else SURE_ENOUGH,
            galleries_empty=all(gallery.count == 0 for gallery in found.galleries),
            candidates=len(pool.candidates),
            filtered=found.query.filter.restricts_place,
        ),
        locality=reverse(float(best[0]), float(best[1])),
        continents=answer.continent_shares(countries),
        countries=answer.country_shares(countries),
        regions=regions,
        cities=cities,
        clusters=tuple(one.cluster for one in named),
        heatmap=answer.heatmap(fused, points, radius_90_km) if options.heatmap else (),
        neighbours=found.query.neighbours,
        text=tuple(clue for proposal in found.proposals for clue in proposal.text),
        attributes=tuple(clue for proposal in found.proposals for clue in proposal.attributes),
        degraded=found.degraded,
        calibration=scorer.fitted_on if scorer else None,
        encoder=found.encoder,
        galleries=found.galleries,
        photo=PhotoInfo(photo.sha256, photo.width, photo.height, photo.format),
        timings_ms={},
        calls=tuple(call for proposal in found.proposals for call in proposal.calls),
        rejected=dict(rejected),
        rule=options.rule,
    )


_NOTHING_TO_CHOOSE = Abstention(
    "no-evidence",
    "The rule has no candidate to choose from; the position is where the prior expects a photo.",
)
