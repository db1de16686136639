# SPDX-License-Identifier: MIT
"""from_onnx(): encrypted models against the reference evaluator of the onnx package."""

import sys
from importlib.util import find_spec

import numpy as np
import pytest
import torch

import cryptensor as ct
from cryptensor.errors import ConfigError, FileError, UnsupportedOperation
from cryptensor.nn import from_onnx, onnx_import

onnx = pytest.importorskip("onnx", reason="the extra onnx is not installed")
reference = pytest.importorskip("onnx.reference", reason="the extra onnx is not installed")
if find_spec("onnx2torch") is None:
    pytest.skip("the extra onnx is not installed", allow_module_level=True)

FLOAT = onnx.TensorProto.FLOAT


def proto(nodes, weights, shape, rank):
    """A model of x with the nodes (operation, inputs, attributes) in a row; the last gives y."""
    names = [*(f"t{number}" for number in range(len(nodes) - 1)), "y"]
    made, previous = [], "x"
    for (operation, inputs, attributes), name in zip(nodes, names, strict=True):
        made.append(onnx.helper.make_node(operation, [previous, *inputs], [name], **attributes))
        previous = name
    graph = onnx.helper.make_graph(
        made,
        "model",
        [onnx.helper.make_tensor_value_info("x", FLOAT, list(shape))],
        [onnx.helper.make_tensor_value_info("y", FLOAT, [None] * rank)],
        [onnx.numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    opset = [onnx.helper.make_opsetid("", 17)]
    return onnx.helper.make_model(graph, opset_imports=opset, ir_version=9)


def random(*shape):
    return np.random.default_rng(5).standard_normal(shape).astype(np.float32)


def mlp():
    nodes = [("Gemm", ["w", "b"], {"transB": 1}), ("Relu", [], {})]
    return proto(nodes, {"w": random(3, 4), "b": random(3)}, (2, 4), 2), random(2, 4)


def cnn():
    nodes = [
        ("Conv", ["w"], {"pads": [1, 1, 1, 1]}),
        ("BatchNormalization", ["s", "b", "m", "v"], {}),
        ("MaxPool", [], {"kernel_shape": [2, 2], "strides": [2, 2]}),
        ("Flatten", [], {}),
        ("Gemm", ["o"], {}),
    ]
    weights = {
        "w": random(3, 1, 3, 3),
        "s": random(3),
        "b": random(3) + 1,
        "m": random(3) / 2,
        "v": np.abs(random(3)) + 0.5,
        "o": random(12, 5),
    }
    return proto(nodes, weights, (2, 1, 4, 4), 2), random(2, 1, 4, 4)


def softmax():
    nodes = [("MatMul", ["w"], {}), ("Softmax", [], {"axis": -1})]
    return proto(nodes, {"w": random(4, 5)}, (3, 4), 2), random(3, 4)


def layer_norm():
    nodes = [("LayerNormalization", ["s", "b"], {"axis": -1}), ("Sigmoid", [], {})]
    return proto(nodes, {"s": random(6), "b": random(6)}, (3, 6), 2), random(3, 6)


def infer(model, x):
    return ct.encrypt(model, src=0)(ct.cryptensor(x, src=1)).reveal()


@pytest.mark.parametrize("make", [mlp, cnn, softmax, layer_norm])
def test_an_onnx_model_runs_encrypted(make):
    model, x = make()
    (want,) = reference.ReferenceEvaluator(model).run(None, {"x": x})
    module = from_onnx(model)
    assert not module.training
    found = ct.simulate(infer, module, torch.from_numpy(x), parties=2)[0]
    assert np.abs(found.detach().numpy() - want).max() < 2e-3


def test_a_path_and_bytes_are_the_same_model(tmp_path):
    model, x = mlp()
    path = tmp_path / "model.onnx"
    onnx.save(model, path)
    x = torch.from_numpy(x)
    for given in (path, str(path), path.read_bytes()):
        assert torch.equal(from_onnx(given)(x), from_onnx(model)(x))


def test_an_imported_model_can_be_optimized():
    model, x = cnn()
    optimized = ct.optimize(from_onnx(model), torch.from_numpy(x))
    assert "norm" not in optimized.code


def test_bad_files_are_named_errors(tmp_path):
    path = tmp_path / "model.onnx"
    path.write_bytes(mlp()[0].SerializeToString()[:-20])
    for given in (path, b"no model", tmp_path / "missing.onnx"):
        with pytest.raises(FileError, match="no readable, valid ONNX model"):
            from_onnx(given)
    with pytest.raises(FileError, match="Bogus"):
        from_onnx(proto([("Bogus", [], {})], {}, (2, 2), 2))
    with pytest.raises(UnsupportedOperation, match="Det"):
        from_onnx(proto([("Det", [], {})], {}, (2, 2), 0))
    with pytest.raises(TypeError, match="it must be a path, bytes or an"):
        from_onnx(3)


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx2torch", None)
    with pytest.raises(ConfigError, match=r"cryptensor\[onnx\]"):
        from_onnx(b"")


def test_a_torchvision_of_another_torch_does_no_harm(monkeypatch, tmp_path):
    (tmp_path / "torchvision.py").write_text(
        "raise RuntimeError('operator torchvision::nms does not exist')\n"
    )
    for name in [n for n in sys.modules if n.partition(".")[0] in ("onnx2torch", "torchvision")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.syspath_prepend(tmp_path)
    with onnx_import._without_broken_torchvision():
        from torchvision.ops import roi_align
    assert "torchvision" not in sys.modules
    with pytest.raises(UnsupportedOperation, match="fits the installed torch"):
        roi_align()
