"""A location encoder without seams: spherical harmonics into a SIREN.

Rußwurm et al., "Geographic Location Encoding with Spherical Harmonics and Sinusoidal
Representation Networks", ICLR 2024 (arXiv 2310.06743); SIREN after Sitzmann et al., NeurIPS 2020.
"""

from __future__ import annotations

import math

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
    associated Legendre function follows from two steps of its recursion in z = sin lat.
    """
    radians = latlon.double() * (math.pi / 180)
    lat, lon = radians[:, 0], radians[:, 1]
    x, y, z = torch.cos(lat) * torch.cos(lon), torch.cos(lat) * torch.sin(lon), torch.sin(lat)
    found = []
    cosine, sine = torch.ones_like(x), torch.zeros_like(x)
    for m in range(degree):
        scale = math.sqrt(2) if m else 1.0
        for legendre in _legendre(z, m, degree):
            found.append(scale * legendre * cosine)
            if m:
                found.append(scale * legendre * sine)
        cosine, sine = x * cosine - y * sine, x * sine + y * cosine
    return torch.stack(found, dim=1)


def _legendre(z: Tensor, m: int, degree: int) -> list[Tensor]:
    """Normalised associated Legendre functions of order ``m``, without their factor cos^m lat."""
    first = math.sqrt(1 / (4 * math.pi))
    for k in range(1, m + 1):
        first *= math.sqrt((2 * k + 1) / (2 * k))
    values = [torch.full_like(z, first)]
    if m + 1 < degree:
        values.append(math.sqrt(2 * m + 3) * z * values[0])
    for n in range(m + 2, degree):
        a = math.sqrt((4 * n * n - 1) / (n * n - m * m))
        b = math.sqrt(((n - 1) ** 2 - m * m) / (4 * (n - 1) ** 2 - 1))
        values.append(a * (z * values[-1] - b * values[-2]))
    return values


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
