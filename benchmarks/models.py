# SPDX-License-Identifier: MIT
"""Whole models as they are written: from plain inputs to the plain result, weights secret.

A BERT-base encoder layer of `transformers` (768 hidden, 12 heads, 3072, sequence 128; exact GELU
and softmax), ResNet-18 on one 3x32x32 image, a token of a GPT-2 (2 layers, 256 hidden, 1024 words)
behind a cache of 64 with the choice of the next, and MiniLM on a sentence of 16 tokens. Weights are
random but for MiniLM's and belong to party 0, inputs to party 1, which alone sees the result. Two
processes of one thread each that deal for themselves (first_party): what a dealer would do is part
of the time. Errors are against float64.

    python benchmarks/models.py [--network wan] [--repetitions 15] [--json FILE]
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import report
import torch
from torch import nn

import cryptensor as ct
from cryptensor import session

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "examples"))
import sentence_encoder
from resnet import ResNet18

SENTENCE = "When does the next bus to the airport go?"
CACHED = 64

Inputs = dict[str, torch.Tensor]


@dataclass(frozen=True, slots=True)
class Work:
    """A model with inputs, how it is called, what it may cost and by how much it may be off."""

    build: Callable[[], tuple[nn.Module, Inputs]]
    call: Callable[[nn.Module, Inputs], torch.Tensor]
    bar_ms: float | None
    bound: float
    classifies: bool = False


class Decoder(nn.Module):
    """The logits of the word after `token`, which follows a public text."""

    def __init__(self) -> None:
        from transformers import GPT2Config, GPT2LMHeadModel

        super().__init__()
        sizes = {"vocab_size": 1024, "n_positions": 128, "n_embd": 256, "n_layer": 2, "n_head": 4}
        self.model = GPT2LMHeadModel(GPT2Config(**sizes, bos_token_id=None, eos_token_id=None))
        self.text = torch.randint(1024, (1, CACHED))
        self.cache = None

    def forward(self, token: torch.Tensor) -> torch.Tensor:
        if self.cache is None:
            self.cache = self.model(self.text, use_cache=True).past_key_values
        logits = self.model(token, past_key_values=self.cache, use_cache=True).logits[:, -1]
        self.cache.crop(-1)
        return logits


def _bert_layer() -> tuple[nn.Module, Inputs]:
    from transformers import BertConfig
    from transformers.models.bert.modeling_bert import BertLayer

    config = BertConfig(attn_implementation="sdpa")
    return BertLayer(config), {"x": torch.randn(1, 128, config.hidden_size)}


def _resnet() -> tuple[nn.Module, Inputs]:
    return ResNet18(), {"x": torch.rand(1, 3, 32, 32)}


def _decoder() -> tuple[nn.Module, Inputs]:
    return Decoder(), {"token": torch.randint(1024, (1, 1))}


def _sentence() -> tuple[nn.Module, Inputs]:
    return sentence_encoder.load(), sentence_encoder.prepare([SENTENCE], 16)


def _bert_call(model: nn.Module, inputs: Inputs) -> torch.Tensor:
    states = model(inputs["x"])
    return states[0] if isinstance(states, tuple) else states


def _plain_call(model: nn.Module, inputs: Inputs) -> torch.Tensor:
    return model(*inputs.values())


WORK = {
    "BERT-base layer, sequence 128": Work(_bert_layer, _bert_call, 450.0, 2.0**-7),
    "ResNet-18, 3x32x32": Work(_resnet, _plain_call, 350.0, 0.02, True),
    "GPT-2 decoding, 1 token": Work(_decoder, _plain_call, None, 2.0**-7, True),
    "MiniLM, 16 tokens": Work(_sentence, sentence_encoder.embed, None, 2.0**-10),
}


def measure(name: str, repetitions: int) -> dict:
    """Runs at every party."""
    torch.manual_seed(0)
    work = WORK[name]
    model, inputs = work.build()
    model.eval()
    with torch.no_grad():
        secret_model = ct.encrypt(model, src=0)

        def result() -> torch.Tensor:
            secret = {key: ct.cryptensor(value, src=1) for key, value in inputs.items()}
            return work.call(secret_model, secret)

        def infer() -> object:
            y = result()
            return (y.argmax(-1) if isinstance(secret_model, Decoder) else y).reveal(dst=1)

        for _ in range(2):  # weights are opened under their masks, the cache is filled
            infer()
        ct.reset_stats()
        infer()
        total = ct.stats().total()
        seconds = report.median_seconds(infer, repetitions)
        found = result().reveal()
        doubled = {k: v.double() if v.is_floating_point() else v for k, v in inputs.items()}
        expected = work.call(model.double(), doubled)
    same = bool((found.argmax(-1) == expected.argmax(-1)).all())
    return {
        "work": name,
        "network": session.current().config.network,
        "ms": 1e3 * seconds,
        "bar ms": work.bar_ms or "",
        "rounds": total.rounds,
        "MB online": total.bytes_sent / 1e6,
        "MB dealt": total.dealer_bytes / 1e6,
        "largest error": (found - expected).abs().max().item(),
        "bound": work.bound,
        "class": ("same" if same else "other") if work.classifies else "",
    }


def main() -> int:
    parser = report.parser(__doc__.splitlines()[0], repetitions=15)
    parser.add_argument("--network", default="lan", help="what is scarce: lan or wan")
    options = parser.parse_args()
    settings = {"provider": "first_party", "network": options.network}
    rows = [ct.launch(measure, name, options.repetitions, **settings)[1] for name in WORK]
    report.show("Models", rows, options.json)
    return int(any(row["largest error"] > row["bound"] or row["class"] == "other" for row in rows))


if __name__ == "__main__":
    sys.exit(main())
