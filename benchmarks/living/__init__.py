"""Galleries that change while they are searched: ``python -m benchmarks.galleries --living``.

A service of its own holds the gallery. Searches arrive at a steady rate over HTTP, whether or not
the ones before are answered, while photos are added and removed and the gallery is re-indexed to
another encoder by the command that an operator would use. ``places`` holds the location vectors of
places of the gazetteer, ``photos`` JPEGs of 2 megapixels.
"""
