# SPDX-License-Identifier: MIT
"""Layers of torch.nn with inputs, by kind."""

from __future__ import annotations

import torch
from module_case import Case, apart, classes, positive, values, with_statistics
from torch import nn

LAYERS = {
    "linear": Case(lambda: nn.Linear(5, 4), (values(3, 5),)),
    "linear without bias": Case(lambda: nn.Linear(5, 4, bias=False), (values(2, 3, 5),)),
    "bilinear": Case(lambda: nn.Bilinear(4, 3, 5), (values(2, 4), values(2, 3))),
    "bilinear of rows": Case(
        lambda: nn.Bilinear(4, 3, 2, bias=False), (values(2, 3, 4), values(2, 3, 3))
    ),
    "identity": Case(nn.Identity, (values(3),)),
    "flatten": Case(nn.Flatten, (values(2, 3, 4),)),
    "unflatten": Case(lambda: nn.Unflatten(1, (2, 3)), (values(2, 6),)),
    "channel shuffle": Case(lambda: nn.ChannelShuffle(2), (values(2, 4, 3, 3),)),
    "pixel shuffle": Case(lambda: nn.PixelShuffle(2), (values(2, 8, 3, 2),)),
    "pixel unshuffle": Case(lambda: nn.PixelUnshuffle(2), (values(2, 2, 4, 6),)),
    "fold": Case(lambda: nn.Fold((4, 5), (2, 3), padding=1, stride=2), (values(2, 12, 9),)),
    "unfold": Case(lambda: nn.Unfold((2, 3), dilation=2, padding=1), (values(2, 2, 5, 6),)),
    "cosine similarity": Case(nn.CosineSimilarity, (values(3, 5), values(3, 5))),
    "pairwise distance": Case(nn.PairwiseDistance, (values(3, 5), values(3, 5))),
    "pairwise distance 1": Case(lambda: nn.PairwiseDistance(1.0), (values(3, 5), values(3, 5))),
}

CONVOLUTIONS = {
    "conv1d": Case(lambda: nn.Conv1d(4, 6, 3, 2, 1, 2, 2), (values(2, 4, 9),)),
    "conv2d": Case(lambda: nn.Conv2d(4, 6, (3, 2), (2, 1), 1, 1, 2), (values(2, 4, 6, 5),)),
    "conv2d same": Case(lambda: nn.Conv2d(2, 3, 4, padding="same"), (values(2, 2, 5, 6),)),
    "conv2d of one image": Case(lambda: nn.Conv2d(2, 3, 3), (values(2, 5, 6),)),
    "conv2d reflect": Case(
        lambda: nn.Conv2d(2, 3, 3, padding=1, padding_mode="reflect"), (values(2, 2, 5, 6),)
    ),
    "conv2d circular": Case(
        lambda: nn.Conv2d(2, 3, 3, padding=1, padding_mode="circular"), (values(2, 2, 5, 6),)
    ),
    "conv3d": Case(
        lambda: nn.Conv3d(2, 4, (2, 3, 2), (1, 2, 1), 1, 1, 2), (values(2, 2, 4, 5, 3),)
    ),
    "conv transpose 1d": Case(
        lambda: nn.ConvTranspose1d(4, 6, 3, 2, 1, 1, 2, dilation=2), (values(2, 4, 5),)
    ),
    "conv transpose 2d": Case(
        lambda: nn.ConvTranspose2d(3, 2, (3, 2), (2, 3), (1, 0), (1, 2)), (values(2, 3, 4, 3),)
    ),
    "conv transpose of one image": Case(
        lambda: nn.ConvTranspose2d(3, 2, 2, bias=False, padding=1), (values(3, 4, 3),)
    ),
    "conv transpose 3d": Case(
        lambda: nn.ConvTranspose3d(2, 4, 2, (1, 2, 1), groups=2), (values(2, 2, 3, 2, 3),)
    ),
    "conv transpose output size": Case(
        lambda: nn.ConvTranspose2d(2, 2, 3, 2),
        (values(1, 2, 3, 3),),
        lambda model, x: model(x, output_size=[8, 7]),
    ),
}

