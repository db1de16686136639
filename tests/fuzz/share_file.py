# SPDX-License-Identifier: MIT
"""What hostile bytes do to the reader of share files: a FileError, or exactly what they say.

Run as a program this is a target of atheris: `python share_file.py corpus/share_file`. Only files
with a right checksum come further than that, so each input is also read with one put in.
"""

from __future__ import annotations

import hashlib
import random
import sys

import torch

from cryptensor.errors import FileError
from cryptensor.io import container

MARK = b'"checksum":"'
BLANK = b"0" * 64
# What a mutation may put in: ends of ranges, and pieces of the format itself.
PIECES = [b"\0", b"\xff" * 8, b"\x7f" + b"\xff" * 7, b"-1", b"999999999999999999999", b"[", b"{"]
PIECES += [b"]", b"}", b'\\"', b"null", b"true", b"1e9", b"NaN", b"I64", b"F32", b"BOOL", b"tied"]
PIECES += [b"secret", b"plain", b"data_offsets", b"shape", b"__metadata__", b"\\ud800", b","]


def sealed(content: bytes) -> bytes:
    """The same with the checksum that it should have, if it has room for one."""
    place = content.find(MARK) + len(MARK)
    if place < len(MARK) or len(content) < place + 64:
        return content
    blank = content[:place] + BLANK + content[place + 64 :]
    digest = hashlib.sha256(blank).hexdigest().encode()
    return content[:place] + digest + content[place + 64 :]


def is_accepted(content: bytes) -> bool:
    """False where it is refused by name. Whatever else the reader raises is a defect, and so is a
    file that reads as something that cannot be written and read again."""
    try:
        header, tensors = container.decode(content)
    except FileError:
        return False
    again = container.decode(b"".join(container.encode(header, tensors)))
    assert again[0] == header and again[1].keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert tensor.dtype == again[1][name].dtype and tensor.shape == again[1][name].shape
        assert torch.equal(_bytes(tensor), _bytes(again[1][name]))
    return True


def mutated(content: bytes, chance: random.Random) -> bytes:
    """One to four changes, most of them in the header, where the decisions are made."""
    out = bytearray(content)
    for _ in range(chance.randint(1, 4)):
        place = chance.randrange(min(len(out), chance.choice([16, 2048, len(content)])) or 1)
        length = chance.choice([1, 1, 2, 8, 64])
        change = chance.randrange(5)
        if change == 0:
            out[place : place + 1] = bytes([chance.randrange(256)])
        elif change == 1:
            del out[place : place + length]
        elif change == 2:
            piece = chance.choice(PIECES)
            out[place : place + chance.choice([0, len(piece)])] = piece
        elif change == 3:
            start = chance.randrange(len(out) + 1)
            out[place:place] = out[start : start + length]
        else:
            _change_number(out, place, chance)
    return bytes(out)


def _change_number(out: bytearray, place: int, chance: random.Random) -> None:
    """The next digit from there on."""
    for i in range(place, min(place + 200, len(out))):
        if 48 <= out[i] < 58:
            out[i] = 48 + chance.randrange(10)
            return


def _bytes(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.contiguous().reshape(-1).view(torch.uint8)


def main() -> None:
    import atheris

    def one(content: bytes) -> None:
        is_accepted(content)
        is_accepted(sealed(content))

    atheris.instrument_func(one)
    for function in (container.decode, container._metadata, container.of.parse):
        atheris.instrument_func(function)
    atheris.Setup(sys.argv, one)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
