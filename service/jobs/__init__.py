"""The resource /v1/jobs: many photos at once."""
