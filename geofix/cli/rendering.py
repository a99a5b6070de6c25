"""Answers as tables that a person can read in a terminal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from geofix.geo.coordinates import Coordinate
from service.locate.schemas import Answer, Place, Share

_LEVELS = {"1": "street", "25": "city", "200": "region", "750": "country", "2500": "continent"}
_LISTED = 10
_NAMES_CITY_KM, _NAMES_REGION_KM, _NAMES_COUNTRY_KM = 25.0, 200.0, 1500.0
"""A 50 % radius beyond which a city, a region, a country is no longer named as the answer."""
_SMALLEST_SHARE = 0.01


def summary(name: str, answer: Answer) -> RenderableType:
    """The answer in a few lines: where, how sure, and what it rests on."""
    abstains = answer.abstention is not None
    table = _grid()
    if answer.abstention is not None:
        table.add_row("Can't tell", Text(plain(answer.abstention.detail), style="yellow"))
    table.add_row(
        "Best guess" if abstains else "Answer", _where(answer, "" if abstains else "bold")
    )
    table.add_row("", f"{answer.position.lat:.5f}, {answer.position.lon:.5f}")
    table.add_row(
        "Radius",
        f"50 % within {distance(answer.radius_50_km)}, 90 % within {distance(answer.radius_90_km)}",
    )
    table.add_row("Level", _levels(answer))
    table.add_row("Countries", _shares(answer.countries) or "none stands out")
    table.add_row("Rests on", _basis(answer))
    if answer.degraded:
        table.add_row(
            "Missing", plain(", ".join(f"{d.channel} ({d.cause})" for d in answer.degraded))
        )
    table.add_row("Calibrated", _calibration(answer))
    return Panel(table, title=Text(plain(name)), title_align="left", expand=False, padding=(0, 1))


def explanation(answer: Answer) -> RenderableType:
    """Everything the answer rests on, and what it cost."""
    tables = [_neighbours(answer), _text(answer), _attributes(answer), _clusters(answer)]
    return Group(*(table for table in tables if table.row_count), _timings(answer))


def empty_galleries(answer: Answer) -> str | None:
    """What to say first where no gallery holds a photo; None where one does."""
    if any(gallery.count for gallery in answer.galleries):
        return None
    names = [plain(gallery.name) for gallery in answer.galleries]
    which = f"Gallery {', '.join(names)} is empty" if names else "There is no gallery yet"
    return (
        f"{which}: answers rest on the photo alone. "
        "Fill it with photos whose position is known:\n  geofix index build FOLDER"
    )


def distance(km: float) -> str:
    """A distance as people say it."""
    if km < 1.0:
        return f"{km * 1000.0:.0f} m"
    return f"{km:.1f} km".replace(".0 ", " ") if km < 10.0 else f"{km:,.0f} km".replace(",", " ")


def percent(probability: float) -> str:
    """A probability as people say it."""
    if probability < 0.01:
        return "< 1 %"
    return "> 99 %" if probability >= 0.995 else f"{probability:.0%}".replace("%", " %")


def plain(text: str) -> str:
    """``text`` without control characters: a file's name or a sign must not drive a terminal."""
    return "".join(c if c.isprintable() else "�" for c in text)


def _grid() -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    return table


def _where(answer: Answer, style: str) -> Text:
    """The place, named no more finely than its radius allows."""
    place, radius_km = answer.place, answer.radius_50_km
    if radius_km > _NAMES_COUNTRY_KM:
        return Text("nowhere in particular: the middle of what is possible", style=style)
    if radius_km > _NAMES_REGION_KM:
        place = place.model_copy(update={"city": "", "city_km": None, "region": ""})
    elif radius_km > _NAMES_CITY_KM:
        place = place.model_copy(update={"city": "", "city_km": None})
    return Text(place_name(place), style=style)


def place_name(place: Place) -> str:
    """City, region and country, as far as there are any."""
    region = "" if place.region == place.city else place.region
    if region and place.region_approximate:
        region = f"probably {region}"
    names = [plain(name) for name in (place.city, region, place.country_name) if name]
    far = f" ({distance(place.city_km)} from its centre)" if place.city and place.city_km else ""
    return ", ".join(names) + far if names else "on the open sea"


def _levels(answer: Answer) -> str:
    return "  ".join(
        f"{_LEVELS.get(km, '')} {distance(float(km))}: {percent(probability)}".strip()
        for km, probability in answer.within.items()
    )


