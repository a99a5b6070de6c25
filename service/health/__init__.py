"""The resources /healthz and /readyz."""
