# SPDX-License-Identifier: MIT
"""What a model would cost as a secret one, layer by layer, found by one party playing alone."""

from .alternatives import Alternative
from .layers import LayerCost
from .network import Network
from .prediction import cost
from .report import CostReport

__all__ = ["Alternative", "CostReport", "LayerCost", "Network", "cost"]
