# SPDX-License-Identifier: MIT
"""RNN, LSTM and GRU, whole and as cells, written as products and activations.

On a cpu PyTorch hands an LSTM to a library that wants storage, and its composites add secrets into
plain intermediate results. Here all steps' products with the input are one product, and the gates
of a step are one sigmoid: tanh(x) = 2 sigmoid(2 x) - 1. A step of an LSTM costs one product with
the state, two activations and two products of gates, each whatever the width.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F

from ..aten.coin import coin
from ..aten.operands import engine_of
from ..tensor import FUNCTIONS

State = tuple[Any, ...]
# (products with the input, products with the state, state) -> next state, first of it the output.
Step = Callable[[Any, Any, State], State]


def _lstm_step(by_input: Any, by_state: Any, state: State) -> State:
    i, f, g, o = (by_input + by_state).chunk(4, -1)
    i, f, o, g = torch.sigmoid(torch.cat([i, f, o, 2 * g], -1)).chunk(4, -1)
    kept, new = (torch.stack([f, i]) * torch.stack([state[1], 2 * g - 1])).unbind(0)
    c = kept + new
    return o * torch.tanh(c), c


def _gru_step(by_input: Any, by_state: Any, state: State) -> State:
    (h,) = state
    width = 2 * h.shape[-1]
    r, z = torch.sigmoid(by_input[..., :width] + by_state[..., :width]).chunk(2, -1)
    n = torch.tanh(by_input[..., width:] + r * by_state[..., width:])
    return (n + z * (h - n),)


def _tanh_step(by_input: Any, by_state: Any, state: State) -> State:
    return (torch.tanh(by_input + by_state),)


def _relu_step(by_input: Any, by_state: Any, state: State) -> State:
    return (torch.relu(by_input + by_state),)


class _Weights(NamedTuple):
    """One layer in one direction; biases and the projection of the output may be missing."""

    by_input: Any
    by_state: Any
    input_bias: Any
    state_bias: Any
    projection: Any


def _grouped(params: Any, has_biases: bool, projected: bool) -> Iterator[_Weights]:
    """The flat list of weights of a module, by layers and directions."""
    size = 2 + 2 * has_biases + projected
    for start in range(0, len(params), size):
        group: Any = list(params[start : start + size])
        biases = group[2:4] if has_biases else [None, None]
        yield _Weights._make([*group[:2], *biases, group[-1] if projected else None])


def _next(step: Step, by_input: Any, state: State, weights: _Weights) -> State:
    state = step(by_input, F.linear(state[0], weights.by_state, weights.state_bias), state)
    if weights.projection is not None:
        state = (F.linear(state[0], weights.projection), *state[1:])
    return state


def _rows(state: State, start: int, end: int) -> State:
    return tuple(part[start:end] for part in state)


def _joined(states: list[State]) -> State:
    if len(states) == 1:
        return states[0]
    return tuple(torch.cat(parts) for parts in zip(*states, strict=True))


def _direction(
    step: Step, data: Any, sizes: list[int], state: State, weights: _Weights, backwards: bool
) -> tuple[Any, State]:
    """Runs over the steps of `data`, of which step t has sizes[t] rows, in falling order.

    Forwards, rows behind the current number have ended and keep their state; backwards, they begin.
    """
    steps = F.linear(data, weights.by_input, weights.input_bias).split(sizes)
    outputs: list[Any] = [None] * len(sizes)
    ended: list[State] = []
    order = range(len(sizes))
    rows = sizes[-1] if backwards else sizes[0]
    current = state if rows == state[0].shape[0] else _rows(state, 0, rows)
    for t in reversed(order) if backwards else order:
        if sizes[t] > rows:
            current = _joined([current, _rows(state, rows, sizes[t])])
        elif sizes[t] < rows:
            ended.append(_rows(current, sizes[t], rows))
            current = _rows(current, 0, sizes[t])
        rows = sizes[t]
        current = _next(step, steps[t], current, weights)
        outputs[t] = current[0]
    return torch.cat(outputs), _joined([current, *reversed(ended)])


def _dropped(x: Any, p: float, engine: Any) -> Any:
    mask = torch.empty(x.shape, dtype=x.dtype).bernoulli_(1 - p, generator=coin(engine))
    return x * (mask / (1 - p) if p < 1 else mask)


def _layers(
    step: Step,
    data: Any,
    sizes: list[int],
    hx: State,
    params: Any,
    has_biases: bool,
    count: int,
    dropout: float,
    train: bool,
    bidirectional: bool,
) -> tuple[Any, list[Any]]:
    """Outputs of the last layer (all rows, width) and the last states of all, stacked."""
    engine = engine_of(data, *hx, *params)
    projected = len(hx) == 2 and hx[0].shape[-1] != hx[1].shape[-1]
    weights = list(_grouped(params, has_biases, projected))
    directions = 2 if bidirectional else 1
    finals = []
    for layer in range(count):
        outputs = []
        for number in range(layer * directions, (layer + 1) * directions):
            state = tuple(part[number] for part in hx)
            backwards = number % directions == 1
            output, final = _direction(step, data, sizes, state, weights[number], backwards)
            outputs.append(output)
            finals.append(final)
        data = outputs[0] if len(outputs) == 1 else torch.cat(outputs, -1)
        if train and dropout and layer + 1 < count:
            data = _dropped(data, dropout, engine)
    return data, [torch.stack(parts) for parts in zip(*finals, strict=True)]


def _network(step: Step) -> Callable[..., Any]:
    """torch.lstm, gru, rnn_tanh, rnn_relu: of a dense batch, and of packed sequences."""

    def dense(input: Any, hx: Any, *settings: Any, batch_first: bool) -> Any:
        steps = input.transpose(0, 1) if batch_first else input
        length, batch = steps.shape[:2]
        state = tuple(hx) if isinstance(hx, (tuple, list)) else (hx,)
        data, finals = _layers(step, steps.flatten(0, 1), [batch] * length, state, *settings)
        output = data.unflatten(0, (length, batch))
        return (output.transpose(0, 1) if batch_first else output, *finals)

    def packed(input: Any, batch_sizes: Any, hx: Any, *settings: Any) -> Any:
        state = tuple(hx) if isinstance(hx, (tuple, list)) else (hx,)
        data, finals = _layers(step, input, batch_sizes.tolist(), state, *settings)
        return (data, *finals)

    def network(*args: Any) -> Any:
        if isinstance(args[3], bool):
            return dense(*args[:-1], batch_first=args[-1])
        return packed(*args)

    return network


def _cell(step: Step) -> Callable[..., Any]:
    def cell(input: Any, hx: Any, w_ih: Any, w_hh: Any, b_ih: Any = None, b_hh: Any = None) -> Any:
        state = tuple(hx) if isinstance(hx, (tuple, list)) else (hx,)
        weights = _Weights(w_ih, w_hh, b_ih, b_hh, None)
        state = _next(step, F.linear(input, w_ih, b_ih), state, weights)
        return state if len(state) > 1 else state[0]

    return cell


for _function, _step in (
    (torch.lstm, _lstm_step),
    (torch.gru, _gru_step),
    (torch.rnn_tanh, _tanh_step),
    (torch.rnn_relu, _relu_step),
):
    FUNCTIONS[_function] = _network(_step)
for _function, _step in (  # type: ignore[assignment]
    (torch.lstm_cell, _lstm_step),
    (torch.gru_cell, _gru_step),
    (torch.rnn_tanh_cell, _tanh_step),
    (torch.rnn_relu_cell, _relu_step),
):
    FUNCTIONS[_function] = _cell(_step)