def _shares(shares: Iterable[Share]) -> str:
    named = [s for s in shares if s.probability >= _SMALLEST_SHARE]
    return ", ".join(f"{plain(s.name)} {percent(s.probability)}" for s in named[:5])


def _basis(answer: Answer) -> str:
    evidence = answer.evidence
    parts = []
    if evidence.neighbours:
        best = max(neighbour.similarity for neighbour in evidence.neighbours)
        parts.append(f"{len(evidence.neighbours)} similar photos, the best at {best:.2f}")
    used = [f"“{plain(clue.text)}”" for clue in evidence.text if not clue.rejected]
    if used:
        parts.append("text " + ", ".join(used[:3]))
    if evidence.attributes:
        parts.append("what it shows: " + ", ".join(a.name for a in evidence.attributes[:4]))
    return "; ".join(parts) or "where people take photos, nothing in this one"


def _calibration(answer: Answer) -> str:
    if not answer.calibrated:
        return "no: the probabilities are a first estimate"
    fitted = answer.calibrated
    return f"on {fitted.photos} photos of {plain(fitted.dataset)}, {fitted.date}"


def _table(title: str, columns: Sequence[tuple[str, bool]]) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False)
    for name, is_number in columns:
        table.add_column(name, justify="right" if is_number else "left", overflow="fold")
    return table


def _neighbours(answer: Answer) -> Table:
    table = _table(
        "\nPhotos that look alike",
        [("similarity", True), ("away", True), ("position", False), ("gallery", False),
         ("photo", False)],
    )  # fmt: skip
    here = Coordinate(answer.position.lat, answer.position.lon)
    for neighbour in answer.evidence.neighbours[:_LISTED]:
        away = here.distance_km(Coordinate(neighbour.lat, neighbour.lon))
        table.add_row(
            f"{neighbour.similarity:.3f}",
            distance(away),
            f"{neighbour.lat:.4f}, {neighbour.lon:.4f} {neighbour.country}",
            Text(plain(neighbour.gallery)),
            Text(plain(neighbour.uri or neighbour.id)),
        )
    return table


def _text(answer: Answer) -> Table:
    table = _table(
        "\nText read", [("text", False), ("sure", True), ("script", False), ("says", False)]
    )
    for clue in answer.evidence.text:
        says = f"not used: {clue.rejected}" if clue.rejected else ", ".join(clue.places[:3])
        language = f"{clue.script} {clue.language}".strip()
        table.add_row(Text(plain(clue.text)), percent(clue.confidence), language, Text(plain(says)))
    return table


def _attributes(answer: Answer) -> Table:
    table = _table("\nWhat it shows", [("attribute", False), ("probability", True)])
    for attribute in answer.evidence.attributes:
        table.add_row(attribute.name, percent(attribute.probability))
    return table


def _clusters(answer: Answer) -> Table:
    table = _table(
        "\nClusters of candidates",
        [("probability", True), ("position", False), ("place", False), ("from", False)],
    )
    for cluster in answer.clusters[:_LISTED]:
        place = ", ".join(name for name in (cluster.city, cluster.country) if name)
        table.add_row(
            percent(cluster.probability),
            f"{cluster.lat:.3f}, {cluster.lon:.3f}",
            Text(plain(place)),
            f"{len(cluster.candidates)} from {', '.join(cluster.channels)}",
        )
    return table


def _timings(answer: Answer) -> RenderableType:
    stages = "  ".join(f"{stage} {ms:.0f} ms" for stage, ms in answer.timings_ms.items())
    galleries = ", ".join(
        f"{plain(g.name)} version {g.version} ({g.count} photos)" for g in answer.galleries
    )
    return Group(
        Text("\nMade with", style="bold"),
        Text(f"encoder {answer.encoder}; gallery {galleries or 'none'}"),
        Text(stages),
        *([Text(_language_model(answer))] if answer.calls else []),
    )


def _language_model(answer: Answer) -> str:
    """What the language model was asked and what that cost."""
    made = _counts(Counter(call.outcome for call in answer.calls))
    tokens = sum(call.tokens_in + call.tokens_out for call in answer.calls)
    cost = sum(call.cost_usd for call in answer.calls)
    bound = "at most " if any(call.estimated for call in answer.calls) else ""
    useless = f"; of no use: {_counts(answer.rejected)}" if answer.rejected else ""
    return f"language model: {made}; {bound}{tokens} tokens, ${cost:.4f}{useless}"


def _counts(counted: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in counted.items())
