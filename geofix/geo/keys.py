"""The index of name keys: which names have a key, and which keys are within a few edits.

Keys are in the order of length, then text. Fuzzy search looks only at keys of about the query's
length, and skips most of those unread: each key has a bit set of its letters and one of its pairs
of letters. An edit changes at most two bits of the one and four of the other, so keys whose sets
differ in more cannot match.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from rapidfuzz import process
from rapidfuzz.distance import Levenshtein

from geofix.geo.names import confusable_key
from geofix.geo.tables import strings, table

UInt64Array = npt.NDArray[np.uint64]
Int64Array = npt.NDArray[np.int64]

_BLOCK = 50_000
_A, _Z = np.uint32(ord("a")), np.uint32(ord("z"))
_OTHERS = np.uint32(26)
"""a to z have a bit each, all other letters share the rest."""


_FOLDED = np.array([ord(confusable_key(chr(code))) for code in range(128)], dtype=np.uint32)


@dataclass(frozen=True, slots=True)
class SimilarKey:
    """A key near the one asked for."""

    index: int
    key: str
    edits: int
    """Insertions, deletions and substitutions, look-alike characters being the same."""
    confused: int
    """Further edits, of look-alike characters only."""


class KeyIndex:
    """All keys, in memory."""

    def __init__(self) -> None:
        rows = table("keys")
        self._keys = strings(rows, "key")
        lengths = pc.utf8_length(self._keys).to_numpy()
        self._starts: Int64Array = np.searchsorted(lengths, np.arange(lengths[-1] + 2))
        self._ends: Int64Array = np.cumsum(rows["count"].to_numpy(), dtype=np.int64)

    def __len__(self) -> int:
        return len(self._keys)

    def names(self, index: int) -> range:
        """Which names, in the table of names, have the key."""
        start = int(self._ends[index - 1]) if index else 0
        return range(start, int(self._ends[index]))

    def find(self, key: str) -> int | None:
        """Index of the key, None where no name has it."""
        low, high = self._range(len(key), len(key))
        while low < high:
            middle = (low + high) // 2
            found: str = self._keys[middle].as_py()
            if found == key:
                return middle
            if found < key:
                low = middle + 1
            else:
                high = middle
        return None

    def similar(self, key: str, edits: int) -> list[SimilarKey]:
        """The keys within so many edits, look-alike characters counting as the same."""
        folded = confusable_key(key)
        low, high = self._range(len(key) - edits, len(key) + edits)
        letters, pairs = self._signatures
        own_letters, own_pairs = (signature[0] for signature in _signatures([key]))
        near = low + np.flatnonzero(_differing(letters[low:high], own_letters) <= 2 * edits)
        near = near[_differing(pairs[near], own_pairs) <= 4 * edits]
        texts = [str(text) for text in self._keys.take(pa.array(near, pa.int64())).to_pylist()]
        distances = process.cdist(
            [folded],
            [confusable_key(text) for text in texts],
            scorer=Levenshtein.distance,
            score_cutoff=edits,
            dtype=np.uint8,
        )[0]
        close = np.flatnonzero(distances <= edits)
        return [
            SimilarKey(
                index=int(near[at]),
                key=texts[at],
                edits=int(distances[at]),
                confused=max(Levenshtein.distance(key, texts[at]) - int(distances[at]), 0),
            )
            for at in close
        ]

    def warm_up(self) -> None:
        """Compute what the first fuzzy search would."""
        _ = self._signatures

    def _range(self, shortest: int, longest: int) -> tuple[int, int]:
        last = len(self._starts) - 1
        return (
            int(self._starts[min(max(shortest, 0), last)]),
            int(self._starts[min(longest + 1, last)]),
        )

    @cached_property
    def _signatures(self) -> tuple[UInt64Array, UInt64Array]:
        """uint64 [keys] twice: the bit sets of each key's letters and pairs of letters."""
        blocks = [
            _signatures([str(key) for key in self._keys.slice(start, _BLOCK).to_pylist()])
            for start in range(0, len(self._keys), _BLOCK)
        ]
        letters, pairs = zip(*blocks, strict=True)
        return np.concatenate(letters), np.concatenate(pairs)


def _signatures(keys: list[str]) -> tuple[UInt64Array, UInt64Array]:
    codes = np.frombuffer("".join(keys).encode("utf-32-le"), dtype=np.uint32)
    codes = np.where(codes < len(_FOLDED), _FOLDED[np.minimum(codes, len(_FOLDED) - 1)], codes)
    starts = np.cumsum([0, *map(len, keys)])[:-1]
    letter = np.where((codes >= _A) & (codes <= _Z), codes - _A, _OTHERS + codes % (64 - _OTHERS))
    pair = (codes * np.uint32(31)).astype(np.uint32)
    pair[1:] += codes[:-1] * np.uint32(17)
    pair[starts] = codes[starts] * np.uint32(31)  # the first letter has none before it
    return _union(letter, starts), _union(pair % 61, starts)


def _differing(sets: UInt64Array, own: np.uint64) -> npt.NDArray[np.uint8]:
    return np.asarray(np.bitwise_count(sets ^ own), dtype=np.uint8)


def _union(bits: npt.NDArray[np.uint32], starts: Int64Array) -> UInt64Array:
    return np.bitwise_or.reduceat(np.uint64(1) << bits.astype(np.uint64), starts)
