"""The last stage: everything found about a photo becomes one Prediction."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from geofix.engine import answer, pooling, verify
from geofix.engine.types import (
    LEVELS_KM,
    Degradation,
    GalleryInfo,
    LocateOptions,
    PhotoInfo,
    Prediction,
    Proposal,
    Query,
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

    def joined(self, proposals: Sequence[Proposal], degraded: Sequence[Degradation]) -> Findings:
        """These findings and what further generators proposed or failed to."""
        told = [cause for proposal in proposals for cause in proposal.degraded]
        return replace(
            self,
            proposals=(*self.proposals, *proposals),
            degraded=(*self.degraded, *degraded, *told),
        )


def conclude(found: Findings, options: LocateOptions) -> Prediction:
    """The answer, its radii and shares, and what it rests on.

    The timings are left empty: they are the caller's.
    """
    trust = verify.Trust()
    pool = pooling.gather(
        verify.retrieved(found.query.neighbours, trust), found.proposals, found.query
    )
    fused = pooling.fuse(pool, found.proposals, found.query.filter, trust, found.look)
    scorer = verify.scorer_for(pool.candidates, found.look)
    best = fused.answer()
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
        abstention=answer.abstention(
            within,
            scorer.answer_from if scorer else answer.SURE_ENOUGH,
            galleries_empty=all(gallery.count == 0 for gallery in found.galleries),
            candidates=len(pool.candidates),
            filtered=found.query.filter.restricts_place,
        ),
        locality=reverse(float(best[0]), float(best[1])),
        continents=answer.continent_shares(countries),
        countries=answer.country_shares(countries),
        regions=regions,
        cities=cities,
        clusters=tuple(cluster for cluster, _ in named),
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
    )
