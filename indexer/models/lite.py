"""EfficientNet-Lite0 in torch, for reading the published checkpoint and exporting it.

Lite is EfficientNet without squeeze-and-excitation and with ReLU6 for swish (Tan & Le,
"EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks", 2019, and Google's
"EfficientNet-Lite" note of 2020). Attribute names follow the checkpoint's keys.
"""

from __future__ import annotations

from typing import NamedTuple

import torch.nn.functional as F  # noqa: N812 – torch's own convention
from torch import Tensor, nn

BATCH_NORM_EPSILON = 1e-3


class Stage(NamedTuple):
    """A run of equal blocks; the first one changes width and, with stride 2, resolution."""

    repeats: int
    kernel: int
    stride: int
    expansion: int
    channels: int


STAGES = (
    Stage(1, 3, 1, 1, 16),
    Stage(2, 3, 2, 6, 24),
    Stage(2, 5, 2, 6, 40),
    Stage(3, 3, 2, 6, 80),
    Stage(3, 5, 1, 6, 112),
    Stage(4, 5, 2, 6, 192),
    Stage(1, 3, 1, 6, 320),
)
STEM_CHANNELS = 32
FEATURES = 1280
CLASSES = 1000


class SameConv2d(nn.Conv2d):
    """A convolution padded as TensorFlow's SAME is on even sizes: the odd pixel goes last."""

    def __init__(
        self, inputs: int, outputs: int, kernel: int, *, stride: int = 1, groups: int = 1
    ) -> None:
        super().__init__(inputs, outputs, kernel, stride=stride, groups=groups, bias=False)
        total = kernel - stride
        first = total // 2
        self.borders = (first, total - first, first, total - first)

    def forward(self, input: Tensor) -> Tensor:
        return super().forward(F.pad(input, self.borders))


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=BATCH_NORM_EPSILON)


class Block(nn.Module):
    """Inverted residual: expand, depthwise convolution, project."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        hidden = inputs * expansion
        self._expand_conv = SameConv2d(inputs, hidden, 1) if expansion > 1 else None
        self._bn0 = _norm(hidden) if expansion > 1 else None
        self._depthwise_conv = SameConv2d(hidden, hidden, kernel, stride=stride, groups=hidden)
        self._bn1 = _norm(hidden)
        self._project_conv = SameConv2d(hidden, outputs, 1)
        self._bn2 = _norm(outputs)
        self.residual = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = x
        if self._expand_conv is not None and self._bn0 is not None:
            out = F.relu6(self._bn0(self._expand_conv(out)))
        out = F.relu6(self._bn1(self._depthwise_conv(out)))
        out = self._bn2(self._project_conv(out))
        return x + out if self.residual else out


class EfficientNetLite0(nn.Module):
    """Float32 [N, 3, 224, 224] → embedding [N, 1280] and class logits [N, 1000]."""

    def __init__(self) -> None:
        super().__init__()
        self._conv_stem = SameConv2d(3, STEM_CHANNELS, 3, stride=2)
        self._bn0 = _norm(STEM_CHANNELS)
        blocks = []
        width = STEM_CHANNELS
        for stage in STAGES:
            for i in range(stage.repeats):
                stride = stage.stride if i == 0 else 1
                blocks.append(Block(width, stage.channels, stage.kernel, stride, stage.expansion))
                width = stage.channels
        self._blocks = nn.ModuleList(blocks)
        self._conv_head = SameConv2d(width, FEATURES, 1)
        self._bn1 = _norm(FEATURES)
        self._fc = nn.Linear(FEATURES, CLASSES)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        x = F.relu6(self._bn0(self._conv_stem(image)))
        for block in self._blocks:
            x = block(x)
        x = F.relu6(self._bn1(self._conv_head(x)))
        embedding = x.mean(dim=(2, 3))
        return embedding, self._fc(embedding)
