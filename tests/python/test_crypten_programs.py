# SPDX-License-Identifier: MIT
"""Programs of CrypTen's API on the subjects of its tutorials: examples/crypten, and small ones."""

import importlib.util
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import cryptensor as ct
import cryptensor.crypten as crypten
import cryptensor.crypten.nn as cnn
from cryptensor.crypten import mpc
from cryptensor.errors import ConfigError, FileError, UnsupportedOperation

PROGRAMS = Path(__file__).resolve().parents[2] / "examples" / "crypten"


@pytest.fixture
def program(monkeypatch):
    """A function that imports a program, whose parties are then threads."""
    monkeypatch.setattr("cryptensor.crypten.sessions.launch", ct.simulate)

    def load(name):
        spec = importlib.util.spec_from_file_location(f"program_{name}", PROGRAMS / f"{name}.py")
        module = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, spec.name, module)
        spec.loader.exec_module(module)
        return module

    return load


def close(found, expected, bound=2e-3):
    return torch.allclose(found, torch.as_tensor(expected), atol=bound, rtol=bound)


def test_only_the_import_lines_name_this_library():
    for path in PROGRAMS.glob("*.py"):
        lines = [line for line in path.read_text().splitlines() if "cryptensor." in line]
        assert lines and all(line.startswith(("import ", "from ")) for line in lines), path
        assert len(path.read_text().splitlines()) < 120


def test_basics(program):
    alone, (results, others) = program("basics").main()
    expected = {
        "sum": [3.0, 6.0, 11.0],
        "product": [2.0, 8.0, 24.0],
        "quotient": [0.5, 0.5, 0.375],
        "dot product": 34.0,
        "power": [1.0, 8.0, 27.0],
        "polynomial x + 2 x^2": [3.0, 10.0, 21.0],
        "larger ones": [2.0, 5.0, 3.0],
        "x == y": [0.0, 1.0, 0.0],
        "where it is, one-hot": [0.0, 1.0, 0.0],
        "where it is": 1.0,
        "sin^2 + cos^2": [1.0, 1.0, 1.0],
        "column sums": [3.0, 5.0, 7.0],
    }
    for name, value in expected.items():
        assert close(results[name], value), name
        assert name not in alone or close(alone[name], value), name
    assert results["random numbers are in [0, 1)"]
    assert all(torch.equal(value, others[name]) for name, value in results.items())


def test_shares(program):
    results = program("shares").main()
    values = torch.tensor([1.5, -2.0, 40.0])
    total = sum(party["share"] for party in results)
    assert torch.equal(total, (values * 2**16).long())
    # Party 1 knows the values, and even its share says nothing of them.
    assert all((party["share"].abs() > 2**32).any() for party in results)
    for rank, party in enumerate(results):
        for name in ("from shares", "refreshed", "back"):
            assert torch.equal(party[name], values)
        assert party["brought"].tolist() == [600.0, -300.0]
        assert party["zero"].tolist() == [0.0] * 3
        assert party["kinds"] == ["arithmetic", "binary", "arithmetic"]
        assert (party["only for party 2"] is None) == (rank != 2)


def test_access_control(program):
    alice, bob, results = program("access_control").main()
    means = torch.cat([alice, bob], 1).mean(0)
    for rank, party in enumerate(results):
        assert party["shape by rows"] == (8, 3) and party["shape by columns"] == (4, 6)
        assert close(party["means"], means) and party["encrypted"]
        assert (party["for Bob"] is None) == (rank == 0)
    assert close(results[1]["for Bob"], alice.sum(0) + bob.sum(0))


def test_classification(program):
    expected, ((hidden, accuracy), (scores, same)) = program("classification").main()
    assert hidden is None and accuracy == same == 1.0
    assert close(scores, expected, bound=1e-2)


def test_networks(program):
    expected, results = program("networks").main()
    for party in results:
        assert party["flags"] == [False, True, False] and party["all secret"]
        assert party["parameters"]["fc1.weight"] == (6, 4)
        for name, value in expected.items():
            assert close(party[name], value), name


