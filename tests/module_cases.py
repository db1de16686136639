# SPDX-License-Identifier: MIT
"""The modules that the tests of coverage run on secrets, in groups."""

import layer_cases
from loss_cases import LOSSES
from sequence_cases import RECURRENT, TRANSFORMERS

GROUPS = {
    "layers": layer_cases.LAYERS,
    "convolutions": layer_cases.CONVOLUTIONS,
    "norms": layer_cases.NORMS,
    "activations": layer_cases.ACTIVATIONS,
    "pools": layer_cases.POOLS,
    "pads": layer_cases.PADS,
    "upsampling": layer_cases.UPSAMPLING,
    "tables": layer_cases.TABLES,
    "recurrent": RECURRENT,
    "transformers": TRANSFORMERS,
    "losses": LOSSES,
}
