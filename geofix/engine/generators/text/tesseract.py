"""A second reader for the scripts the first has no letters of: Tesseract, where it is installed.

Debian's ``tesseract-ocr`` and its language packs; called as a command with a time limit. Only
lines that the first reader could not make out are shown to it, through a pipe: nothing of a photo
is written to the disk.
"""

from __future__ import annotations

import csv
import io
import logging
import os
import shutil
import subprocess  # Tesseract is a command
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
from PIL import Image

from geofix.engine.generators.text import scripts
from geofix.engine.types import UInt8Array

log = logging.getLogger(__name__)

PACKS: Mapping[str, tuple[str, ...]] = {
    "Cyrl": ("Cyrillic", "rus", "ukr", "bul", "srp", "mkd", "bel", "kaz"),
    "Hang": ("Hangul", "kor"),
    "Arab": ("Arabic", "ara", "fas", "urd"),
    "Hebr": ("Hebrew", "heb"),
    "Deva": ("Devanagari", "hin", "nep", "mar"),
    "Thai": ("Thai", "tha"),
    "Grek": ("Greek", "ell"),
    "Armn": ("Armenian", "hye"),
    "Geor": ("Georgian", "kat"),
    "Beng": ("Bengali", "ben"),
}
"""Tesseract's packs by script: the one of the whole script is preferred to its languages'."""

MOST_LINES = 12
_HEIGHT = 64
_MARGIN = 24
_LEAST_CONFIDENCE = 0.6
_LEAST_SHARE = 0.8
_AT_ONCE = 2


@dataclass(frozen=True, slots=True)
class SecondReading:
    """What one line is in another script."""

    text: str
    confidence: float
    script: str


class Tesseract:
    """The command, if there is one."""

    def __init__(self, command: str | None = None) -> None:
        """``command``: where Tesseract is; None looks for it, an empty one does without."""
        self._command = command if command is not None else shutil.which("tesseract")

    @cached_property
    def scripts(self) -> Mapping[str, str]:
        """ISO 15924 code → what to hand to ``-l``; empty where Tesseract is not installed."""
        if not self._command:
            return {}
        try:
            said = self._run(["--list-langs"], timeout=10).splitlines()
        except (OSError, subprocess.SubprocessError) as error:
            log.warning("Tesseract is there and cannot be used: %s", _failure(error))
            return {}
        packs = {name.rsplit("/", 1)[-1]: name for name in said if " " not in name.strip()}
        found: dict[str, str] = {}
        for script, names in PACKS.items():
            here = [packs[name] for name in names if name in packs]
            if here:
                whole = here[0].rsplit("/", 1)[-1] == names[0]
                found[script] = here[0] if whole else "+".join(here)
        return found

    def read(
        self, crops: Sequence[UInt8Array], wanted: Sequence[str], deadline: float
    ) -> list[list[SecondReading]]:
        """The readings of each crop [h, w, 3] in any of the scripts, the surest first.

        ``deadline`` is on the clock of ``time.monotonic``; what is not read by then is not read.
        """
        packs = {script: self.scripts[script] for script in wanted if script in self.scripts}
        found: list[list[SecondReading]] = [[] for _ in crops]
        if not packs or not crops:
            return found
        pages = _pages(crops[:MOST_LINES])
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            read = pool.map(
                lambda script: self._read_as(script, packs[script], pages, deadline), packs
            )
            for readings in read:
                for i, reading in readings.items():
                    found[i].append(reading)
        return [sorted(one, key=lambda reading: -reading.confidence) for one in found]

    def _read_as(
        self, script: str, pack: str, pages: bytes, deadline: float
    ) -> dict[int, SecondReading]:
        left = deadline - time.monotonic()
        if left <= 0:
            return {}
        command = ["stdin", "stdout", "-l", pack, "--psm", "7", "tsv"]
        try:
            table = self._run(command, timeout=left, shown=pages)
        except subprocess.TimeoutExpired:
            log.info("Tesseract did not read %s in the %.1f s left", script, left)
            return {}
        except (OSError, subprocess.SubprocessError) as error:
            log.warning("Tesseract could not read %s: %s", script, _failure(error))
            return {}
        return _readings(table, script)

    def _run(self, arguments: Sequence[str], timeout: float, shown: bytes = b"") -> str:
        if not self._command:
            raise FileNotFoundError("tesseract")
        finished = subprocess.run(  # noqa: S603
            [self._command, *arguments],
            input=shown,
            capture_output=True,
            timeout=timeout,
            check=True,
            env={**os.environ, "OMP_THREAD_LIMIT": "1"},
        )
        return finished.stdout.decode("utf-8", errors="replace")


def _failure(error: OSError | subprocess.SubprocessError) -> str:
    """What went wrong, without the command's folders."""
    match error:
        case subprocess.CalledProcessError():
            return f"exit status {error.returncode}"
        case OSError():
            return error.strerror or type(error).__name__
        case _:
            return type(error).__name__


def _pages(crops: Sequence[UInt8Array]) -> bytes:
    """The crops as pages of one TIFF file, dark on light with a margin."""
    pages = []
    for crop in crops:
        grey = cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY)
        width = max(8, round(grey.shape[1] * _HEIGHT / grey.shape[0]))
        grey = cv2.resize(grey, (width, _HEIGHT), interpolation=cv2.INTER_CUBIC)
        if np.median(grey) < (float(grey.min()) + float(grey.max())) / 2:
            grey = 255 - grey
        ground = int(np.median(grey))
        framed = cv2.copyMakeBorder(
            grey, _MARGIN, _MARGIN, _MARGIN, _MARGIN, cv2.BORDER_CONSTANT, value=[ground]
        )
        pages.append(Image.fromarray(framed))
    written = io.BytesIO()
    pages[0].save(written, "TIFF", save_all=True, append_images=pages[1:])
    return written.getvalue()


def _readings(table: str, script: str) -> dict[int, SecondReading]:
    """The lines of Tesseract's table that are mostly in the script, by number of the crop."""
    words: dict[int, list[tuple[str, float]]] = {}
    for row in csv.DictReader(io.StringIO(table), delimiter="\t", quoting=csv.QUOTE_NONE):
        text = (row.get("text") or "").strip()
        if text and float(row["conf"]) >= 0:
            page = int(row["page_num"]) - 1
            words.setdefault(page, []).append((text, float(row["conf"]) / 100))
    found: dict[int, SecondReading] = {}
    for page, line in words.items():
        # Thai has no spaces between words; Tesseract puts some between letters.
        text = ("" if script == "Thai" else " ").join(word for word, _ in line)
        written = [scripts.script(c) for c in text if scripts.script(c)]
        share = written.count(script) / max(len(written), 1)
        if script == "Thai":
            text = text.replace(" ", "")
        sizes = [len(word) for word, _ in line]
        confidence = float(np.average([sure for _, sure in line], weights=sizes))
        enough = len(written) >= (2 if script == "Hang" else 3)
        if enough and share >= _LEAST_SHARE and confidence >= _LEAST_CONFIDENCE:
            found[page] = SecondReading(text, confidence, script)
    return found
