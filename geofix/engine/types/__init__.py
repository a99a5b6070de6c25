"""What the stages of one locate hand to each other.

Small frozen dataclasses; arrays are NumPy. Positions are WGS84 degrees, distances km, times ms.
Every float in them is finite: a stage that cannot promise that drops the value instead.
"""

from geofix.engine.types.arrays import (
    Float32Array,
    Float64Array,
    Int64Array,
    UInt8Array,
)
from geofix.engine.types.gallery import (
    GalleryInfo,
    Neighbour,
    Point,
)
from geofix.engine.types.options import (
    Filter,
    Lane,
    LocateOptions,
    Rule,
)
from geofix.engine.types.photo import (
    Embedding,
    Photo,
    PhotoInfo,
)
from geofix.engine.types.prediction import (
    GEOSCORE_KM,
    LEVELS_KM,
    Abstention,
    Calibration,
    Cluster,
    HeatCell,
    Prediction,
    Share,
    StageEvent,
)
from geofix.engine.types.proposal import (
    AttributeClue,
    Candidate,
    Channel,
    Degradation,
    LmmCall,
    Proposal,
    Query,
    TextClue,
)

__all__ = [
    "GEOSCORE_KM",
    "LEVELS_KM",
    "Abstention",
    "AttributeClue",
    "Calibration",
    "Candidate",
    "Channel",
    "Cluster",
    "Degradation",
    "Embedding",
    "Filter",
    "Float32Array",
    "Float64Array",
    "GalleryInfo",
    "HeatCell",
    "Int64Array",
    "Lane",
    "LmmCall",
    "LocateOptions",
    "Neighbour",
    "Photo",
    "PhotoInfo",
    "Point",
    "Prediction",
    "Proposal",
    "Query",
    "Rule",
    "Share",
    "StageEvent",
    "TextClue",
    "UInt8Array",
]
