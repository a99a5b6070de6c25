"""Serving under load: one model, the bare limit, Geofix and its peers, one client."""
