# SPDX-License-Identifier: MIT
"""Encrypting and decrypting unmodified torch.nn modules."""

from .encryption import decrypt, encrypt

__all__ = ["decrypt", "encrypt"]
