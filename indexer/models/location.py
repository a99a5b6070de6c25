"""GeoCLIP's location encoder and image head in torch, for reading and exporting their weights.

Vivanco Cepeda, Nayak & Shah, "GeoCLIP: Clip-Inspired Alignment between Locations and Images for
Effective Worldwide Geo-localization", NeurIPS 2023 (arXiv 2309.16020). Attribute names follow
the checkpoint's keys.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

EQUAL_EARTH = (1.340264, -0.081106, 0.000893, 0.003796)
"""A1 to A4 of Šavrič, Patterson & Jenny, "The Equal Earth map projection", 2019."""
SCALE = 66.50336 / 180
CAPSULES = 3
FREQUENCIES = 256
HIDDEN = 1024
DIMENSION = 512
CLIP_DIMENSION = 768


def equal_earth(latlon: Tensor) -> Tensor:
    """Degrees float64 [N, 2] (lat, lon) → scaled Equal Earth (x, y), float64 [N, 2]."""
    a1, a2, a3, a4 = EQUAL_EARTH
    radians = latlon * (math.pi / 180)
    lat, lon = radians[:, :1], radians[:, 1:]
    sine = math.sqrt(3) / 2 * torch.sin(lat)
    # ONNX Runtime has asin in single precision only; one Newton step restores double.
    theta = torch.asin(sine.float()).double()
    theta = theta - (torch.sin(theta) - sine) / torch.cos(theta)
    t2 = theta * theta
    t6 = t2 * t2 * t2
    x = (
        (2 / math.sqrt(3))
        * lon
        * torch.cos(theta)
        / (9 * a4 * t6 * t2 + 7 * a3 * t6 + 3 * a2 * t2 + a1)
    )
    y = theta * (a4 * t6 * t2 + a3 * t6 + a2 * t2 + a1)
    return torch.cat((x, y), dim=1) * SCALE


class FourierFeatures(nn.Module):
    """[cos 2πBv, sin 2πBv].

    The finest capsule turns v through hundreds of periods, so the whole turns are taken off in
    float64 before single precision goes on.
    """

    def __init__(self) -> None:
        super().__init__()
        self.b = nn.Parameter(torch.zeros(FREQUENCIES, 2), requires_grad=False)

    def forward(self, v: Tensor) -> Tensor:
        turns = v @ self.b.double().T
        phase = ((turns - torch.round(turns)) * (2 * math.pi)).float()
        return torch.cat((torch.cos(phase), torch.sin(phase)), dim=1)


class Capsule(nn.Module):
    """One scale of the encoder: Fourier features, three hidden layers, a linear head."""

    def __init__(self) -> None:
        super().__init__()
        self.capsule = nn.Sequential(
            FourierFeatures(),
            nn.Linear(2 * FREQUENCIES, HIDDEN),
            nn.ReLU(),
            nn.Linear(HIDDEN, HIDDEN),
            nn.ReLU(),
            nn.Linear(HIDDEN, HIDDEN),
            nn.ReLU(),
        )
        self.head = nn.Sequential(nn.Linear(HIDDEN, DIMENSION))

    def forward(self, v: Tensor) -> Tensor:
        out: Tensor = self.head(self.capsule(v))
        return out


class LocationEncoder(nn.Module):
    """Float32 [N, 2] (lat, lon) in degrees → float32 [N, 512], not normalised."""

    def __init__(self) -> None:
        super().__init__()
        for i in range(CAPSULES):
            self.add_module(f"LocEnc{i}", Capsule())

    def forward(self, latlon: Tensor) -> Tensor:
        v = equal_earth(latlon.double())
        first, *others = (capsule(v) for capsule in self.children())
        total: Tensor = first
        for other in others:
            total = total + other
        return total


def image_head() -> nn.Sequential:
    """CLIP ViT-L/14 image embedding, float32 [N, 768] → location space, float32 [N, 512]."""
    return nn.Sequential(
        nn.Linear(CLIP_DIMENSION, CLIP_DIMENSION), nn.ReLU(), nn.Linear(CLIP_DIMENSION, DIMENSION)
    )
