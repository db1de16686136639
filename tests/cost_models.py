# SPDX-License-Identifier: MIT
"""Models whose cost is predicted and counted, and a training step."""

import sys
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "examples"))
import networks
from resnet import ResNet18


class Tagger(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(11, 6)
        self.lstm = nn.LSTM(6, 5, batch_first=True)
        self.head = nn.Linear(5, 4)

    def forward(self, words):
        return self.head(self.lstm(self.embed(words))[0])


class Weighted(nn.Module):
    """A product with whole numbers, which has nothing to truncate."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.rand(4))

    def forward(self, numbers):
        return self.weight * numbers


class Decoder(nn.Module):
    """One token behind a cache of public text."""

    def __init__(self):
        from transformers import GPT2Config, GPT2LMHeadModel

        super().__init__()
        sizes = {"vocab_size": 32, "n_positions": 16, "n_embd": 16, "n_layer": 2, "n_head": 2}
        self.model = GPT2LMHeadModel(GPT2Config(**sizes, bos_token_id=None, eos_token_id=None))
        self.text = torch.arange(6)[None]
        self.cache = None

    def forward(self, token):
        if self.cache is None:
            self.cache = self.model(self.text, use_cache=True).past_key_values
        logits = self.model(token, past_key_values=self.cache, use_cache=True).logits[:, -1]
        self.cache.crop(-1)
        return logits.argmax(-1)


def bert():
    from transformers import BertConfig
    from transformers.models.bert.modeling_bert import BertLayer

    sizes = {"hidden_size": 24, "num_attention_heads": 2, "intermediate_size": 40}
    return BertLayer(BertConfig(**sizes, attn_implementation="sdpa"))


def train(model, x, labels):
    """One step of SGD; its loss."""
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    loss = F.cross_entropy(model(x), labels)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.detach()


def classifier():
    return nn.Sequential(
        nn.Linear(6, 8), nn.ReLU(), nn.Dropout(0.5), nn.BatchNorm1d(8), nn.Linear(8, 3)
    ).train()


IMAGES = torch.Size((2, 1, 28, 28))
ZOO = {
    **{f"network {n}": (lambda n=n: networks.build(n), torch.rand(IMAGES)) for n in networks.NAMES},
    "ResNet-18": (lambda: ResNet18(width=8), torch.rand(1, 3, 32, 32)),
    "BERT layer": (bert, torch.randn(1, 7, 24)),
    "GPT-2 token": (Decoder, torch.tensor([[3]])),
    "LSTM": (Tagger, torch.arange(8).view(2, 4)),
}


def built(name):
    torch.manual_seed(1)
    build, example = ZOO[name]
    return build().eval(), example
