"""The whole of Geofix on this machine, under load, watched by a real Prometheus."""