def test_training(program):
    for (losses, accuracy, state), (plain, reached, wanted) in (
        (secret[0], plain) for secret, plain in program("training").main()
    ):
        assert close(torch.tensor(losses), plain, bound=5e-3)
        assert losses[-1] < 0.9 * losses[0] and abs(accuracy - reached) < 0.04
        worst = max((state[name] - value).abs().max() for name, value in wanted.items())
        assert worst < 2e-2


def test_programs_run_by_themselves():
    script = [sys.executable, str(PROGRAMS / "networks.py")]
    done = subprocess.run(script, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0 and "flags: [False, True, False]" in done.stdout, done.stderr


def test_instances_meet_by_the_environment():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RENDEZVOUS", "file:///somewhere")
        patch.setenv("WORLD_SIZE", "3")
        with pytest.raises(ConfigError, match="RENDEZVOUS"):
            crypten.init()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = str(listener.getsockname()[1])
    meeting = {"WORLD_SIZE": "3", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    script = [sys.executable, str(PROGRAMS / "instances.py")]
    started = [
        subprocess.Popen(
            script,
            env={**os.environ, **meeting, "RANK": str(rank), "OMP_NUM_THREADS": "1"},
            stdout=subprocess.PIPE,
            text=True,
        )
        for rank in range(3)
    ]
    outputs = [process.communicate(timeout=100)[0] for process in started]
    assert [process.returncode for process in started] == [0, 0, 0]
    assert "sum: [3.0, 3.0, 3.0]" in outputs[0] and "reveals: 1" in outputs[0]
    assert outputs[1:] == ["", ""]


class Batched(cnn.Module):
    def __init__(self):
        super().__init__()
        self.body = cnn.Sequential(cnn.Linear(3, 4), cnn.BatchNorm1d(4), cnn.Flatten())
        self.tied = self.body[0]

    def forward(self, x):
        return self.body(x)


def test_modules_keep_what_crypten_promises():
    torch.manual_seed(7)
    plain, x = Batched(), torch.randn(6, 3)

    def program():
        model = crypten.nn.from_pytorch(plain).encrypt(src=0)
        before = model(crypten.cryptensor(x)).get_plain_text()
        frozen = not any(p.requires_grad for p in model.eval().parameters())
        model.train()
        loss = crypten.nn.CrossEntropyLoss()(model(crypten.cryptensor(x)), torch.arange(6) % 4)
        loss.backward()
        model.update_parameters(0.1, grad_threshold=100)
        bias = model.body[0].bias
        bias_share = bias.share
        model.body[0].set_parameter_from_shares("bias", bias_share, precision=16)
        model.decrypt()  # the graph of the loss is still there
        tied = model.tied.weight is model.body[0].weight
        folded = Batched().eval().encrypt()
        try:
            folded.train()
        except ConfigError as error:
            return before, frozen, tied, model.state_dict(), str(error)

    before, frozen, tied, state, error = ct.simulate(program)[0]
    assert close(before, plain(x).detach(), bound=5e-3) and frozen and tied
    assert "eval mode" in error
    plain.zero_grad()
    torch.nn.functional.cross_entropy(plain(x), torch.arange(6) % 4).backward()
    updated = plain.body[0].weight - 0.1 * plain.body[0].weight.grad
    assert close(state["body.0.weight"], updated.detach(), bound=5e-3)


def test_onnx_models_come_by_the_importer(tmp_path):
    onnx = pytest.importorskip("onnx")
    if importlib.util.find_spec("onnx2torch") is None:
        pytest.skip("onnx2torch is not installed")
    info = onnx.helper.make_tensor_value_info
    ends = [[info(name, onnx.TensorProto.FLOAT, [2, 3])] for name in ("x", "y")]
    graph = onnx.helper.make_graph([onnx.helper.make_node("Relu", ["x"], ["y"])], "g", *ends)
    opset = [onnx.helper.make_opsetid("", 13)]
    onnx.save(onnx.helper.make_model(graph, opset_imports=opset), tmp_path / "relu.onnx")

    def program():
        x = crypten.cryptensor([[1.0, -2.0, 3.0]] * 2)
        with open(tmp_path / "relu.onnx", "rb") as file:
            models = [crypten.nn.from_onnx(file), crypten.nn.from_onnx(str(tmp_path / "relu.onnx"))]
        return [model.encrypt()(x).get_plain_text()[0].tolist() for model in models]

    assert ct.simulate(program)[0] == [[1.0, 0.0, 3.0]] * 2


def test_optimizer_cuts_gradients():
    def program():
        x = crypten.cryptensor([1.0, 1.0], requires_grad=True)
        optimizer = crypten.optim.SGD([x], lr=1.0, grad_threshold=5)
        (x * torch.tensor([2.0, 30.0])).sum().backward()
        optimizer.step()
        return x.get_plain_text()

    assert ct.simulate(program)[0].tolist() == [-1.0, 1.0]


NODES = {
    "Gemm": (
        lambda x: cnn.Gemm(2.0, 0.5, trans_b=True)([x, x, x[0, 0]]),
        lambda x: 2 * x @ x.T + x[0, 0] / 2,
    ),
    "Slice": (lambda x: cnn.Slice([0], [9], [1])(x), lambda x: x),
    "Slice of inputs": (
        lambda x: cnn.Slice()([x, torch.tensor([1]), torch.tensor([2]), torch.tensor([0])]),
        lambda x: x[1:2],
    ),
    "Gather": (lambda x: cnn.Gather(1, [2, 0])(x), lambda x: x[:, [2, 0]]),
    "Mean": (lambda x: cnn.Mean([0], keepdim=True)(x), lambda x: x.mean(0, keepdim=True)),
    "Transpose": (lambda x: cnn.Transpose([1, 0])(x), lambda x: x.T),
    "Unsqueeze": (lambda x: cnn.Unsqueeze([0])(x), lambda x: x[None]),
    "Squeeze": (lambda x: cnn.Squeeze(0)(x[:1]), lambda x: x[0]),
    "Expand": (lambda x: cnn.Expand()([x, torch.tensor([2, 1, 3])]), lambda x: x.expand(2, 2, 3)),
    "Pow": (lambda x: cnn.Pow()([x, torch.tensor(2)]), lambda x: x**2),
    "Where": (lambda x: cnn.Where()([x > 0, x, 0 * x]), lambda x: x.relu()),
    "Equal": (lambda x: cnn.Equal()([x, x]), torch.ones_like),
    "Constant": (lambda x: cnn.Add()([x, cnn.Constant(2).encrypt()(x)]), lambda x: x + 2),
    "Parameter": (lambda x: cnn.Mul()([x, cnn.Parameter(torch.ones(3)).encrypt()(x)]), lambda x: x),
    "Reshape": (lambda x: cnn.Reshape()(x, torch.tensor([3, -1])), lambda x: x.reshape(3, -1)),
    "Concat": (lambda x: cnn.Concat(0)([x, x]), lambda x: torch.cat([x, x])),
    "MatMul": (lambda x: cnn.MatMul()([x, x.t()]), lambda x: x @ x.T),
    "Conv": (
        lambda x: cnn.Conv(1, 0, 1)([x[None], x[None, :, :2], x[:1, 0]]),
        lambda x: torch.conv1d(x[None], x[None, :, :2], x[:1, 0]),
    ),
    "Pad": (
        lambda x: cnn.ConstantPad1d(1, 3.0)(x),
        lambda x: torch.nn.functional.pad(x, (1, 1), value=3.0),
    ),
    "GlobalAveragePool": (
        lambda x: cnn.GlobalAveragePool()(x[None]),
        lambda x: x[None].mean(2, keepdim=True),
    ),
    "Flatten": (lambda x: cnn.Flatten(0)(x), lambda x: x.reshape(1, -1)),
    "Adaptive": (
        lambda x: cnn.AdaptiveMaxPool2d()(x[None], (1, 3)),
        lambda x: torch.nn.functional.adaptive_max_pool2d(x[None], (1, 3)),
    ),
}


def test_nodes():
    x = torch.tensor([[1.0, -2.0, 3.0], [0.5, 4.0, -1.0]])

    def program():
        secret = crypten.cryptensor(x)
        found = {name: node(secret).get_plain_text() for name, (node, _) in NODES.items()}
        weight = torch.nn.Linear(3, 2).weight.detach().clone()
        hidden = crypten.cryptensor(weight)
        crypten.nn.ones_(hidden)
        return found, hidden.get_plain_text(), cnn.Shape()(secret), cnn.Range()([1, 4])

    found, ones, shape, numbers = ct.simulate(program)[0]
    for name, (_, expected) in NODES.items():
        assert found[name].shape == expected(x).shape and close(found[name], expected(x)), name
    assert torch.equal(ones, torch.ones(2, 3))
    assert shape.tolist() == [2, 3] and numbers.tolist() == [1, 2, 3]


class Alices(torch.nn.Module):
    def __init__(self, width=2):
        super().__init__()
        self.layer = torch.nn.Linear(3, width)


def test_models_of_one_party(tmp_path):
    torch.save(Alices(), tmp_path / "model.pth")
    torch.save({"weight": 1}, tmp_path / "dict.pth")
    (tmp_path / "code.pth").write_bytes(b"cos\nsystem\n(S'touch pwned'\ntR.")

    def attempt(**arguments):
        try:
            return crypten.load_from_party(**arguments)
        except Exception as error:
            return type(error)

    def program():
        folder = tmp_path if ct.rank() == 1 else tmp_path / "not mine"
        file = folder / "model.pth"
        model = attempt(f=file, src=1, model_class=Alices)
        crypten.common.serial.register_safe_class(Alices)
        by_name = attempt(f=file, src=1)
        refused = [
            attempt(f=file, src=1, model_class=lambda: Alices(5))
            if ct.rank() == 0
            else attempt(f=file, src=1, model_class=Alices),
            attempt(f=folder / "dict.pth", src=1),
            attempt(f=folder / "code.pth", src=1),
            attempt(f=folder / "missing.pth", src=1),
            attempt(src=1),
            attempt(f=file, src=1, encrypted=True),
            attempt(f=file, src=2),
        ]
        secret = crypten.load_from_party(preloaded=torch.ones(2) if ct.rank() == 1 else None, src=1)
        weights = [m.layer.weight.detach() for m in (model, by_name)]
        return weights, model.src, refused, secret.get_plain_text().tolist()

    (theirs, _, refused, opened), (own, src, others, _) = ct.simulate(program)
    assert all(torch.equal(w, torch.zeros(2, 3)) for w in theirs)
    assert all(w.abs().sum() > 0 for w in own) and src == 1 and opened == [1.0, 1.0]
    assert refused[0] is ConfigError
    assert refused[1:] == [FileError] * 4 + [UnsupportedOperation, ConfigError]
    assert others[1:5] == [ConfigError, FileError, FileError, ConfigError]
    assert not Path("pwned").exists()


def test_saved_state_goes_into_an_encrypted_model(tmp_path):
    model = torch.nn.Linear(3, 2)

    def program():
        saved = crypten.nn.from_pytorch(model).encrypt()
        crypten.save(saved.state_dict(), str(tmp_path / "state"))
        fresh = crypten.nn.from_pytorch(torch.nn.Linear(3, 2)).encrypt()
        fresh.load_state_dict(crypten.load(str(tmp_path / "state")))
        with pytest.raises(UnsupportedOperation):
            crypten.save_from_party(fresh.weight, tmp_path / "plain")
        with pytest.raises(ConfigError, match="load_from_party"):
            crypten.load(str(tmp_path / "state"), src=0)
        return fresh.weight.get_plain_text()

    assert close(ct.simulate(program)[0], model.weight.detach(), bound=1e-4)


def test_printing_is_in_order(capsys):
    def program():
        crypten.print("one", ct.rank(), dst=[1])
        crypten.communicator.get().barrier()
        crypten.print("all", ct.rank(), in_order=True)
        crypten.print_communication_stats()

    ct.simulate(program, parties=3)
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if line[:3] in ("one", "all")] == [
        "one 1",
        "all 0",
        "all 1",
        "all 2",
    ]
    assert sum(line.startswith("reveals") for line in lines) == 1


def test_settings_reach_the_processes():
    with crypten.cfg.temp_override({"encoder.precision_bits": 20, "functions.exp_iterations": 5}):
        results = mpc.run_multiprocess(world_size=2)(_settings)()
    assert results == [(20, 5, 2**20)] * 2


def _settings():
    import cryptensor.crypten as crypten

    x = crypten.cryptensor([1.0])
    return crypten.cfg.encoder.precision_bits, crypten.cfg.functions.exp_iterations, x.encoder.scale
