# SPDX-License-Identifier: MIT
"""Classification with an encrypted network: Alice has the network, Bob the images.

A program of CrypTen's API. Only the import line is of this library. Alice's file is a whole module,
saved with torch.save(); Bob knows its class and not its weights.
"""

import os
import tempfile

import torch
from torch import nn

import cryptensor.crypten as crypten
from cryptensor.crypten import mpc

ALICE, BOB = 0, 1


class AliceNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 4, kernel_size=3)
        self.pool = nn.MaxPool2d(2)
        self.fc1 = nn.Linear(4 * 3 * 3, 16)
        self.fc2 = nn.Linear(16, 2)

    def forward(self, x):
        x = self.pool(torch.relu(self.conv(x)))
        return self.fc2(torch.relu(self.fc1(x.flatten(1))))


def striped_images(count, seed):
    """8 x 8 images of rows (class 0) or columns (class 1) under noise."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % 2
    stripes = (torch.arange(8) % 2).float()
    rows = torch.where(labels[:, None, None] == 0, stripes[:, None], stripes)
    noise = torch.randn(count, 8, 8, generator=generator)
    return (rows + 0.3 * noise).unsqueeze(1), labels


def trained_network():
    torch.manual_seed(0)
    model = AliceNet()
    images, labels = striped_images(64, seed=1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.2, momentum=0.9)
    for _ in range(30):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(images), labels).backward()
        optimizer.step()
    return model.eval()


@mpc.run_multiprocess(world_size=2)
def classify(model_file, images, labels):
    dummy_input = torch.empty(1, 1, 8, 8)
    plain = crypten.load_from_party(model_file, model_class=AliceNet, src=ALICE)
    private_model = crypten.nn.from_pytorch(plain, dummy_input)
    private_model.encrypt(src=ALICE)
    private_model.eval()

    data = crypten.cryptensor(images, src=BOB)
    output = private_model(data)
    assert crypten.is_encrypted_tensor(output)

    # Bob alone learns the scores; how many are right is for both.
    scores = output.get_plain_text(dst=BOB)
    right = (output.argmax(dim=1, one_hot=False) == labels).sum().get_plain_text()
    return scores, right.item() / len(labels)


def main():
    images, labels = striped_images(20, seed=2)
    model = trained_network()
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "alice_model.pth")
        torch.save(model, path)
        results = classify(path, images, labels)
    with torch.no_grad():
        expected = model(images)
    print(f"accuracy {results[ALICE][1]:.0%}; scores at Bob: {results[BOB][0][0].tolist()}")
    return expected, results


if __name__ == "__main__":
    main()
