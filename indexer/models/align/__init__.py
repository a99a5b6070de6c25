"""Geo-alignment: heads that carry a frozen image encoder's vectors into location space.

After Jia et al., "G3: An Effective and Adaptive Framework for Worldwide Geolocalization Using
Large Multi-Modality Models", NeurIPS 2024 (arXiv 2405.14702), section 4.1. The towers stay
frozen, so every photo passes through its tower once, before training begins.
"""
