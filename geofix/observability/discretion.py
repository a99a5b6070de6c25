"""What libraries must not write into our logs, at whatever level somebody sets."""

from __future__ import annotations

import logging

_TALKATIVE = {
    "PIL": logging.INFO,  # every EXIF tag of a photo, its position among them
    "python_multipart": logging.ERROR,  # the parts of a body
    "multipart": logging.ERROR,
    "sse_starlette": logging.INFO,  # the events, and so the answers
    "openai": logging.INFO,  # requests to the language model, with photos
    "httpcore": logging.INFO,  # headers
    "httpcore2": logging.INFO,  # the same, between the language model and its client
    "httpx": logging.WARNING,  # addresses, with their query
    "opentelemetry": logging.WARNING,
    "httpx2": logging.WARNING,
    "hpack": logging.INFO,
    "urllib3": logging.INFO,
    "asyncio": logging.INFO,
}


def keep() -> None:
    """Keep these libraries from writing down what callers, operators and photos entrust to us."""
    for name, level in _TALKATIVE.items():
        logging.getLogger(name).setLevel(level)
