"""Batch jobs while their parts are killed: a site to break, and what breaks it."""
