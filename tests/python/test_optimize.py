# SPDX-License-Identifier: MIT
"""optimize() on whole models: how the result is called, copied, trained, and what is refused."""

import copy
import pickle
from dataclasses import dataclass

import pytest
import torch
import torch.nn.functional as F
from graph_comparison import Of, attention, compared, operations, with_statistics
from torch import nn

import cryptensor as ct
from cryptensor.errors import ConfigError, ShapeError
from cryptensor.graph import optimization

torch.manual_seed(3)


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(4, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4)
        self.conv2, self.bn2 = nn.Conv2d(4, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4)
        self.relu, self.drop = nn.ReLU(inplace=True), nn.Dropout(0.5)

    def forward(self, x):
        y = self.drop(self.relu(self.bn1(self.conv1(x))))
        return self.relu(x + self.bn2(self.conv2(y)))


def self_attention(m, x):
    return m.attention(x, x, x, need_weights=False)[0]


def unit_vectors(m, x):
    return F.normalize(m.layer(x), dim=-1)


MODELS = {
    "residual block": (lambda: with_statistics(Block()), (2, 4, 5, 5)),
    "encoder layer": (lambda: nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), (2, 3, 8)),
    "attention": (
        lambda: Of(self_attention, attention=nn.MultiheadAttention(8, 2, batch_first=True)),
        (2, 3, 8),
    ),
    "lstm": (
        lambda: Of(lambda m, x: m.rnn(x)[0][:, -1], rnn=nn.LSTM(3, 4, batch_first=True)),
        (2, 3, 3),
    ),
    "unit vectors": (lambda: Of(unit_vectors, layer=nn.Linear(4, 4)), (3, 4)),
}


@pytest.mark.parametrize("name", MODELS)
def test_whole_models_never_cost_more(name):
    make, shape = MODELS[name]
    before, after = compared(make().eval(), torch.randn(shape))
    assert after[0] <= before[0] and after[1] <= before[1]


@pytest.mark.parametrize("name", ["residual block", "attention"])
def test_optimizing_again_changes_nothing(name):
    make, shape = MODELS[name]
    x = torch.randn(shape)
    once = ct.optimize(make().eval(), x)
    again = ct.optimize(once, x)
    assert operations(again) == operations(once)
    assert list(again.state_dict()) == list(once.state_dict())


