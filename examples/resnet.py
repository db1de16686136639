# SPDX-License-Identifier: MIT
"""ResNet-18 as torchvision defines it, in modules of torch.nn alone."""

from __future__ import annotations

import torch
from torch import nn

# Channels, as a multiple of the stem's, and stride of each stage's first block of two.
_STAGES = ((1, 1), (2, 2), (4, 2), (8, 2))


class BasicBlock(nn.Module):
    """Two 3x3 convolutions beside a shortcut, (n, c, h, w) to (n, channels, h/stride, w/stride)."""

    def __init__(self, before: int, channels: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(before, channels, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.relu = nn.ReLU(inplace=True)
        self.downsample: nn.Module | None = None
        if stride != 1 or before != channels:
            self.downsample = nn.Sequential(
                nn.Conv2d(before, channels, 1, stride, bias=False), nn.BatchNorm2d(channels)
            )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        shortcut = x if self.downsample is None else self.downsample(x)
        out = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        out += shortcut
        return self.relu(out)


class ResNet18(nn.Module):
    """Images (n, 3, h, w) to logits (n, classes); the stem divides h and w by four.

    width: the channels of the stem, 64 in torchvision.
    """

    def __init__(self, classes: int = 1000, width: int = 64) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, width, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        before, stages = width, []
        for multiple, stride in _STAGES:
            channels = multiple * width
            first, second = BasicBlock(before, channels, stride), BasicBlock(channels, channels, 1)
            stages.append(nn.Sequential(first, second))
            before = channels
        self.layer1, self.layer2, self.layer3, self.layer4 = stages
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.fc = nn.Linear(before, classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(torch.flatten(self.avgpool(x), 1))
