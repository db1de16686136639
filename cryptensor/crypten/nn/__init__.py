# SPDX-License-Identifier: MIT
"""crypten.nn: torch.nn's modules with encrypt() and decrypt(), losses, nodes and conversion."""

from ..refusals import refused
from . import init, layers, losses, nodes
from .graph import Graph
from .init import *  # noqa: F403  the functions of torch.nn.init
from .layers import *  # noqa: F403
from .losses import *  # noqa: F403
from .module import Module, from_onnx, from_pytorch
from .nodes import *  # noqa: F403

TF_AND_TF2ONNX = False
from_tensorflow = refused("from_tensorflow")

__all__ = ["TF_AND_TF2ONNX", "Graph", "Module", "from_onnx", "from_pytorch", "from_tensorflow"]
__all__ += init.__all__
__all__ += layers.__all__
__all__ += losses.__all__
__all__ += nodes.__all__