NORMS = {
    "batch norm 1d": Case(lambda: with_statistics(nn.BatchNorm1d(3)), (values(8, 3),)),
    "batch norm of rows": Case(lambda: with_statistics(nn.BatchNorm1d(3)), (values(4, 3, 5),)),
    "batch norm 2d": Case(lambda: with_statistics(nn.BatchNorm2d(3)), (values(4, 3, 3, 2),)),
    "batch norm 3d": Case(lambda: with_statistics(nn.BatchNorm3d(2)), (values(3, 2, 2, 3, 2),)),
    "batch norm without affine": Case(
        lambda: with_statistics(nn.BatchNorm2d(3, affine=False)), (values(4, 3, 3, 2),)
    ),
    "batch norm without statistics": Case(
        lambda: nn.BatchNorm2d(3, track_running_stats=False), (values(4, 3, 3, 2),)
    ),
    "batch norm with cumulative average": Case(
        lambda: with_statistics(nn.BatchNorm2d(3, momentum=None)), (values(4, 3, 3, 2),)
    ),
    "layer norm": Case(lambda: with_statistics(nn.LayerNorm((3, 4))), (values(2, 3, 4),)),
    "rms norm": Case(lambda: with_statistics(nn.RMSNorm(6)), (values(2, 3, 6),)),
    "group norm": Case(lambda: with_statistics(nn.GroupNorm(2, 4)), (values(2, 4, 3, 2),)),
    "instance norm 1d": Case(lambda: nn.InstanceNorm1d(3), (values(2, 3, 6),)),
    "instance norm 2d": Case(
        lambda: with_statistics(nn.InstanceNorm2d(3, affine=True)), (values(2, 3, 4, 3),)
    ),
    "instance norm 3d": Case(lambda: nn.InstanceNorm3d(2), (values(2, 2, 2, 3, 2),)),
    "instance norm with statistics": Case(
        lambda: with_statistics(nn.InstanceNorm2d(3, affine=True, track_running_stats=True)),
        (values(2, 3, 4, 3),),
    ),
    "local response norm": Case(lambda: nn.LocalResponseNorm(3, 0.5), (values(2, 5, 3, 2),)),
}

_ACTIVATIONS: tuple[nn.Module, ...] = (
    nn.CELU(0.7),
    nn.ELU(),
    nn.GELU(),
    nn.GELU("tanh"),
    nn.GLU(),
    nn.Hardshrink(),
    nn.Hardsigmoid(),
    nn.Hardswish(),
    nn.Hardtanh(),
    nn.LeakyReLU(),
    nn.LogSigmoid(),
    nn.LogSoftmax(1),
    nn.Mish(),
    nn.PReLU(4),
    nn.RReLU(),
    nn.ReLU(),
    nn.ReLU(inplace=True),
    nn.ReLU6(),
    nn.SELU(),
    nn.SiLU(),
    nn.Sigmoid(),
    nn.Softmax(1),
    nn.Softmax2d(),
    nn.Softmin(1),
    nn.Softplus(2.0),
    nn.Softshrink(),
    nn.Softsign(),
    nn.Tanh(),
    nn.Tanhshrink(),
    nn.Threshold(0.25, -1.0),
)
ACTIVATIONS = {
    repr(module): Case(
        lambda module=module: module,
        (values(2, 4, 2, 4),),
        # An input in place is no leaf.
        lambda model, x: model(x * 1.5),
        training=not isinstance(module, nn.RReLU),
    )
    for module in _ACTIVATIONS
}

POOLS = {
    "max pool 1d": Case(lambda: nn.MaxPool1d(3, 2, 1), (apart(2, 3, 8),)),
    "max pool 2d": Case(lambda: nn.MaxPool2d(2, ceil_mode=True), (apart(2, 2, 5, 5),)),
    "max pool 3d": Case(lambda: nn.MaxPool3d(2, 1, dilation=2), (apart(1, 2, 4, 3, 4),)),
    "avg pool 1d": Case(lambda: nn.AvgPool1d(3, 2, 1), (values(2, 3, 8),)),
    "avg pool 2d": Case(
        lambda: nn.AvgPool2d(2, 2, 1, count_include_pad=False), (values(2, 2, 5, 5),)
    ),
    "avg pool 3d": Case(lambda: nn.AvgPool3d(2), (values(1, 2, 4, 3, 4),)),
    "lp pool 1d": Case(lambda: nn.LPPool1d(2, 3, 2), (positive(2, 3, 7),)),
    "lp pool 2d": Case(lambda: nn.LPPool2d(2, 2), (positive(2, 2, 4, 5),)),
    "lp pool 2d of power 1": Case(lambda: nn.LPPool2d(1, 2), (positive(2, 2, 4, 5),)),
    "lp pool 3d": Case(lambda: nn.LPPool3d(2, 2), (positive(1, 2, 4, 2, 4),)),
    "adaptive avg pool 1d": Case(lambda: nn.AdaptiveAvgPool1d(3), (values(2, 3, 7),)),
    "adaptive avg pool 2d": Case(lambda: nn.AdaptiveAvgPool2d((3, None)), (values(2, 2, 5, 4),)),
    "adaptive avg pool 3d": Case(lambda: nn.AdaptiveAvgPool3d(2), (values(1, 2, 3, 4, 5),)),
    "adaptive max pool 1d": Case(lambda: nn.AdaptiveMaxPool1d(3), (apart(2, 3, 7),)),
    "adaptive max pool 2d": Case(lambda: nn.AdaptiveMaxPool2d((2, 3)), (apart(2, 2, 5, 4),)),
    "adaptive max pool 3d": Case(lambda: nn.AdaptiveMaxPool3d(2), (apart(1, 2, 3, 4, 4),)),
    "max unpool 1d": Case(
        lambda: nn.MaxUnpool1d(2),
        (apart(2, 3, 8),),
        lambda model, x: model(*torch.nn.functional.max_pool1d(x, 2, return_indices=True)),
    ),
    "max unpool 2d": Case(
        lambda: nn.MaxUnpool2d(2),
        (apart(2, 2, 4, 6),),
        lambda model, x: model(*torch.nn.functional.max_pool2d(x, 2, return_indices=True)),
    ),
}

