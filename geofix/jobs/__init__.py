"""Batch jobs: many photos, each with exactly one result, whatever dies in between.

The truth is in the object store; Redis holds what changes by the second and can be rebuilt.
"""
