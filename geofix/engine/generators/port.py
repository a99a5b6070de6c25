"""What a generator is: something that looks at a photo and proposes where it was taken."""

from __future__ import annotations

from typing import Protocol

from geofix.engine.types import Channel, Proposal, Query


class Generator(Protocol):
    """Proposes positions or weighs places.

    A generator may fail or be late: it then costs the answer its proposals, never the answer.
    """

    @property
    def channel(self) -> Channel: ...

    @property
    def budget_s(self) -> float:
        """Wall-clock seconds after which its proposal is no longer waited for."""
        ...

    async def propose(self, query: Query) -> Proposal: ...
