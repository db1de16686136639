# SPDX-License-Identifier: MIT
"""Encrypting and decrypting unmodified torch.nn modules."""

from .calibration import calibrate
from .encryption import decrypt, encrypt

__all__ = ["calibrate", "decrypt", "encrypt"]
