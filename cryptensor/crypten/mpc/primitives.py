# SPDX-License-Identifier: MIT
"""crypten.mpc.primitives: the share types."""

from ..shares import ArithmeticSharedTensor, BinarySharedTensor

__all__ = ["ArithmeticSharedTensor", "BinarySharedTensor"]
