# SPDX-License-Identifier: MIT
"""What each layer of a model costs in a session: as a table, a picture and for TensorBoard."""

from .layers import LayerProfile, LayerStats, profile_layers

__all__ = ["LayerProfile", "LayerStats", "profile_layers"]