class Embedded(nn.Module):
    """A transformer on embeddings, which can be secret."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, x):
        return self.model(inputs_embeds=x)[0]


def bert(transformers):
    config = transformers.BertConfig(
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=4,
        intermediate_size=64,
        vocab_size=40,
        max_position_embeddings=16,
        layer_norm_eps=1e-5,
    )
    return transformers.BertModel(config).eval()


def test_bert_saves_eight_rounds_a_layer():
    transformers = pytest.importorskip("transformers", reason="transformers is not installed")
    model = bert(transformers)
    before, after = compared(Embedded(model), torch.randn(2, 4, 32))
    assert after[0] <= before[0] - 8 and after[1] < before[1]
    ids = torch.randint(0, 40, (1, 4))
    optimized = ct.optimize(model, named={"input_ids": ids, "attention_mask": ids > -1})
    ids = torch.randint(0, 40, (3, 4))
    found = optimized(ids, attention_mask=ids > -1)
    assert type(found).__name__ == "BaseModelOutputWithPoolingAndCrossAttentions"
    want = model(ids, attention_mask=ids > -1)
    torch.testing.assert_close(found.pooler_output, want.pooler_output)


def test_gpt2_keeps_its_tied_embedding():
    transformers = pytest.importorskip("transformers", reason="transformers is not installed")
    config = transformers.GPT2Config(
        n_embd=16, n_layer=1, n_head=2, vocab_size=30, n_positions=8, use_cache=False
    )
    model = transformers.GPT2LMHeadModel(config).eval()
    before, after = compared(Embedded(model), torch.randn(2, 3, 16))
    assert after[0] <= before[0]
    optimized = ct.optimize(model, torch.randint(0, 30, (2, 3)))
    assert optimized.lm_head.weight is optimized.transformer.wte.weight


def test_batches_of_other_sizes_run_and_other_sizes_are_refused():
    model, x = with_statistics(Block()), torch.randn(1, 4, 5, 5)
    optimized = ct.optimize(model, x)
    for batch in (1, 2, 5):
        x = torch.randn(batch, 4, 5, 5)
        torch.testing.assert_close(optimized(x), model(x), rtol=1e-4, atol=1e-5)
    with pytest.raises(ShapeError, match=r"\[2, 4, 6, 5\].*\[n0, 4, 5, 5\]"):
        optimized(torch.randn(2, 4, 6, 5))
    with pytest.raises(TypeError, match="takes those of its examples"):
        optimized(x=x, y=x)


def test_a_batch_that_the_model_fixes_is_refused_when_it_differs():
    model = Of(lambda m, x: m.layer(x.reshape(2, 6)), layer=nn.Linear(6, 2))
    optimized = ct.optimize(model, torch.randn(4, 3))
    with pytest.raises(ShapeError, match=r"\[6, 3\]"):
        optimized(torch.randn(6, 3))


def test_calibration_copies_and_pickles():
    model = with_statistics(nn.Sequential(nn.Conv1d(2, 3, 2), nn.BatchNorm1d(3), nn.ReLU()))
    x = torch.randn(4, 2, 5)
    optimized = ct.optimize(model, x)
    assert ct.calibrate(optimized, x) == ct.calibrate(model, x)
    for twin in (copy.deepcopy(optimized), pickle.loads(pickle.dumps(optimized))):
        torch.testing.assert_close(twin(x), model(x))
    other = ct.optimize(with_statistics(copy.deepcopy(model)), x)
    other.load_state_dict(optimized.state_dict())
    torch.testing.assert_close(other(x), model(x))


def test_the_model_is_left_alone():
    model, x = with_statistics(Block()), torch.randn(2, 4, 5, 5)
    before = copy.deepcopy(model.state_dict())
    ct.optimize(model, x)
    assert model.relu.inplace
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name])


def trained(model, x):
    secret = ct.encrypt(model, src=0)
    (secret(ct.cryptensor(x, src=1)) ** 2).sum().backward()
    return {name: p.grad.reveal() for name, p in secret.named_parameters()}


def test_gradients_pass_through_merged_projections():
    model = Of(attention, **{name: nn.Linear(4, 4) for name in "qkv"})
    x = torch.randn(1, 3, 4)
    optimized = ct.optimize(model, x)
    assert "truncated" in optimized.code
    (optimized(x) ** 2).sum().backward()
    found = ct.simulate(trained, optimized, x, parties=2)[0]
    for name, parameter in optimized.named_parameters():
        assert float((found[name] - parameter.grad).abs().max()) < 5e-3


@dataclass
class Unregistered:
    y: torch.Tensor


class Untraceable(nn.Module):
    """torch.export refuses a result of an unknown class; torch.fx does not look at it."""

    def __init__(self):
        super().__init__()
        self.conv, self.norm, self.relu = nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU()
        self.pool, self.a, self.b = nn.MaxPool2d(2), nn.Linear(1024, 3), nn.Linear(1024, 2)

    def forward(self, x, flag=None):
        y = self.pool(self.relu(self.norm(self.conv(x)))).flatten(1)
        y = y if flag is None else y + flag
        return Unregistered(self.a(y)), self.b(y)


def test_a_model_that_export_refuses_is_captured_by_fx():
    model, x = with_statistics(Untraceable()), torch.randn(2, 1, 34, 34)
    optimized = ct.optimize(model, x)
    assert sorted(optimized.state_dict()) == [
        "a_b.bias",
        "a_b.weight",
        "conv.bias",
        "conv.weight",
    ]
    assert optimized.code.index("pool") < optimized.code.index("self.relu")
    torch.testing.assert_close(optimized(x)[0].y, model(x)[0].y, rtol=1e-4, atol=1e-5)


def test_what_cannot_be_captured_is_a_named_error(capfd):
    model = Of(lambda m, x: x if x.sum() > 0 else -x)
    with pytest.raises(ConfigError, match=r"only run unoptimized. torch.export: .*torch.fx: "):
        ct.optimize(model, torch.randn(2, 3))
    assert capfd.readouterr().err == ""


def test_a_wrong_pass_is_found(monkeypatch):
    def wrong(program):
        for node in program.calls(torch.ops.aten.relu.default):
            node.target = torch.ops.aten.tanh.default

    monkeypatch.setitem(optimization.PASSES, "pool_before_relu", wrong)
    model, x = nn.Sequential(nn.Linear(3, 3), nn.ReLU()), torch.randn(4, 3)
    with pytest.raises(ConfigError, match="result 0 of the optimized model differs by"):
        ct.optimize(model, x)
    ct.optimize(model, x, verify=False)


def secret_arguments():
    model = nn.Linear(2, 2)
    for given in ((ct.encrypt(model), torch.ones(1, 2)), (model, ct.cryptensor(torch.ones(1, 2)))):
        with pytest.raises(ConfigError, match="call it before encrypt"):
            ct.optimize(*given)


def test_bad_arguments_are_named():
    model, x = nn.Linear(2, 2), torch.ones(1, 2)
    with pytest.raises(ConfigError, match=r"passes has \['fuse'\]; allowed are drop_dead_outputs"):
        ct.optimize(model, x, passes=["fuse"])
    with pytest.raises(ConfigError, match="needs the arguments"):
        ct.optimize(model)
    with pytest.raises(TypeError, match=r"torch\.nn\.Module"):
        ct.optimize(lambda x: x, x)
    ct.simulate(secret_arguments, parties=2)


def inside(model, x):
    secret = ct.encrypt(ct.optimize(model, x), src=0)
    return secret(ct.cryptensor(x, src=1)).reveal()


def test_parties_may_optimize_themselves():
    model, x = with_statistics(Block()), torch.randn(2, 4, 5, 5)
    want = model(x).detach()
    for found in ct.simulate(inside, model, x, parties=3):
        assert float((found - want).abs().max()) < 2e-3
