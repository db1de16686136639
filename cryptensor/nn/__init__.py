# SPDX-License-Identifier: MIT
"""Encrypting and decrypting unmodified torch.nn modules."""

from .calibration import calibrate
from .encryption import decrypt, encrypt
from .onnx_import import from_onnx

__all__ = ["calibrate", "decrypt", "encrypt", "from_onnx"]
