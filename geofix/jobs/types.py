"""What a job is made of. Times are Unix seconds in UTC; sizes bytes; indices start at 0."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class State(StrEnum):
    """Where a job stands, in the words of OpenAI's Batch."""

    VALIDATING = "validating"
    """Accepted; no photo has been started."""
    IN_PROGRESS = "in_progress"
    FINALIZING = "finalizing"
    """Every photo has its outcome; the job is being closed."""
    COMPLETED = "completed"
    FAILED = "failed"
    """Nothing can be done for any photo: the job as a whole was refused."""
    EXPIRED = "expired"
    """Its time was up; photos without an outcome got an error."""
    CANCELLING = "cancelling"
    CANCELLED = "cancelled"

    @property
    def running(self) -> bool:
        """Whether photos are worked on, or will be."""
        return self in {State.VALIDATING, State.IN_PROGRESS}

    @property
    def terminal(self) -> bool:
        """Whether nothing more happens to the job by itself."""
        return self in {State.COMPLETED, State.FAILED, State.EXPIRED, State.CANCELLED}


class Priority(StrEnum):
    """Which jobs the workers take up first."""

    HIGH = "high"
    NORMAL = "normal"
    LOW = "low"


@dataclass(frozen=True, slots=True)
class Source:
    """Where the bytes of a photo lie."""

    path: str
    """Of an object in the jobs' store; with ``prefix``, of one below that prefix."""
    start: int = 0
    """Offset of the photo in the object, which may hold several."""
    length: int | None = None
    """None: the whole object."""
    prefix: str = ""
    """One of the operator's ``job_reference_prefixes``, or empty for the jobs' own store."""


@dataclass(frozen=True, slots=True)
class Item:
    """One photo of a job."""

    index: int
    """Its place in the input, and so in the results."""
    custom_id: str
    """The caller's name of it: as given, or the file's name."""
    source: Source


@dataclass(frozen=True, slots=True)
class Problem:
    """Why an item has no answer: an RFC 9457 problem without ``instance``."""

    type: str
    title: str
    status: int
    detail: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one item: an answer or a problem."""

    index: int
    custom_id: str
    answer: str = ""
    """The JSON text of the service's answer; empty when there is a problem."""
    problem: Problem | None = None


@dataclass(frozen=True, slots=True)
class Webhook:
    """Whom to call when the job has ended."""

    url: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """What defines a job. Written once, after all inputs: its presence is the acknowledgement."""

    id: str
    owner: str
    """Whose job it is; empty for a service without keys. Nobody else learns that it exists."""
    created_at: float
    options: Mapping[str, str]
    """Options of a locate as strings, as a query string holds them."""
    priority: Priority
    items: int
    chunks: int
    input_bytes: int
    inputs: str
    """The folder of the inputs in the jobs' store."""
    fingerprint: str
    """SHA-256 over options and inputs: what an idempotency key is held against."""
    skipped: Mapping[str, str] = field(default_factory=dict)
    """Entries of an archive that were not taken, and why; at most the first hundred."""
    skipped_count: int = 0
    webhook: Webhook | None = None
    idempotency: str = ""
    """The object that records the caller's idempotency key; empty without one."""
    expires_after_s: float = 86_400.0
    """The window in which the job is worked on, from ``created_at`` or the last retry."""
    kept_for_s: float = 30 * 86_400.0
    """After its end; then the job is deleted."""
    work: int = 1
    """Version of this layout."""


@dataclass(frozen=True, slots=True)
class Counts:
    """How many photos there are and what became of them."""

    total: int
    completed: int
    failed: int

    @property
    def open(self) -> int:
        """Photos without an outcome."""
        return self.total - self.completed - self.failed


@dataclass(frozen=True, slots=True)
class Job:
    """A job as it stands now."""

    manifest: Manifest
    state: State
    since: Mapping[State, float]
    """When each state was reached."""
    counts: Counts
    round: int
    """0 for the first run; a retry starts the next."""
    redeliveries: int
    """Chunks that were claimed again after a worker was lost."""
    duplicates: int
    """Outcomes that were computed twice and written once."""
    eta: float | None
    """When the last photo will be done at the present rate; None while that is unknown."""
    problem: Problem | None = None
    """Why the job failed as a whole."""

    @property
    def id(self) -> str:
        """Sortable by the time of creation, and not to be guessed."""
        return self.manifest.id

    @property
    def expires_at(self) -> float:
        """When its time is up, if it has not ended: a retry has a window of its own."""
        started = self.since.get(State.IN_PROGRESS) if self.round else None
        return (started or self.manifest.created_at) + self.manifest.expires_after_s

    @property
    def ended_at(self) -> float | None:
        """When it ended; None before that."""
        return self.since[self.state] if self.state.terminal else None


@dataclass(frozen=True, slots=True)
class Claim:
    """A chunk that one worker holds until its lease ends."""

    job_id: str
    owner: str
    chunk: int
    round: int
    attempt: int
    """1 for the first. From 2 on the items are worked one by one, see ``isolated``."""
    token: str
    """Proves to the store who holds the lease."""
    items: tuple[Item, ...]
    """Those still to do, in order."""
    kept: tuple[Outcome, ...]
    """Outcomes that an earlier attempt has kept already."""
    options: Mapping[str, str]
    priority: Priority

    @property
    def isolated(self) -> bool:
        """Whether a worker was lost with this chunk: one of its photos may be the cause."""
        return self.attempt > 1


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to a job."""

    id: str
    """Grows with every event of a job; what ``Last-Event-ID`` holds."""
    kind: str
    """``state`` or ``progress``."""
    data: str
    """JSON."""


@dataclass(frozen=True, slots=True)
class Task:
    """A message to the workers: run this chunk."""

    job_id: str
    chunk: int
    priority: Priority
