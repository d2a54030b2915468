"""The text encoder: words and their numbers, what padding may not change, gradients, and prompts of every kind."""

import math
import string
from importlib.resources import files

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from minidiffusion.data.emoji import Captions
from minidiffusion.nets.text import LENGTH, PADDING, START, Layer, TextEncoder, Tokenizer
from minidiffusion.systems import CLIP
from minidiffusion.systems.batches import vocabulary
from minidiffusion.systems.prompts import notes, read

QUOTE = "\N{RIGHT SINGLE QUOTATION MARK}"  # the apostrophe that phones type
WORDS = ["#", "blue", "cat", "dark", "man", "medium-dark", "o'clock", "piñata", "red", "skin", "sunglasses", "t-shirt"]


def randn(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def randomised(net, std=0.3):
    """The network with random weights everywhere."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weight in net.parameters():
            weight.copy_(std * torch.randn(weight.shape, generator=generator))
    return net.requires_grad_(False)


@pytest.fixture
def tokenizer():
    return Tokenizer(WORDS)


@pytest.fixture(scope="module")
def encoder():
    return randomised(TextEncoder(len(WORDS), width=64, depth=2))


@pytest.fixture(scope="module")
def clip():
    return randomised(CLIP(WORDS, width=64, embedding=32))


@pytest.fixture
def in_float64(monkeypatch):
    """Casts to float32, which bfloat16 needs, would hide what finite differences are to see."""
    monkeypatch.setattr(torch.Tensor, "float", lambda self: self)


# The tokenizer


@pytest.mark.parametrize(
    "prompt, words",
    [
        ("Woman Astronaut,  dark skin tone", ["woman", "astronaut", "dark", "skin", "tone"]),
        ("t-shirt, medium-dark", ["t-shirt", "medium-dark"]),
        ("five o'clock", ["five", "o'clock"]),
        (f"five o{QUOTE}clock", ["five", "o'clock"]),
        ("St. Barthélemy. The end...", ["st", "barthélemy", "the", "end"]),
        ("keycap #, a & b", ["keycap", "#", "a", "&", "b"]),
        ('a "quoted" word; and: more', ["a", "quoted", "word", "and", "more"]),
        ("rock - paper -- scissors", ["rock", "-", "paper", "-", "-", "scissors"]),
        ("猫が好き кот 🚗", ["猫が好き", "кот", "🚗"]),
        ("tab\tand\nnew line", ["tab", "and", "new", "line"]),
        ("", []),
        (f" ,,, . {QUOTE} ", []),
    ],
)
def test_a_prompt_is_split_into_its_words(prompt, words):
    assert Tokenizer.split(prompt) == words


@pytest.mark.parametrize(
    "prompt, known, unknown",
    [
        ("medium-dark", ["medium-dark"], []),  # known as a whole
        ("dark-blue", ["dark", "blue"], []),  # known by its parts
        ("red-hot cat", ["red", "cat"], ["hot"]),
        ("rock - red", ["red"], ["rock"]),  # a dash alone has no parts, and there is nothing to say about it
        ("RED Cat", ["red", "cat"], []),
        ("pinata", [], ["pinata"]),
        ("", [], []),
    ],
)
def test_words_are_known_or_not_and_those_with_hyphens_by_their_parts(tokenizer, prompt, known, unknown):
    assert tokenizer.words(prompt) == (known, unknown)


def test_tokens_are_the_start_then_the_words_then_padding(tokenizer):
    tokens = tokenizer(["dark cat", "no such words", "", "dark nonsense cat"])
    assert tokens.shape == (4, LENGTH) and tokens.dtype == torch.int64
    cat, dark = 2 + WORDS.index("cat"), 2 + WORDS.index("dark")
    assert tokens[0].tolist() == [START, dark, cat] + [PADDING] * 21
    assert (tokens[1:3] == PADDING).all()  # without a known word there is no start either
    assert torch.equal(tokens[3], tokens[0])


def test_every_word_has_its_own_number(tokenizer):
    numbers = tokenizer(WORDS)[:, 1]
    assert numbers.tolist() == list(range(2, len(WORDS) + 2))


def test_only_the_first_23_known_words_count(tokenizer):
    many = tokenizer(["cat " * 23 + "red", "cat " * 23])
    assert torch.equal(many[0], many[1]) and (many != PADDING).all()


def test_near_words_are_those_spelled_alike(tokenizer):
    assert tokenizer.near("sunglases") == ["sunglasses"]
    assert tokenizer.near("pinata") == ["piñata"]
    assert tokenizer.near("qqqqq") == tokenizer.near("") == []


def test_all_captions_fit_and_the_words_of_the_training_are_known():
    path = files("minidiffusion.data") / "files" / "emoji64" / "captions.npz"
    with path.open("rb") as stream:
        table = {name: array for name, array in np.load(stream).items()}
    style, tone = table["style_names"][table["style"]].tolist(), table["tone"].tolist()
    tags = [row.split("|") for row in table["tags"].tolist()]
    captions = Captions(table["captions"].tolist(), style=style, group=style, tone=tone, thing=style, tags=tags)
    words = vocabulary(captions)
    assert words == sorted(set(words)) and {"noto", "fluent-flat", "medium-dark", "astronaut"} <= set(words)
    tokenizer = Tokenizer(words)
    for prompt in captions.prompts():
        known, unknown = tokenizer.words(prompt)
        assert not unknown and len(known) < LENGTH


@given(st.text(max_size=60))
def test_any_text_becomes_tokens(prompt):
    tokenizer = Tokenizer(WORDS)
    known, unknown = tokenizer.words(prompt)
    tokens = tokenizer([prompt])
    assert set(known) <= set(WORDS) and not set(unknown) & set(WORDS)
    assert (tokens != PADDING).sum() == (min(len(known), LENGTH - 1) + 1 if known else 0)
    assert all(isinstance(note, str) and note for note in notes(tokenizer, prompt))


# What the writer of a prompt hears


@pytest.mark.parametrize(
    "prompt, said",
    [
        ("dark cat", []),
        ("", []),
        ("red sunglases", ["sunglases: did you mean sunglasses?"]),
        ("red qwzx", ["qwzx: an unknown word, left out"]),
        ("qwzx qwzx red qwzx", ["qwzx: an unknown word, left out"]),  # once
        ("猫", ["猫: an unknown word, left out"]),
        ("cat " * 23, []),
        ("cat " * 24, ["only the first 23 known words count, of 24"]),
    ],
)
def test_a_note_names_each_unknown_word_and_a_prompt_that_is_too_long(tokenizer, prompt, said):
    assert notes(tokenizer, prompt) == said


def test_several_near_words_are_all_offered():
    (note,) = notes(Tokenizer(["boat", "goat"]), "oat")
    assert note in ("oat: did you mean boat or goat?", "oat: did you mean goat or boat?")


def test_unknown_words_without_end_are_counted(tokenizer):
    nonsense = [f"{a}{b}qx" for a in string.ascii_lowercase for b in "abc"]
    said = notes(tokenizer, " ".join(nonsense + nonsense))
    assert len(said) == 21 and said[-1] == "and 58 more unknown words, left out"  # of 26 x 3, each counted once


@pytest.mark.parametrize("prompt", ["q" * 10_000, "cat " * 2_500, "qx-" * 3_333, "猫" * 10_000, QUOTE * 10_000])
def test_a_prompt_of_10_000_characters_is_handled(tokenizer, prompt):
    assert tokenizer([prompt]).shape == (1, LENGTH)
    said = notes(tokenizer, prompt)
    assert sum(map(len, said)) < 2_000


# The encoder


def test_every_word_gets_a_vector_of_unit_variance_and_padding_zeros(encoder, tokenizer):
    tokens = tokenizer(["red cat", ""])
    words = encoder(tokens)
    assert words.shape == (2, LENGTH, 64) and words.dtype == torch.float32
    assert (words[tokens == PADDING] == 0).all()
    real = words[tokens != PADDING]
    torch.testing.assert_close(real.mean(1), torch.zeros(3), rtol=0, atol=1e-5)
    torch.testing.assert_close(real.var(1, correction=0), torch.ones(3), rtol=1e-4, atol=0)


def test_what_stands_in_the_padding_changes_nothing_to_the_bit(encoder, tokenizer):
    tokens = tokenizer(["red cat", "dark blue t-shirt man", "cat"])
    expected = encoder(tokens)
    other = TextEncoder(len(WORDS), width=64, depth=2)
    other.load_state_dict(encoder.state_dict())
    with torch.no_grad():
        other.embed.weight[PADDING] = 100 * randn(64)
        other.place[5:] = 100 * randn(LENGTH - 5, 64)
        assert torch.equal(other(tokens), expected)


def test_how_much_padding_there_is_changes_nothing(encoder, tokenizer):
    tokens = tokenizer(["dark blue man"])
    torch.testing.assert_close(encoder(tokens[:, :4]), encoder(tokens)[:, :4], rtol=1e-4, atol=1e-5)


def test_without_words_every_vector_is_exactly_zero(encoder, clip, tokenizer):
    assert (encoder(torch.zeros(2, LENGTH, dtype=torch.long)) == 0).all()
    for prompt in ("", " , ", "no such words"):
        assert (clip.words([prompt]) == 0).all()
    # a text that training has dropped is the text that nobody has written
    tokens = tokenizer(["dark blue man"])
    assert torch.equal(encoder(tokens.masked_fill(torch.tensor([[True]]), 0)), clip.words([""]))


def test_a_batch_is_read_as_each_prompt_alone(encoder, tokenizer):
    tokens = tokenizer(["red cat", "dark blue t-shirt man", "", "cat"])
    together = encoder(tokens)
    for i in range(4):
        torch.testing.assert_close(encoder(tokens[i : i + 1])[0], together[i], rtol=1e-4, atol=1e-5)


@pytest.mark.filterwarnings("ignore:qwzx")
def test_what_is_read_does_not_depend_on_the_rest_of_the_batch_to_the_bit(clip):
    prompts = ["red cat", "dark blue t-shirt man", "", "red cat", "qwzx red cat"]
    together = read(clip, prompts)
    assert together.shape == (5, LENGTH, 64) and not together.requires_grad
    for i, prompt in enumerate(prompts):
        assert torch.equal(together[i : i + 1], read(clip, [prompt]))
    assert torch.equal(together[0], together[3]) and torch.equal(together[0], together[4])


def test_reading_warns_about_unknown_words_once(clip):
    with pytest.warns(UserWarning, match="sunglases: did you mean sunglasses") as caught:
        read(clip, ["red sunglases", "red sunglases"])
    assert len(caught) == 1


def test_prompts_that_are_no_list_of_strings_are_named(clip, unchecked):
    for prompts in ("red cat", [], [1], ["cat", None]):
        with pytest.raises(TypeError, match="prompts must be a list with at least one string, got"):
            read(clip, prompts)


def test_the_first_vector_knows_every_word_and_their_order(encoder, tokenizer):
    first = encoder(tokenizer(["red cat blue man", "red cat blue skin", "blue cat red man", "dark cat blue man"]))[:, 0]
    assert torch.cdist(first, first).fill_diagonal_(1.0).min() > 1e-2


def test_texts_are_unit_vectors_from_the_first_word(clip):
    text = clip.text(["red cat", "blue man"])
    by_hand = clip.words(["red cat", "blue man"])[:, 0] @ clip.text_head.weight.T
    torch.testing.assert_close(text, by_hand / by_hand.norm(dim=1, keepdim=True))


def test_in_bfloat16_the_vectors_are_nearly_the_same(encoder, tokenizer):
    tokens = tokenizer(["red cat", "dark blue t-shirt man"])
    exact = encoder(tokens)
    with torch.autocast("cpu", torch.bfloat16):
        rough = encoder(tokens)
    assert (rough - exact).norm() < 0.03 * exact.norm() and (rough[tokens == PADDING] == 0).all()


def test_a_layer_is_its_formula():
    layer, x = randomised(Layer(64)).double(), randn(2, 3, 64).double()
    mask = torch.tensor([[True, True, True], [True, False, True]])

    def norm(x, layer):  # Ba et al. 2016, eq. 4
        x = (x - x.mean(2, keepdim=True)) / (x.var(2, keepdim=True, correction=0) + 1e-5).sqrt()
        return x * layer.weight + layer.bias

    q, k, v = (norm(x, layer.norm1) @ layer.qkv.weight.T + layer.qkv.bias).split(64, dim=2)
    mixed = torch.zeros(2, 3, 64, dtype=torch.float64)
    for head in (slice(0, 32), slice(32, 64)):
        weights = (q[..., head] @ k[..., head].mT / math.sqrt(32)).exp() * mask[:, None]
        mixed[..., head] = weights / weights.sum(2, keepdim=True) @ v[..., head]
    h = x + mixed @ layer.out.weight.T + layer.out.bias
    by_hand = h + layer.layers[2](F.gelu(layer.layers[0](norm(h, layer.norm2))))
    torch.testing.assert_close(layer(x, mask[:, None, None]), by_hand)


# Gradients


def gradients_agree(net, *inputs):
    """Whether the gradients of all inputs and parameters are those of finite differences, along random directions."""
    names, weights = zip(*net.named_parameters(), strict=True)

    def value(*tensors):
        inputs, weights = tensors[: -len(names)], tensors[-len(names) :]
        return torch.func.functional_call(net, dict(zip(names, weights, strict=True)), inputs)

    weights = [weight.detach().clone().requires_grad_() for weight in weights]
    return torch.autograd.gradcheck(value, (*inputs, *weights), fast_mode=True)


def test_the_gradient_of_a_layer_is_that_of_finite_differences():
    x, mask = randn(2, 3, 32).double().requires_grad_(), torch.tensor([[True, True, False], [True, False, False]])
    assert gradients_agree(randomised(Layer(32)).double(), x, mask[:, None, None])


def test_the_gradient_of_the_text_encoder_is_that_of_finite_differences(in_float64, tokenizer):
    net = randomised(TextEncoder(len(WORDS), width=32, depth=2)).double()
    assert gradients_agree(net, tokenizer(["red cat", "dark blue t-shirt man", ""]))


def test_no_gradient_reaches_the_padding_and_none_is_nan(encoder, tokenizer):
    net = TextEncoder(len(WORDS), width=32, depth=1)
    (net(tokenizer(["red cat", ""])) ** 3).sum().backward()
    assert all(weight.grad.isfinite().all() for weight in net.parameters())
    assert (net.embed.weight.grad[PADDING] == 0).all() and (net.place.grad[3:] == 0).all()
    assert (net.embed.weight.grad[2 + WORDS.index("cat")] != 0).any()
