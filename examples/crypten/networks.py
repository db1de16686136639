# SPDX-License-Identifier: MIT
"""Under the hood of encrypted networks: parameters, encrypt and decrypt, graphs, own modules.

A program of CrypTen's API. Only the import line is of this library.
"""

import torch

import cryptensor.crypten as crypten
import cryptensor.crypten.nn as cnn
from cryptensor.crypten import mpc


class TwoLayers(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = torch.nn.Linear(4, 6)
        self.fc2 = torch.nn.Linear(6, 2)

    def forward(self, x):
        return self.fc2(torch.relu(self.fc1(x)))


class Residual(cnn.Module):
    """A module of the program's own, of layers and tensor methods."""

    def __init__(self):
        super().__init__()
        self.inner = cnn.Sequential(cnn.Linear(4, 4), cnn.ReLU())
        self.register_parameter("scale", torch.ones(4))

    def forward(self, x):
        y = x + self.scale * self.inner(x)
        return y.div(y.norm(dim=1, keepdim=True))


def gated_sum():
    """A graph with two branches: sigmoid(x) + exp(x)."""
    graph = cnn.Graph("x", "out")
    graph.add_module("gate", cnn.Sigmoid(), ["x"])
    graph.add_module("grown", cnn.Exp(), ["x"])
    graph.add_module("out", cnn.Add(), ["gate", "grown"])
    return graph


@mpc.run_multiprocess(world_size=2)
def inspect(plain, own, inputs):
    private_model = crypten.nn.from_pytorch(plain, torch.empty(1, 4))
    before = private_model.encrypted
    private_model.encrypt(src=0)
    shapes = {name: tuple(value.shape) for name, value in private_model.named_parameters()}
    kinds = {crypten.is_encrypted_tensor(value) for value in private_model.parameters()}

    x = crypten.cryptensor(inputs, src=1)
    output = private_model(x).get_plain_text()
    state = private_model.state_dict()
    private_model.load_state_dict(state)

    # A graph of single operations, and a module of the program's own, encrypted alike.
    graph = gated_sum().encrypt()
    residual = own.encrypt(src=0)
    encrypted = private_model.encrypted
    private_model.decrypt()
    return {
        "flags": [before, encrypted, private_model.encrypted],
        "parameters": shapes,
        "all secret": kinds == {True},
        "output": output,
        "graph": graph(x).get_plain_text(),
        "own module": residual(x).get_plain_text(),
        "decrypted": private_model.fc1.weight.detach(),
    }


def main():
    torch.manual_seed(4)
    plain, own, inputs = TwoLayers(), Residual(), torch.randn(3, 4)
    results = inspect(plain, own, inputs)
    with torch.no_grad():
        expected = {
            "output": plain(inputs),
            "graph": inputs.sigmoid() + inputs.exp(),
            "own module": own(inputs),
            "decrypted": plain.fc1.weight,
        }
    for name, value in results[0].items():
        print(f"{name}: {value}")
    return expected, results


if __name__ == "__main__":
    main()
