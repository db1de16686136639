# SPDX-License-Identifier: MIT
"""Real handwritten digits as 28x28 images: UCI digits from scikit-learn, or MNIST files."""

from __future__ import annotations

import gzip
import struct
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F

SIDE = 28
# 5 batches of 100; the other 1,297 images train the networks.
UCI_TEST_IMAGES = 500
_UCI_SPLIT_SEED = 20_260
_IDX_BYTES = 0x08


@dataclass(frozen=True, slots=True)
class Digits:
    """Images in [0, 1] of shape (count, 1, 28, 28) with their labels."""

    source: str
    train_images: torch.Tensor
    train_labels: torch.Tensor
    test_images: torch.Tensor
    test_labels: torch.Tensor


def load_uci() -> Digits:
    """The 1,797 digits of the UCI set, resized from 8x8; the split never changes."""
    from sklearn.datasets import load_digits

    raw = load_digits()
    small = torch.tensor(raw.images / 16.0, dtype=torch.float32).unsqueeze(1)
    images = F.interpolate(small, size=(SIDE, SIDE), mode="bilinear", align_corners=False)
    labels = torch.tensor(raw.target, dtype=torch.int64)
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(_UCI_SPLIT_SEED))
    test, train = order[:UCI_TEST_IMAGES], order[UCI_TEST_IMAGES:]
    return Digits("UCI digits", images[train], labels[train], images[test], labels[test])


def load_mnist(folder: Path) -> Digits:
    """MNIST from its four IDX files, plain or .gz, under their usual names."""
    train_images, train_labels = _pair(folder, "train")
    test_images, test_labels = _pair(folder, "t10k")
    return Digits("MNIST", train_images, train_labels, test_images, test_labels)


def _pair(folder: Path, part: str) -> tuple[torch.Tensor, torch.Tensor]:
    pixels = read_idx(_find(folder, f"{part}-images", "idx3"))
    labels = read_idx(_find(folder, f"{part}-labels", "idx1"))
    if pixels.dim() != 3 or tuple(pixels.shape[1:]) != (SIDE, SIDE):
        raise ValueError(f"{part} images have shape {tuple(pixels.shape)}, not (count, 28, 28)")
    if labels.shape != pixels.shape[:1]:
        raise ValueError(f"{part}: {len(pixels)} images, but labels of {tuple(labels.shape)}")
    return pixels.unsqueeze(1).float() / 255.0, labels.long()


def _find(folder: Path, stem: str, kind: str) -> Path:
    names = [f"{stem}{mark}{kind}-ubyte{end}" for mark in "-." for end in ("", ".gz")]
    for name in names:
        if (folder / name).is_file():
            return folder / name
    raise FileNotFoundError(f"{folder} has none of {', '.join(names)}")


def read_idx(path: Path) -> torch.Tensor:
    """An IDX file of unsigned bytes as a uint8 tensor; ValueError for anything else."""
    with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
        content = file.read()
    if len(content) < 4 or content[:2] != b"\0\0" or content[2] != _IDX_BYTES:
        raise ValueError(f"{path} is no IDX file of unsigned bytes")
    dims = content[3]
    start = 4 + 4 * dims
    if len(content) < start:
        raise ValueError(f"{path} ends within its header")
    shape = struct.unpack(f">{dims}I", content[4:start])
    data = torch.frombuffer(bytearray(content[start:]), dtype=torch.uint8)
    if data.numel() != torch.Size(shape).numel():
        raise ValueError(f"{path} has {data.numel()} values; its header says {shape}")
    return data.reshape(shape)
