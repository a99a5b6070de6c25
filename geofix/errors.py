"""Every error Geofix raises on purpose, each with its HTTP status and problem type.

GeofixError
├── SlowRequest (408)
├── InvalidRequest (400)
│   ├── UnsupportedContentType (415)
│   ├── InvalidOption (422)
│   └── InvalidCoordinate (422)
├── InvalidPhoto (422)
│   ├── EmptyPhoto (400)
│   ├── UnsupportedFormat (415)
│   ├── PhotoTooLarge (413)
│   ├── UnreadablePhoto (422)
│   └── UnencodablePhoto (422)
├── Unauthenticated (401, with WWW-Authenticate)
├── Forbidden (403)
│   ├── PhotoRefused (403)
│   └── PrecisionCapped (403)
├── NotFound (404)
├── Conflict (409)
│   ├── CanariesFailed (409)
│   └── DataDirectoryBusy (409)
├── IdempotencyMismatch (422)
├── InvalidArchive (422)
├── UploadTooLarge (413)
├── QuotaExceeded (429, with Retry-After)
├── StorageFull (507)
├── ChildFailed (500)
├── Unavailable (503, with Retry-After)
│   ├── ModelUnavailable (503)
│   ├── GalleryTimeout (503)
│   ├── EngineLost (503)
│   └── Overloaded (503)
└── InvalidSource (422)
"""

from __future__ import annotations

from typing import ClassVar


class GeofixError(Exception):
    """Base of every deliberate error.

    ``str(error)`` is the sentence shown to the user: it says what is wrong and what to do, and
    never holds a path of the server, a key or a position read from a photo.
    """

    status: ClassVar[int] = 500
    slug: ClassVar[str] = "internal"
    title: ClassVar[str] = "Internal error"

    @property
    def problem_type(self) -> str:
        """The RFC 9457 ``type`` of this error."""
        return f"urn:geofix:problem:{self.slug}"


class SlowRequest(GeofixError):
    status = 408
    slug = "slow-request"
    title = "The request came too slowly"


class InvalidRequest(GeofixError):
    status = 400
    slug = "invalid-request"
    title = "The request cannot be understood"


class UnsupportedContentType(InvalidRequest):
    status = 415
    slug = "unsupported-content-type"
    title = "The body's content type is not supported"


class InvalidOption(InvalidRequest):
    status = 422
    slug = "invalid-option"
    title = "An option is unknown or out of range"


class InvalidCoordinate(InvalidRequest):
    status = 422
    slug = "invalid-coordinate"
    title = "A coordinate is out of range"


class InvalidPhoto(GeofixError):
    status = 422
    slug = "invalid-photo"
    title = "The photo cannot be used"


class EmptyPhoto(InvalidPhoto):
    status = 400
    slug = "empty-photo"
    title = "The photo is empty"


class UnsupportedFormat(InvalidPhoto):
    status = 415
    slug = "unsupported-format"
    title = "The photo's format is not supported"


class PhotoTooLarge(InvalidPhoto):
    status = 413
    slug = "photo-too-large"
    title = "The photo is too large"


class UnreadablePhoto(InvalidPhoto):
    slug = "unreadable-photo"
    title = "The photo is damaged"


class UnencodablePhoto(InvalidPhoto):
    slug = "unencodable-photo"
    title = "The model can make nothing of the photo"


class InvalidSource(GeofixError):
    status = 422
    slug = "invalid-source"
    title = "The source of photos cannot be read"


class Unauthenticated(GeofixError):
    status = 401
    slug = "unauthenticated"
    title = "The caller is not known"


class Forbidden(GeofixError):
    status = 403
    slug = "forbidden"
    title = "The caller may not do this"


class PhotoRefused(Forbidden):
    slug = "photo-refused"
    title = "The operator's privacy policy refuses this photo"


class PrecisionCapped(Forbidden):
    slug = "precision-capped"
    title = "A precision cap does not allow this"


class NotFound(GeofixError):
    status = 404
    slug = "not-found"
    title = "There is no such thing here"


class Conflict(GeofixError):
    status = 409
    slug = "conflict"
    title = "The request conflicts with the present state"


class CanariesFailed(Conflict):
    slug = "canaries-failed"
    title = "The version was taken back"


class DataDirectoryBusy(Conflict):
    slug = "data-directory-busy"
    title = "The data directory is in use"


class IdempotencyMismatch(GeofixError):
    status = 422
    slug = "idempotency-mismatch"
    title = "The idempotency key stands for another request"


class InvalidArchive(GeofixError):
    status = 422
    slug = "invalid-archive"
    title = "The archive cannot be used"


class UploadTooLarge(GeofixError):
    status = 413
    slug = "upload-too-large"
    title = "The upload is larger than a job may be"


class StorageFull(GeofixError):
    status = 507
    slug = "storage-full"
    title = "There is no room left to store this"


class QuotaExceeded(GeofixError):
    status = 429
    slug = "quota-exceeded"
    title = "A quota is used up"

    def __init__(self, message: str, *, retry_after_s: int = 60) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class ChildFailed(GeofixError):
    slug = "child-failed"
    title = "A part of the service cannot be started"


class Unavailable(GeofixError):
    status = 503
    slug = "unavailable"
    title = "The service cannot answer now"

    def __init__(self, message: str, *, retry_after_s: int = 5) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class EngineLost(Unavailable):
    slug = "engine-lost"
    title = "The engine stopped at this photo"


class ModelUnavailable(Unavailable):
    slug = "model-unavailable"
    title = "The model cannot be loaded"


class GalleryTimeout(Unavailable):
    slug = "gallery-timeout"
    title = "A gallery did not answer in time"


class Overloaded(Unavailable):
    slug = "overloaded"
    title = "More photos are waiting than can be answered in time"
