"""The resources /v1/embed/image and /v1/embed/location."""
