"""The resource /v1/feedback."""
