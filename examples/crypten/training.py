# SPDX-License-Identifier: MIT
"""Training an encrypted network on features of two parties: autograd, losses, two ways to step.

A program of CrypTen's API. Only the import line is of this library.
"""

import torch

import cryptensor.crypten as crypten
from cryptensor.crypten import mpc

ALICE, BOB = 0, 1
STEPS, RATE = 12, 0.5


def points(seed=5, count=60):
    """Two classes on both sides of a plane through 6 features."""
    generator = torch.Generator().manual_seed(seed)
    features = torch.randn(count, 6, generator=generator)
    plane = torch.tensor([1.0, -2.0, 0.5, 1.5, -1.0, 0.5])
    labels = (features @ plane > 0).long()
    return features, torch.eye(2)[labels]


def network():
    torch.manual_seed(6)
    return torch.nn.Sequential(
        torch.nn.Linear(6, 8), torch.nn.ReLU(), torch.nn.Linear(8, 2), torch.nn.Softmax(dim=1)
    )


@mpc.run_multiprocess(world_size=2)
def train(plain, features_alice, features_bob, one_hot, with_optimizer):
    x = crypten.cat(
        [crypten.cryptensor(features_alice, src=ALICE), crypten.cryptensor(features_bob, src=BOB)],
        dim=1,
    )
    y = crypten.cryptensor(one_hot, src=ALICE)

    model = crypten.nn.from_pytorch(plain, torch.empty(1, 6))
    model.train()
    model.encrypt()
    criterion = crypten.nn.MSELoss()
    optimizer = crypten.optim.SGD(model.parameters(), lr=RATE, momentum=0.9)
    losses = []
    for _ in range(STEPS):
        output = model(x)
        loss = criterion(output, y)
        model.zero_grad()
        loss.backward()
        if with_optimizer:
            optimizer.step()
        else:
            model.update_parameters(RATE)
        losses.append(loss.get_plain_text().item())

    model.eval()
    with crypten.no_grad():
        right = (model(x).argmax(dim=1) * y).sum().div(len(one_hot))
    model.decrypt()
    return losses, right.get_plain_text().item(), model.state_dict()


def train_plain(model, features, one_hot, with_optimizer):
    momentum = 0.9 if with_optimizer else 0.0
    optimizer = torch.optim.SGD(model.parameters(), lr=RATE, momentum=momentum)
    losses = []
    for _ in range(STEPS):
        loss = torch.nn.functional.mse_loss(model(features), one_hot)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    right = (model(features).argmax(1) == one_hot.argmax(1)).float().mean().item()
    return losses, right, model.state_dict()


def main():
    features, one_hot = points()
    found = []
    for with_optimizer in (False, True):
        secret = train(network(), features[:, :2], features[:, 2:], one_hot, with_optimizer)
        plain = train_plain(network(), features, one_hot, with_optimizer)
        name = "crypten.optim.SGD" if with_optimizer else "update_parameters"
        print(
            f"{name}: loss {secret[0][0][0]:.3f} to {secret[0][0][-1]:.3f}, accuracy "
            f"{secret[0][1]:.0%} (plain {plain[1]:.0%})"
        )
        found.append((secret, plain))
    return found


if __name__ == "__main__":
    main()
