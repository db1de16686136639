# SPDX-License-Identifier: MIT
"""A profile as a log of TensorBoard: graph, scalars and a table."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from .operations import OperationNode

if TYPE_CHECKING:
    from .layers import LayerProfile

_SCALARS = ("rounds", "bytes_sent", "dealer_bytes", "seconds", "wait_seconds")


def write(profile: LayerProfile, folder: str | os.PathLike[str], step: int) -> None:
    """Adds an event file to the folder. Raises ImportError without tensorboard."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise ImportError("to_tensorboard() needs tensorboard: pip install tensorboard") from error
    with SummaryWriter(os.fspath(folder)) as writer:
        writer._get_file_writer().add_graph(_graph(profile.operations))
        for row in profile.layers:
            for name in _SCALARS:
                tag = f"{name}/{row.name or '(model)'}"
                writer.add_scalar(tag, getattr(row, name), step)
        writer.add_text("layers", _markdown(profile.cells()), step)


def _graph(operations: Iterable[OperationNode]) -> tuple[Any, Any]:
    """The nodes with shapes and costs, and when each of them ran, one behind the other."""
    from tensorboard.compat.proto.attr_value_pb2 import AttrValue
    from tensorboard.compat.proto.config_pb2 import RunMetadata
    from tensorboard.compat.proto.graph_pb2 import GraphDef
    from tensorboard.compat.proto.node_def_pb2 import NodeDef
    from tensorboard.compat.proto.step_stats_pb2 import DeviceStepStats, NodeExecStats, StepStats
    from tensorboard.compat.proto.tensor_shape_pb2 import TensorShapeProto
    from tensorboard.compat.proto.versions_pb2 import VersionDef

    nodes, times = [], []
    start = 0
    for operation in operations:
        dims = [TensorShapeProto.Dim(size=size) for size in operation.shape]
        shapes = AttrValue.ListValue(shape=[TensorShapeProto(dim=dims)])
        attributes = {"_output_shapes": AttrValue(list=shapes)}
        for name in ("rounds", "bytes_sent", "dealer_bytes"):
            attributes[name] = AttrValue(i=getattr(operation.cost, name))
        attributes["owner"] = AttrValue(i=operation.owner)
        inputs = list(operation.inputs)
        nodes.append(NodeDef(name=operation.name, op=operation.kind, input=inputs, attr=attributes))
        lasted = round(1e6 * operation.cost.seconds)
        times.append(
            NodeExecStats(
                node_name=operation.name, all_start_micros=start, all_end_rel_micros=lasted
            )
        )
        start += lasted
    device = DeviceStepStats(device="/device:CPU:0", node_stats=times)
    metadata = RunMetadata(step_stats=StepStats(dev_stats=[device]))
    return GraphDef(node=nodes, versions=VersionDef(producer=22)), metadata


def _markdown(cells: list[tuple[str, ...]]) -> str:
    rule = tuple("---" for _ in cells[0])
    return "\n".join(f"| {' | '.join(row)} |" for row in (cells[0], rule, *cells[1:]))
