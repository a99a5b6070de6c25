"""The generators of one engine, and those of them that a caller wants."""

from __future__ import annotations

from collections.abc import Iterable

from geofix.engine.generators.attributes import AttributesGenerator
from geofix.engine.generators.lmm import LmmGenerator
from geofix.engine.generators.lmm.breaker import State
from geofix.engine.generators.port import Generator
from geofix.engine.generators.text import TextGenerator
from geofix.errors import InvalidOption
from geofix.settings import Settings


class Generators:
    """All that were configured; the language model may be missing."""

    def __init__(self, settings: Settings, lmm: LmmGenerator | None) -> None:
        self.lmm = lmm
        generators: list[Generator] = [
            TextGenerator(settings.text_budget_s),
            AttributesGenerator(settings.attributes_budget_s),
        ]
        if lmm is not None:
            generators.append(lmm)
        self._by_name = {str(generator.channel): generator for generator in generators}

    def named(self, names: Iterable[str]) -> list[Generator]:
        """Those of these names: ``auto`` is all, ``none`` beats everything.

        Raises InvalidOption for a generator that is not here.
        """
        wanted = set(names)
        if "none" in wanted:
            return []
        if "auto" in wanted:
            return list(self._by_name.values())
        missing = wanted - self._by_name.keys()
        if missing:
            raise InvalidOption(
                f"There is no generator {', '.join(sorted(missing))} here; "
                f"there are {', '.join(self._by_name)}, auto and none."
            )
        return [self._by_name[name] for name in self._by_name if name in wanted]

    @property
    def circuit(self) -> State | None:
        """What the next call of the language model will meet; None without one."""
        return None if self.lmm is None else self.lmm.breaker.state

    async def close(self) -> None:
        """Give connections back."""
        if self.lmm is not None:
            await self.lmm.close()
