# SPDX-License-Identifier: MIT
"""Writes the first inputs of the C++ targets to corpus/: one of each kind that is accepted."""

from hashlib import sha256
from pathlib import Path
from struct import pack

CORPUS = Path(__file__).parent / "corpus"


def numbers(values):
    return pack(f"<B{len(values)}q", len(values), *values)


def view(numel, sizes, strides, offset=0, serial=0, holders=3, long_lived=0):
    name = pack("<QQQIB", serial, 0x1234, numel, holders, long_lived)
    return name + numbers(sizes) + numbers(strides) + pack("<q", offset)


def descriptors():
    matrix, other = view(24, [4, 6], [6, 1]), view(24, [6, 4], [1, 6], serial=1, long_lived=1)
    image, weight = view(24, [1, 2, 4, 3], [24, 12, 3, 1]), view(24, [2, 1, 2, 2], [4, 4, 2, 1], 5)
    stride = numbers([2, 1]) + numbers([1, 0]) + numbers([1, 1]) + pack("<q", 2)
    yield "mask", pack("<BQI", 0, 100, 3)
    yield "product", pack("<BB", 1, 0) + view(24, [6, 1, 4], [4, 4, 1]) + view(24, [5, 4], [0, 2])
    yield "matmul", pack("<BB", 1, 1) + matrix + other
    yield "convolution", pack("<BB", 1, 2) + stride + image + weight
    yield "truncation", pack("<B", 2) + view(24, [3, 4], [8, 2], 1) + pack("<B", 20)
    yield "wrap", pack("<BQB", 3, 65, 16)
    yield "sign", pack("<BQBBBB", 4, 65, 0, 0, 0, 4)
    yield "relu_truncate", pack("<BQBBBB", 4, 65, 2, 16, 0, 4)
    yield "low_bits", pack("<BQBBBB", 4, 65, 3, 7, 0, 4)
    yield "segments", pack("<BQBB2Q", 5, 10, 3, 2, 5, 2**62)
    yield "harmonics", pack("<BQBBB", 6, 65, 52, 6, 1)
    yield "octaves", pack("<BQBBBB", 7, 65, 54, 57, 3, 22)
    yield "equality", pack("<BQ", 8, 65)
    yield "tournament", pack("<BQ", 9, 65)
    yield "one_hot", pack("<BQQ", 10, 5, 9)
    yield "point", pack("<BQQ", 11, 5, 10)
    yield "choice", pack("<BQ", 12, 1030)


def frame(operation, dtype, lane, sender, session, sequence, length, payload):
    start = pack("<IHHQQHBB", 0x31465443, 1, operation, session, sequence, sender, dtype, lane)
    return start + pack("<IQQ", 0, length, 0) + payload


def frames():
    def known(length, payload):
        return frame(8, 2, 2, 3, 0x1122334455667788, 42, length, bytes(payload))

    yield "exact", bytes([24 << 1]) + known(24, 24)
    yield "at_most", bytes([24 << 1 | 1]) + known(7, 7)
    yield "empty", bytes([0]) + known(0, 0)
    yield "claims_2_60", bytes([1]) + known(2**60, 0)


def announcements():
    yield "of_one", pack("<iBI", 1, 0, 1) + numbers([3, 4])
    yield "of_integers", pack("<iBI", 1, 0, 1) + pack("<Bq", 128 | 1, 9)
    yield "of_nothing", pack("<iBI", 0, 0, 0)
    yield "of_unknown", pack("<iBI", 1, 0, 2) + bytes([255]) + numbers([])
    yield "refused", pack("<iBI", 0, 1, 0)


def handshakes():
    def hello(checked):
        return pack("<IIIHHQ", 2, 16, 255, 0, checked, 7) + bytes(range(32))

    yield "payload", bytes([0]) + hello(0)
    yield "checked", bytes([2]) + hello(1)
    yield "whole_frame", bytes([1]) + frame(1, 0, 0, 1, 0, 0, 56, hello(0))


def plans():
    def plan(before, start, *entries):
        head = pack("<BBBBQQQ", 2, 16, 255, 0, before, start, len(entries))
        return head + b"".join(pack("<I", len(entry)) + entry for entry in entries)

    mask, wrap = pack("<BQI", 0, 24, 3), pack("<BQB", 3, 65, 16)
    digest = int.from_bytes(sha256(mask).digest()[:8], "little")

    def shift(serial):
        name = pack("<QQQIB", serial, digest, 24, 3, 0)
        return pack("<B", 2) + name + numbers([24]) + numbers([1]) + pack("<qB", 0, 16)

    yield "program", plan(2, 2, mask, shift(0))
    yield "bits", plan(1, 1, wrap)
    yield "steps", plan(0, 2, mask, shift(0), mask, shift(2))
    yield "weight", plan(1, 2, mask, wrap, shift(0))


def main():
    requests = ((name, b"\0" + content) for name, content in descriptors())
    targets = {"dealer_request": requests, "frame": frames()}
    targets |= {"announcement": announcements(), "handshake": handshakes(), "plan": plans()}
    for target, seeds in targets.items():
        (CORPUS / target).mkdir(parents=True, exist_ok=True)
        for name, content in seeds:
            (CORPUS / target / name).write_bytes(content)


if __name__ == "__main__":
    main()
