# SPDX-License-Identifier: MIT
"""Recurrent layers, attention and transformers with inputs."""

from __future__ import annotations

from typing import Any

import torch
from module_case import Case, values
from torch import nn


def packed(model: nn.Module, x: torch.Tensor, *state: Any) -> Any:
    """Three sequences of different lengths: the padded outputs and the last states."""
    output, states = model(nn.utils.rnn.pack_padded_sequence(x, [4, 3, 1]), *state)
    return nn.utils.rnn.pad_packed_sequence(output, padding_value=-1.5)[0], states


RECURRENT = {
    "rnn": Case(lambda: nn.RNN(3, 4), (values(3, 2, 3),)),
    "rnn relu": Case(
        lambda: nn.RNN(3, 4, nonlinearity="relu", bidirectional=True), (values(3, 2, 3),)
    ),
    "lstm": Case(lambda: nn.LSTM(3, 4, batch_first=True), (values(2, 3, 3),)),
    "lstm of two layers": Case(
        lambda: nn.LSTM(3, 4, 2, bidirectional=True, bias=False),
        (values(3, 2, 3), values(4, 2, 4), values(4, 2, 4)),
        lambda model, x, h, c: model(x, (h, c)),
    ),
    "lstm with projection": Case(lambda: nn.LSTM(3, 4, proj_size=2), (values(3, 2, 3),)),
    "lstm of one sequence": Case(lambda: nn.LSTM(3, 4), (values(3, 3),)),
    "gru": Case(lambda: nn.GRU(3, 4, 2), (values(3, 2, 3), values(2, 2, 4))),
    "gru both ways": Case(lambda: nn.GRU(3, 4, bidirectional=True), (values(3, 2, 3),)),
    "rnn cell": Case(lambda: nn.RNNCell(3, 4), (values(2, 3), values(2, 4))),
    "rnn cell relu": Case(lambda: nn.RNNCell(3, 4, nonlinearity="relu"), (values(2, 3),)),
    "lstm cell": Case(
        lambda: nn.LSTMCell(3, 4),
        (values(2, 3), values(2, 4), values(2, 4)),
        lambda model, x, h, c: model(x, (h, c)),
    ),
    "gru cell": Case(lambda: nn.GRUCell(3, 4), (values(2, 3), values(2, 4))),
    "lstm of packed sequences": Case(
        lambda: nn.LSTM(3, 4, bidirectional=True),
        (values(4, 3, 3), values(2, 3, 4), values(2, 3, 4)),
        lambda model, x, h, c: packed(model, x, (h, c)),
    ),
    "gru of packed sequences": Case(
        lambda: nn.GRU(3, 4, 2), (values(4, 3, 3),), lambda model, x: packed(model, x)
    ),
}

_CAUSAL = torch.ones(3, 3, dtype=torch.bool).triu(1)
_PADDED = torch.tensor([[False, False, True], [False, False, False]])
TRANSFORMERS = {
    "attention": Case(
        lambda: nn.MultiheadAttention(4, 2), (values(3, 2, 4), values(3, 2, 4), values(3, 2, 4))
    ),
    "self attention": Case(
        lambda: nn.MultiheadAttention(4, 2, batch_first=True),
        (values(2, 3, 4),),
        lambda model, x: model(x, x, x, need_weights=False, attn_mask=_CAUSAL)[0],
    ),
    "attention of other widths": Case(
        lambda: nn.MultiheadAttention(4, 2, kdim=3, vdim=5, add_bias_kv=True, add_zero_attn=True),
        (values(3, 2, 4), values(4, 2, 3), values(4, 2, 5)),
    ),
    "attention with padding": Case(
        lambda: nn.MultiheadAttention(4, 2, batch_first=True),
        (values(2, 3, 4),),
        lambda model, x: model(x, x, x, key_padding_mask=_PADDED, average_attn_weights=False),
    ),
    "encoder layer": Case(
        lambda: nn.TransformerEncoderLayer(4, 2, 6, 0.0, batch_first=True), (values(2, 3, 4),)
    ),
    "encoder layer, norm first": Case(
        lambda: nn.TransformerEncoderLayer(4, 2, 6, 0.0, "gelu", norm_first=True),
        (values(3, 2, 4),),
        lambda model, x: model(x, src_mask=_CAUSAL),
    ),
    "encoder": Case(
        lambda: nn.TransformerEncoder(
            nn.TransformerEncoderLayer(4, 2, 6, 0.0, batch_first=True), 2, nn.LayerNorm(4)
        ),
        (values(2, 3, 4),),
        lambda model, x: model(x, src_key_padding_mask=_PADDED),
    ),
    "decoder layer": Case(
        lambda: nn.TransformerDecoderLayer(4, 2, 6, 0.0), (values(3, 2, 4), values(2, 2, 4))
    ),
    "transformer": Case(
        lambda: nn.Transformer(4, 2, 1, 1, 6, 0.0, batch_first=True),
        (values(2, 3, 4), values(2, 3, 4)),
        lambda model, x, y: model(x, y, tgt_mask=_CAUSAL, tgt_is_causal=True),
    ),
}
