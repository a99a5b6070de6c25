"""The resource /v1/locate."""
