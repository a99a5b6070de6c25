"""Erasing a contributor: every byte of theirs, in every version, and a receipt of it."""

LOCK = "reindex.lock"
"""Held by whoever builds a version of a gallery, or erases in one."""
STOP = "reindex.stop"
"""While this file is there, whoever builds a version stops."""
