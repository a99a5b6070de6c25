"""``python -m indexer.signs [--cache FOLDER]``: writes the tables."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import click
import numpy as np
import numpy.typing as npt

import geofix.engine.generators.text
from geofix.engine.generators.text import ocr, scripts, words
from indexer.signs import sources

_READ = frozenset({"Latn", "Grek", "Jpan", "Hani"})
_RAREST, _RAREST_UNREAD = 8e-7, 4e-6
"""Words rarer than this are left out; of scripts that need a second reader, more of them."""
_UNACCENTED_COST = 14
_COMMON = 100
"""Words dearer than this get no row without their accents: rare twice over."""
_LIST_SHARE, _SIGN_SHARE = 0.8, 0.2


@click.command()
@click.option("--cache", type=click.Path(path_type=Path), default=Path("~/.cache/geofix/packages"))
def main(cache: Path) -> None:
    """Build the vocabulary and the country tables from the pinned packages."""
    folder = Path(geofix.engine.generators.text.__file__).parent / "data"
    folder.mkdir(exist_ok=True)
    cache = cache.expanduser()
    _write_countries(cache, folder)
    _write_words(cache, folder)


def _write_words(cache: Path, folder: Path) -> None:
    readable = frozenset(scripts.fold("".join(ocr.readable_characters())))
    on_signs = sources.sign_words(cache)
    simplified = sources.simplified(cache)
    rows: dict[tuple[int, int], int] = {}
    pairs: list[npt.NDArray[np.uint8]] = []
    lookalike: dict[str, set[int]] = {"Cyrl": set(), "Grek": set()}
    for number, language in enumerate(sources.LANGUAGES):
        known = _probabilities(language, cache, on_signs.get(language.code, {}))
        if language.code == "zh-Hant":
            known = _simplified(known, simplified)
        rarest = _RAREST if language.script in _READ else _RAREST_UNREAD
        costs = {word: words.cost(p) for word, p in known.items() if p >= rarest}
        for word, cost in _variants(costs, language, readable):
            row = (scripts.key(word), number)
            rows[row] = min(rows.get(row, 255), cost)
        pairs.append(words.pair_costs(costs))
        if language.script in lookalike:
            for word, probability in known.items():
                if probability >= _RAREST:
                    lookalike[language.script].update(_shapes(word, readable))
    for script, shapes in lookalike.items():
        for name in sources.place_names(cache, script):
            for word in sources.words_of(name):
                shapes.update(_shapes(word, readable))
    ordered = sorted(rows)
    np.savez_compressed(
        folder / "words.npz",
        languages=np.array([language.code for language in sources.LANGUAGES]),
        scripts=np.array([language.script for language in sources.LANGUAGES]),
        steps=np.diff(np.array([k for k, _ in ordered], np.uint32), prepend=np.uint32(0)),
        language=np.array([n for _, n in ordered], np.uint8),
        cost=np.array([rows[row] for row in ordered], np.uint8),
        pairs=np.stack(pairs),
        cyrillic=np.diff(np.array(sorted(lookalike["Cyrl"]), np.uint32), prepend=np.uint32(0)),
        greek=np.diff(np.array(sorted(lookalike["Grek"]), np.uint32), prepend=np.uint32(0)),
        traditional=np.array(list(simplified)),
        simplified=np.array(list(simplified.values())),
    )
    click.echo(f"{len(rows)} words, {len(lookalike['Cyrl'])} + {len(lookalike['Grek'])} shapes")


def _probabilities(
    language: sources.Language, cache: Path, on_signs: dict[str, float]
) -> dict[str, float]:
    listed = sources.frequencies(language, cache)
    if language.code == "sr":
        croatian = next(one for one in sources.LANGUAGES if one.code == "hr")
        listed = {_cyrillic(w): p for w, p in sources.frequencies(croatian, cache).items()}
    return {
        word: _LIST_SHARE * listed.get(word, 0.0) + _SIGN_SHARE * on_signs.get(word, 0.0)
        for word in listed.keys() | on_signs.keys()
    }


def _variants(
    costs: dict[str, int], language: sources.Language, readable: frozenset[str]
) -> list[tuple[str, int]]:
    """The words, and how they are read without accents or with letters passed over."""
    found = list(costs.items())
    for word, cost in costs.items():
        if language.code in {"tr", "az"} and "ı" in word:
            found.append((word.replace("ı", "i"), cost))
        plain = scripts.unaccented(word)
        if language.script in {"Latn", "Grek"} and plain != word and cost <= _COMMON:
            found.append((plain, min(cost + _UNACCENTED_COST, 255)))
        if language.script in {"Latn", "Grek"}:
            read = scripts.dropped(word, readable)
            if read not in {word, plain} and len(read) >= 2:
                found.append((read, min(cost + _UNACCENTED_COST, 255)))
    return found


def _shapes(word: str, readable: frozenset[str]) -> set[int]:
    if len(word) < 3:
        return set()
    found = set(scripts.shapes(word))
    if scripts.script_of(word) == "Grek":
        found |= set(scripts.shapes(scripts.dropped(word, readable)))
    return {scripts.key(shape) for shape in found if len(shape) >= 3}


def _simplified(known: dict[str, float], forms: dict[str, str]) -> dict[str, float]:
    """The words in simplified characters; those that become one add up."""
    found: dict[str, float] = {}
    for word in sorted(known):
        plain = "".join(forms.get(character, character) for character in word)
        found[plain] = found.get(plain, 0.0) + known[word]
    return found


def _cyrillic(word: str) -> str:
    """Serbian in Cyrillic letters, from Latin ones: the two alphabets map one to one."""
    for latin, letter in (("dž", "џ"), ("lj", "љ"), ("nj", "њ")):
        word = word.replace(latin, letter)
    latin, letters = "abcčćdđefghijklmnoprsštuvzž", "абцчћдђефгхијклмнопрсштувзж"
    return word.translate(str.maketrans(latin, letters))


def _write_countries(cache: Path, folder: Path) -> None:
    spoken = sources.territories(cache)
    clues = sources.country_facts(cache)
    table = {
        "languages": {
            clue.country: {
                code: round(share, 4)
                for code, share in spoken.get(clue.country, {}).items()
                if share >= 0.001
            }
            for clue in clues
        },
        "population": {clue.country: clue.population for clue in clues},
        "names": sources.country_names(cache, spoken),
        "domains": {clue.domain: clue.country for clue in clues if clue.domain},
        "telephone": _gathered((clue.telephone, clue.country) for clue in clues),
        "currencies": _gathered((clue.currency, clue.country) for clue in clues),
        "brands": {name: " ".join(codes) for name, codes in sources.brands(cache).items()},
        "greek_places": sorted(sources.place_names(cache, "Grek")),
    }
    text = json.dumps(table, ensure_ascii=False, indent=0, sort_keys=True)
    (folder / "countries.json").write_text(text + "\n", encoding="utf-8")


def _gathered(pairs: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for value, country in pairs:
        if value:
            found.setdefault(value, []).append(country)
    return found


if __name__ == "__main__":
    main()
