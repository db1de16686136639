# SPDX-License-Identifier: MIT
"""A private-inference service for handwritten digits: many requests, several replicas.

Party 0 owns a trained network, party 1 the images; the service answers from a queue, and goes on
when one of its processes is killed in the middle. Needs `pip install 'cryptensor[serve]'`.

    python examples/serving.py
    python examples/serving.py --replicas 3 --requests 500 --kill
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time

import digits
import networks
import torch

import cryptensor as ct
from cryptensor.errors import Overloaded

# Two plain logits closer than this are a tie that fixed point may break either way.
TIE = 0.01
PAUSE = 0.01


def submit(service, image: torch.Tensor):
    """A future; where the queue is full, the client waits, and tries again."""
    while True:
        try:
            return service.submit(image)
        except Overloaded:
            time.sleep(PAUSE)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--replicas", type=int, default=2)
    parser.add_argument("--requests", type=int, default=200)
    parser.add_argument("--kill", action="store_true", help="kill a party in the middle")
    options = parser.parse_args()
    torch.set_num_threads(1)
    data = digits.load_uci()
    model = networks.train("A", data, seed=0)
    picked = torch.arange(options.requests) % len(data.test_labels)
    images = data.test_images[picked].split(1)

    service = ct.serve(model, data.test_images[:1], replicas=options.replicas, queue_limit=100)
    with service:
        start = time.monotonic()
        futures = []
        for number, image in enumerate(images):
            futures.append(submit(service, image))
            if options.kill and number == len(images) // 2:
                os.kill(service.health()[0].processes[0], signal.SIGKILL)
        secret = torch.cat([future.result() for future in futures])
        seconds = time.monotonic() - start
        metrics = service.metrics()

    with torch.no_grad():
        plain = model(torch.cat(images))
    best = plain.topk(2, dim=1).values
    differ = (plain.argmax(1) != secret.argmax(1)) & (best[:, 0] - best[:, 1] >= TIE)
    accuracy = (secret.argmax(1) == data.test_labels[picked]).double().mean().item()
    latency = ", ".join(f"p{p} {1e3 * s:.1f} ms" for p, s in metrics.latency.items())
    print(f"{metrics.answered} requests in {seconds:.2f} s, accuracy {accuracy:.2%}, {latency}")
    print(
        f"{metrics.batches} batches, {metrics.rounds / metrics.batches:g} rounds each, "
        f"{metrics.bytes_online / metrics.rows:,.0f} bytes online and "
        f"{metrics.bytes_dealer / metrics.rows:,.0f} dealt for an image; "
        f"{metrics.retried} requests tried again, {metrics.restarts} replicas lost"
    )
    if differ.any():
        print(f"{int(differ.sum())} images got another class than from the plain network")
    return int(differ.any())


if __name__ == "__main__":
    sys.exit(main())