PADS = {
    "reflection pad 1d": Case(lambda: nn.ReflectionPad1d((2, 1)), (values(2, 3, 4),)),
    "reflection pad 2d": Case(lambda: nn.ReflectionPad2d((2, 1, 0, 3)), (values(2, 3, 4, 5),)),
    "reflection pad 3d": Case(lambda: nn.ReflectionPad3d(1), (values(2, 2, 3, 2, 4),)),
    "replication pad 1d": Case(lambda: nn.ReplicationPad1d((2, 1)), (values(2, 3, 4),)),
    "replication pad 2d": Case(lambda: nn.ReplicationPad2d((2, 1, 0, 3)), (values(2, 3, 4, 5),)),
    "replication pad 3d": Case(lambda: nn.ReplicationPad3d(2), (values(2, 2, 3, 2, 4),)),
    "circular pad 1d": Case(lambda: nn.CircularPad1d((2, 1)), (values(2, 3, 4),)),
    "circular pad 2d": Case(lambda: nn.CircularPad2d((2, 1, 0, 3)), (values(2, 3, 4, 5),)),
    "circular pad 3d": Case(lambda: nn.CircularPad3d(1), (values(2, 2, 3, 2, 4),)),
    "zero pad 1d": Case(lambda: nn.ZeroPad1d((2, 1)), (values(2, 3, 4),)),
    "zero pad 2d": Case(lambda: nn.ZeroPad2d((2, -1, 0, 3)), (values(2, 3, 4, 5),)),
    "zero pad 3d": Case(lambda: nn.ZeroPad3d(1), (values(2, 2, 3, 2, 4),)),
    "constant pad 2d": Case(lambda: nn.ConstantPad2d(2, -1.5), (values(2, 3, 4, 5),)),
}

UPSAMPLING = {
    "nearest 1d": Case(lambda: nn.Upsample(scale_factor=2.5), (values(2, 3, 4),)),
    "nearest 2d": Case(lambda: nn.Upsample((5, 7)), (values(2, 2, 3, 4),)),
    "nearest 3d": Case(lambda: nn.Upsample(scale_factor=2), (values(1, 2, 2, 3, 2),)),
    "nearest exact": Case(
        lambda: nn.Upsample(scale_factor=1.7, mode="nearest-exact"), (values(2, 2, 3, 4),)
    ),
    "linear": Case(lambda: nn.Upsample(7, mode="linear"), (values(2, 3, 4),)),
    "linear aligned": Case(
        lambda: nn.Upsample(7, mode="linear", align_corners=True), (values(2, 3, 4),)
    ),
    "bilinear": Case(
        lambda: nn.Upsample(scale_factor=(2, 1.5), mode="bilinear"), (values(2, 2, 3, 4),)
    ),
    "bilinear aligned": Case(lambda: nn.UpsamplingBilinear2d((5, 2)), (values(2, 2, 3, 4),)),
    "bicubic": Case(lambda: nn.Upsample(scale_factor=2, mode="bicubic"), (values(2, 2, 3, 4),)),
    "trilinear": Case(
        lambda: nn.Upsample(scale_factor=2, mode="trilinear"), (values(1, 2, 2, 3, 2),)
    ),
    "upsampling nearest": Case(
        lambda: nn.UpsamplingNearest2d(scale_factor=3), (values(2, 2, 3, 2),)
    ),
    "bilinear antialiased": Case(
        nn.Identity,
        (values(2, 2, 6, 7),),
        lambda model, x: torch.nn.functional.interpolate(
            x, (3, 4), mode="bilinear", antialias=True
        ),
    ),
    "area": Case(
        nn.Identity,
        (values(2, 2, 6, 7),),
        lambda model, x: torch.nn.functional.interpolate(x, (3, 4), mode="area"),
    ),
}

TABLES = {
    "embedding": Case(lambda: nn.Embedding(7, 3), (classes(7, 2, 4),)),
    "embedding with padding": Case(
        lambda: nn.Embedding(7, 3, padding_idx=2), (torch.tensor([[1, 2], [2, 6]]),)
    ),
    "embedding bag sum": Case(lambda: nn.EmbeddingBag(7, 3, mode="sum"), (classes(7, 2, 4),)),
    "embedding bag mean": Case(lambda: nn.EmbeddingBag(7, 3), (classes(7, 2, 4),)),
    "embedding bag max": Case(lambda: nn.EmbeddingBag(7, 3, mode="max"), (classes(7, 2, 4),)),
    "embedding bag with offsets": Case(
        lambda: nn.EmbeddingBag(7, 3), (classes(7, 6), torch.tensor([0, 2, 2, 5]))
    ),
    "embedding bag with weights": Case(
        lambda: nn.EmbeddingBag(7, 3, mode="sum"),
        (classes(7, 6), values(6), torch.tensor([0, 2, 5])),
        lambda model, x, weights, offsets: model(x, offsets, weights),
    ),
    "embedding bag with padding": Case(
        lambda: nn.EmbeddingBag(7, 3, padding_idx=2), (torch.tensor([[1, 2, 6], [2, 2, 2]]),)
    ),
}
