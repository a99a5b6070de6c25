"""Pictures as chat messages take them."""

from __future__ import annotations

import base64


def data_url(encoded: bytes) -> str:
    """A JPEG as the URL that a chat message takes."""
    return "data:image/jpeg;base64," + base64.b64encode(encoded).decode("ascii")


def tokens(longest_side: int) -> int:
    """An upper estimate of what a picture counts for: vendors bill by area, from a floor upward."""
    return max(longest_side * longest_side // 500, 256)
