"""The contrastive loss, and a queue of what earlier batches held."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812 – torch's own convention
from torch import Tensor, nn

NOBODY = -1
"""Row of a place in the queue that was never filled."""


class Queue(nn.Module):
    """The latest vectors of one kind and the rows of the photos that they belong to.

    He et al., "Momentum Contrast", CVPR 2020; GeoCLIP keeps one of GPS vectors.
    """

    vectors: Tensor
    rows: Tensor

    def __init__(self, length: int, dimension: int) -> None:
        super().__init__()
        self.register_buffer("vectors", torch.zeros(length, dimension))
        self.register_buffer("rows", torch.full((length,), NOBODY))

    def push(self, vectors: Tensor, rows: Tensor) -> None:
        """Add a batch [n, d] in front; the oldest fall out."""
        length = len(self.rows)
        self.vectors = torch.cat((vectors.detach(), self.vectors))[:length].clone()
        self.rows = torch.cat((rows, self.rows))[:length].clone()

    def negatives_of(self, rows: Tensor) -> Tensor:
        """Bool [n, length]: which places hold another photo; the same one is no negative."""
        return (self.rows != NOBODY) & (self.rows != rows[:, None])


def info_nce(
    a: Tensor,
    b: Tensor,
    scale: Tensor,
    further: Tensor | None = None,
    counts: Tensor | None = None,
) -> Tensor:
    """Symmetric InfoNCE of unit vectors ``a`` and ``b`` [n, d], row i of both a pair.

    Each row's own partner against all the others of the batch, as in CLIP (Radford et al.,
    2021), from either side. ``further`` [q, d] are more negatives for the rows of ``a``, of which
    ``counts`` [n, q] says which count for which row.
    """
    logits = scale * a @ b.T
    wide = logits
    if further is not None and counts is not None:
        wide = torch.cat((logits, (scale * a @ further.T).masked_fill(~counts, -torch.inf)), dim=1)
    pairs = torch.arange(len(a))
    return (F.cross_entropy(wide, pairs) + F.cross_entropy(logits.T, pairs)) / 2
