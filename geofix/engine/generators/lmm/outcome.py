"""How a call went, in stable words."""

from __future__ import annotations

from enum import StrEnum


class Outcome(StrEnum):
    """Of one call, or of all attempts at it."""

    OK = "ok"
    CACHED = "cached"
    TIMEOUT = "timeout"
    UNREACHABLE = "unreachable"
    RATE_LIMITED = "rate-limited"
    SERVER_ERROR = "server-error"
    UNAUTHORIZED = "unauthorized"
    NOT_FOUND = "not-found"
    BAD_REQUEST = "bad-request"
    GARBAGE = "garbage"
    CIRCUIT_OPEN = "circuit-open"
    OVER_BUDGET = "over-budget"
    CANCELLED = "cancelled"
    """Whoever asked went away."""

    @property
    def may_pass(self) -> bool:
        """Whether another attempt is worth it; not after a timeout: the time is gone then."""
        return self in (Outcome.UNREACHABLE, Outcome.RATE_LIMITED, Outcome.SERVER_ERROR)

    @property
    def blames_endpoint(self) -> bool:
        """Whether it speaks against the endpoint, and not against our own budget."""
        return self not in (
            Outcome.OK,
            Outcome.CACHED,
            Outcome.CIRCUIT_OPEN,
            Outcome.OVER_BUDGET,
            Outcome.CANCELLED,
        )

    @property
    def cause(self) -> str:
        """The cause of a degraded answer; empty when nothing is missing."""
        match self:
            case Outcome.OK | Outcome.CACHED:
                return ""
            case Outcome.TIMEOUT | Outcome.OVER_BUDGET:
                return self.value
            case Outcome.UNREACHABLE | Outcome.RATE_LIMITED | Outcome.CIRCUIT_OPEN:
                return "unavailable"
            case _:
                return "failed"


class CallFailed(Exception):
    """One attempt that brought no answer."""

    def __init__(
        self, outcome: Outcome, complaint: str = "", retry_after_s: float | None = None
    ) -> None:
        super().__init__(outcome.value)
        self.outcome = outcome
        self.complaint = complaint
        """What the server said, in lower case; read by us, shown to nobody."""
        self.retry_after_s = retry_after_s
