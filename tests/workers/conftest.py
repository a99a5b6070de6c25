"""Photos to send, by the hundred."""

from __future__ import annotations

import pytest


@pytest.fixture(scope="session")
def photos(jpeg: bytes) -> list[tuple[str, bytes]]:
    """Names and files of 160 photos, none like another byte for byte."""
    return [(f"{number:03}.jpg", jpeg + b"%d" % number) for number in range(160)]
