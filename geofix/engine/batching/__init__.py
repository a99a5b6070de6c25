"""Photos of many callers through one model: decoded apart, encoded together.

``lanes`` says who is next, ``queue`` who may wait and for how long, ``infer`` what the threads do,
``batcher`` watches over them.
"""

from geofix.engine.batching.batcher import Batcher, Limits
from geofix.engine.batching.queue import Pace, Passing, PhotoQueue

__all__ = ["Batcher", "Limits", "Pace", "Passing", "PhotoQueue"]
