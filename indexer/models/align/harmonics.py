"""A location encoder without seams: spherical harmonics into a SIREN.

Rußwurm et al., "Geographic Location Encoding with Spherical Harmonics and Sinusoidal
Representation Networks", ICLR 2024 (arXiv 2310.06743); SIREN after Sitzmann et al., NeurIPS 2020.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor, nn

from indexer.models.location import DIMENSION

HIDDEN = 512
FIRST_FREQUENCY = 30.0
"""SIREN's ω₀ of the first layer; the others have 1."""


def harmonics(latlon: Tensor, degree: int) -> Tensor:
    """Degrees [N, 2] (lat, lon) → real orthonormal harmonics below ``degree``, float64 [N, L²].

    Written as polynomials of the unit vector, which know neither poles nor a date line: with
    x + iy = cos lat · e^(i lon), the order m carries Re and Im of (x + iy)^m, and the rest of the
    associated Legendre function follows from its recursion in z = sin lat.
    """
    radians = latlon.double() * (math.pi / 180)
    lat, lon = radians[:, :1], radians[:, 1:]
    x, y, z = torch.cos(lat) * torch.cos(lon), torch.cos(lat) * torch.sin(lon), torch.sin(lat)
    cosines, sines = [torch.ones_like(x)], [torch.zeros_like(x)]
    for _ in range(1, degree):
        cosine, sine = cosines[-1], sines[-1]
        cosines.append(x * cosine - y * sine)
        sines.append(x * sine + y * cosine)
    legendre = _legendre(z, degree)
    even = (legendre * torch.cat(cosines, dim=1)[:, None]).flatten(1)
    odd = (legendre * torch.cat(sines, dim=1)[:, None]).flatten(1)
    n, m = torch.tril_indices(degree, degree)
    kept = n * degree + m
    return torch.cat((even[:, kept], odd[:, kept[m > 0]]), dim=1)


def _legendre(z: Tensor, degree: int) -> Tensor:
    """Normalised associated Legendre functions without their factor cos^m lat, [N, n, m].

    All orders m of one degree n at once, from the two degrees below. Zero for m > n; √2 for
    m > 0 is in them.
    """
    orders = np.arange(degree)
    first = np.sqrt((2 * orders + 1.0) / np.maximum(2 * orders, 1.0))
    first[0] = np.sqrt(1 / (4 * np.pi))
    start = np.cumprod(first) * np.where(orders > 0, np.sqrt(2), 1)
    before = last = torch.zeros_like(z)
    found = []
    for n in range(degree):
        below = np.maximum(n * n - orders * orders, 1)
        a = np.where(orders < n, np.sqrt((4.0 * n * n - 1 if n else 0) / below), 0)
        b = np.sqrt(np.maximum((n - 1) ** 2 - orders**2, 0) / max(4 * (n - 1) ** 2 - 1, 1))
        risen = torch.from_numpy(a) * (z * last - torch.from_numpy(b) * before)
        before, last = last, risen + torch.from_numpy(np.where(orders == n, start, 0))
        found.append(last)
    return torch.stack(found, dim=1)


class Sine(nn.Module):
    """A linear layer and sin(ω·), with SIREN's starting weights."""

    def __init__(self, inputs: int, outputs: int, frequency: float, *, first: bool = False) -> None:
        super().__init__()
        self.frequency = frequency
        self.linear = nn.Linear(inputs, outputs)
        bound = 1 / inputs if first else math.sqrt(6 / inputs) / frequency
        nn.init.uniform_(self.linear.weight, -bound, bound)

    def forward(self, x: Tensor) -> Tensor:
        return torch.sin(self.frequency * self.linear(x))


class HarmonicEncoder(nn.Module):
    """Float32 [N, 2] (lat, lon) in degrees → float32 [N, 512], not normalised."""

    def __init__(self, degree: int) -> None:
        super().__init__()
        self.degree = degree
        self.layers = nn.Sequential(
            Sine(degree * degree, HIDDEN, FIRST_FREQUENCY, first=True),
            Sine(HIDDEN, HIDDEN, 1.0),
            nn.Linear(HIDDEN, DIMENSION),
        )

    def forward(self, latlon: Tensor) -> Tensor:
        out: Tensor = self.layers(harmonics(latlon, self.degree).float())
        return out
