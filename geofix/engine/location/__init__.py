"""Location space, where photos can be compared with places: the way there, and the Earth in it."""
