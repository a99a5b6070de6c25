"""A simulated world for choosing among candidates: no photo in it is real.

GeoCLIP's location encoder stands for a perfect image tower whose signals fade, and a generator of
random answers stands for a language model.
"""
