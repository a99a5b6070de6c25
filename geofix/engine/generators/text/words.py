"""The vocabulary: how likely a word is in each language, known or spelled like its words.

The table holds, for some sixty languages, the words of the ``wordfreq`` lists and those of what
stands on a map (OpenStreetMap's tagging presets, translated): shops, offices, roads, stations.
Words are kept as 32-bit keys: a word that is in no list is taken for one about once in 3000.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import as_file, files

import numpy as np
import numpy.typing as npt

from geofix.engine.generators.text import scripts
from geofix.engine.types import Float64Array, UInt8Array

PAIRS = 4096
_PER_DECADE = 20
_LOG_PROBABILITY = -np.log(10) / _PER_DECADE
_PER_NAT = 16
"""Steps of a letter pair's cost in one natural-log unit."""
_UNKNOWN = 160
"""Cost of a word in no list: one in a hundred million."""
_SPELLING = 0.5
"""How much the spelling of an unknown word counts: its pairs of letters are not independent."""


def cost(probability: float) -> int:
    """A probability in 1/20 of a decade, 0 to 255."""
    return int(np.clip(round(-_PER_DECADE * np.log10(probability)), 0, 255))


def pair_costs(costs: Mapping[str, int]) -> UInt8Array:
    """uint8 [PAIRS]: the cost of each pair of letters, counted over a language's known words."""
    counts = np.full(PAIRS, 0.05)
    for word in costs:
        np.add.at(counts, _pairs(word), 1.0)
    nats = -np.log(counts / counts.sum())
    costs_of: UInt8Array = np.clip(np.round(_PER_NAT * nats), 0, 255).astype(np.uint8)
    return costs_of


def _pairs(word: str) -> npt.NDArray[np.int64]:
    bounded = f"^{word}$"
    return np.array([scripts.key(bounded[i : i + 2]) % PAIRS for i in range(len(bounded) - 1)])


@dataclass(frozen=True)
class Vocabulary:
    """The table, in memory."""

    languages: tuple[str, ...]
    scripts: npt.NDArray[np.str_]
    """ISO 15924 [L]."""
    keys: npt.NDArray[np.uint32]
    """[R], ascending; a word has a row for each language it is in."""
    language: UInt8Array
    """[R]."""
    cost: UInt8Array
    """[R]."""
    pairs: UInt8Array
    """[L, PAIRS]."""
    cyrillic: npt.NDArray[np.uint32]
    """Keys of the shapes that Cyrillic words are read as, ascending."""
    greek: npt.NDArray[np.uint32]
    simplified: dict[int, str]
    """Traditional Han character → simplified, for ``str.translate``."""

    def known(self, word: str) -> dict[str, float]:
        """Language → natural-log probability, for the languages whose lists hold a folded word."""
        wanted = np.uint32(scripts.key(word))
        first, last = np.searchsorted(self.keys, [wanted, wanted + 1])
        return {
            self.languages[self.language[row]]: _LOG_PROBABILITY * float(self.cost[row])
            for row in range(int(first), int(last))
        }

    def log_probability(self, word: str, script: str) -> Float64Array:
        """Natural-log probability [L] of a folded word; −inf for languages of other scripts."""
        here = self.scripts == script
        spelled = self.pairs[:, _pairs(word)].sum(axis=1) / _PER_NAT * -_SPELLING
        unknown = _LOG_PROBABILITY * _UNKNOWN
        found = np.full(len(self.languages), -np.inf)
        # Relative to the language it is spelled most like, within what a known word could tell.
        found[here] = unknown + np.maximum(spelled[here] - spelled[here].max(), -6.0)
        for code, log in self.known(word).items():
            at = self.languages.index(code)
            if here[at]:
                found[at] = np.logaddexp(found[at], log)
        return found

    def reads_as(self, shape: str, script: str) -> bool:
        """Whether a word of ``Cyrl`` or ``Grek`` is known that is read in this shape."""
        table = self.cyrillic if script == "Cyrl" else self.greek
        wanted = np.uint32(scripts.key(shape))
        at = int(np.searchsorted(table, wanted))
        return at < len(table) and bool(table[at] == wanted)


@lru_cache(maxsize=1)
def vocabulary() -> Vocabulary:
    """The table that comes with Geofix, loaded once."""
    packaged = files("geofix.engine.generators.text") / "data" / "words.npz"
    with as_file(packaged) as path, np.load(path) as table:
        traditional, simplified = table["traditional"], table["simplified"]
        return Vocabulary(
            languages=tuple(str(code) for code in table["languages"]),
            scripts=table["scripts"],
            keys=np.cumsum(table["steps"], dtype=np.uint32),
            language=table["language"],
            cost=table["cost"],
            pairs=table["pairs"],
            cyrillic=np.cumsum(table["cyrillic"], dtype=np.uint32),
            greek=np.cumsum(table["greek"], dtype=np.uint32),
            simplified={
                ord(str(one)): str(other)
                for one, other in zip(traditional, simplified, strict=True)
            },
        )
