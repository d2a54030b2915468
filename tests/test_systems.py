"""Stable Diffusion and DALL-E 2: each loss against its formula, batches, priors, and pictures to the bit."""

import contextlib
import itertools
import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy import stats

import minidiffusion as md
from minidiffusion.data import to_uint8
from minidiffusion.data.emoji import Captions
from minidiffusion.nets import MLP, Autoencoder, Tokenizer, UNet
from minidiffusion.nets.autoencoder import ImageEncoder
from minidiffusion.nets.maps import recorded
from minidiffusion.nets.text import LENGTH
from minidiffusion.samplers import sample
from minidiffusion.systems import CLIP, DALLE2, StableDiffusion, latent_diffusion, unclip
from minidiffusion.systems.batches import VARIANTS, Batches, keywords, later, vocabulary
from minidiffusion.systems.contrastive import contrastive_loss, fit_clip, move
from minidiffusion.systems.decoder import (
    TOKENS,
    Upsampler,
    condition,
    corrupted,
    detail,
    doubled,
    enlarged,
    fit_decoder,
    fit_upsampler,
    halved,
)
from minidiffusion.systems.latent_diffusion import fit_words
from minidiffusion.systems.priors import AutoregressivePrior, fit_autoregressive, fit_prior, stretched
from minidiffusion.systems.prompts import generators, read
from minidiffusion.systems.sketch import Sketch, SketchedUNet, fit_sketch, summary
from minidiffusion.systems.stages import World
from minidiffusion.training.device import autocast, has_fast_bfloat16

WORDS = ["blue", "cat", "dark", "dog", "fluent", "man", "noto", "red", "style", "woman"]
PROMPTS = ["red cat", "woman, noto style", "dark blue dog", "man"]


def randn(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def seeded(*seeds):
    return [torch.Generator().manual_seed(seed) for seed in seeds]


def randomised(net, std=0.1, seed=0):
    """The network with random weights everywhere: zero-initialised layers would hide what comes before them."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in net.parameters():
            weight.copy_(std * torch.randn(weight.shape, generator=generator))
    return net.eval().requires_grad_(False)


def denoiser(net):
    return md.Denoiser(randomised(net), md.schedule.cosine(), md.heads.V)


def small_clip(embedding=32, words=WORDS):
    clip = CLIP(words, width=32, embedding=embedding, depth=1)
    clip.image_encoder = ImageEncoder(embedding, (16, 16, 16))
    return clip


@pytest.fixture(scope="module")
def clip():
    return randomised(small_clip(), std=0.2)


@pytest.fixture(scope="module")
def stable(clip):
    net = SketchedUNet(4, 16, (32, 64), (1, 1), context=32, patch=1, width=32, depth=1)
    return StableDiffusion(clip, randomised(Autoencoder(4, width=16)), denoiser(net))


@pytest.fixture(scope="module")
def dalle(clip):
    return DALLE2(
        clip,
        denoiser(MLP(32, 64, 2, context=32)),
        randomised(AutoregressivePrior(32, components=4, bins=4, size=32, depth=1)),
        denoiser(SketchedUNet(12, 16, (32, 64), (1, 1), context=32, patch=1, width=32, depth=1)),
        denoiser(Upsampler((32, 64), (1, 1))),
    )


@pytest.fixture(params=["stable", "dalle"])
def system(request):
    return request.getfixturevalue(request.param)


@pytest.fixture
def in_float32(monkeypatch):
    """Without bfloat16, whichever the machine prefers."""
    for module in (latent_diffusion, unclip):
        monkeypatch.setattr(module, "autocast", lambda device: contextlib.nullcontext())


@pytest.fixture
def in_float64(monkeypatch):
    """Casts to float32, which bfloat16 needs, would hide what finite differences are to see."""
    monkeypatch.setattr(torch.Tensor, "float", lambda self: self)


def gradients_agree(net, function, *inputs):
    """Whether the gradients of all inputs and parameters are those of finite differences, along random directions."""
    whole = torch.nn.Module()
    whole.net, whole.forward = net, lambda *inputs: function(net, *inputs)
    names, weights = zip(*whole.named_parameters(), strict=True)

    def value(*tensors):
        weights = dict(zip(names, tensors[-len(names) :], strict=True))
        return torch.func.functional_call(whole, weights, tensors[: -len(names)])

    weights = [weight.detach().clone().requires_grad_() for weight in weights]
    return torch.autograd.gradcheck(value, (*inputs, *weights), fast_mode=True)


# Batches


@pytest.fixture(scope="module")
def captions():
    """One woman; three dogs; a man in two tones and three styles."""
    thing = ["woman", *["dog"] * 3, *["man"] * 6]
    style = ["noto", "noto", "fluent", "twemoji", *["noto", "fluent", "twemoji"] * 2]
    tone = [0, 0, 0, 0, 1, 1, 1, 5, 5, 5]
    names = {0: "", 1: ", light skin tone", 5: ", dark skin tone"}
    tags = [["lady"], *[["pet", "animal", "bark"]] * 3, *[[]] * 6]
    texts = [a + names[b] for a, b in zip(thing, tone, strict=True)]
    return Captions(texts, style=style, group=thing, tone=tone, thing=thing, tags=tags)


@pytest.fixture(scope="module")
def tokenizer(captions):
    return Tokenizer(vocabulary(captions))


@pytest.fixture(scope="module")
def drawn(captions, tokenizer):
    return Batches.of(captions, tokenizer)


def test_the_vocabulary_has_every_word_once_in_order(captions):
    assert vocabulary(captions) == sorted(
        {"animal", "bark", "dark", "dog", "fluent", "lady", "light", "man", "noto", "pet", "skin", "style", "tone"}
        | {"twemoji", "woman"}
    )


def test_half_of_a_batch_is_drawn_by_thing(drawn):
    count = 20_000
    index = drawn.pictures(count, *seeded(0))
    # half evenly from the ten pictures, half a third for each thing and then evenly from its pictures
    of_thing = {0: 1, **dict.fromkeys([1, 2, 3], 3), **dict.fromkeys(range(4, 10), 6)}
    expected = np.array([count * (0.5 / 10 + 0.5 / 3 / of_thing[i]) for i in range(10)])
    assert expected.sum() == pytest.approx(count)
    assert stats.chisquare(index.bincount(minlength=10).numpy(), expected).pvalue > 1e-3


@pytest.mark.parametrize("share, chance", [(0.0, [0.1, 0.3, 0.6]), (1.0, [1 / 3] * 3)])
def test_the_share_by_thing_is_that_of_its_name(drawn, share, chance):
    things = drawn.thing[drawn.pictures(10_000, *seeded(1), share)].bincount().numpy()
    assert stats.chisquare(things, 10_000 * np.array(chance)).pvalue > 1e-3


def test_siblings_are_of_the_same_thing_and_all_equally_likely(drawn):
    index = torch.arange(10).repeat_interleave(1_000)
    siblings = drawn.siblings(index, *seeded(2))
    assert torch.equal(drawn.thing[siblings], drawn.thing[index])
    for i in range(10):
        others = siblings[index == i].bincount(minlength=10)
        family = (drawn.thing == drawn.thing[i]).nonzero().flatten()
        assert others.sum() == others[family].sum()
        assert len(family) == 1 or stats.chisquare(others[family].numpy()).pvalue > 1e-4


def test_words_are_the_prompt_or_the_caption_or_keywords(drawn, captions, tokenizer):
    index = torch.randint(10, (20_000,), generator=seeded(3)[0])
    tokens, variant = drawn.words(index, *seeded(4))
    shares = [0.65, 0.2, *[0.15 / VARIANTS] * VARIANTS]
    assert stats.chisquare(variant.bincount().numpy(), 20_000 * np.array(shares)).pvalue > 1e-3
    prompts, rows = captions.prompts(), keywords(captions)
    for i, own, kind in list(zip(index.tolist(), tokens, variant.tolist(), strict=True))[:300]:
        text = [prompts[i], captions[i], *rows[i]][kind]
        assert torch.equal(own, tokenizer([text])[0])


def test_keywords_keep_tone_and_style_and_do_without_tags_where_there_are_none(captions):
    rows = keywords(captions)
    assert rows == keywords(captions) and rows != keywords(captions, seed=1)
    assert rows[0] == ["lady, noto style"] * VARIANTS
    assert set(rows[4]) == {"man, light skin tone, light skin tone, noto style"}  # the caption has said it already
    for row in rows[1:4]:
        for prompt in row:
            *tags, style = prompt.split(", ")
            assert set(tags) <= {"pet", "animal", "bark"} and len(tags) == len(set(tags)) > 0 and "style" in style


# CLIP


def test_the_contrastive_loss_is_its_formula_and_leaves_out_other_right_answers():
    clip, pictures = randomised(small_clip(), std=0.2), randn(4, 3, 64, 64)
    tokens = clip.tokenizer(PROMPTS)
    same = torch.eye(4, dtype=torch.bool)
    same[0, 2] = same[3, 1] = True  # the text 2 is right for the picture 0, too, and the text 1 for the picture 3
    image, text = clip.image(pictures).double(), clip.text(PROMPTS).double()
    scores = (math.exp(clip.log_scale) * image @ text.T).tolist()
    by_hand = []
    for i in range(4):
        texts = [j for j in range(4) if j == i or not same[i, j]]
        images = [j for j in range(4) if j == i or not same[j, i]]
        of_text = -scores[i][i] + math.log(sum(math.exp(scores[i][j]) for j in texts))
        of_image = -scores[i][i] + math.log(sum(math.exp(scores[j][i]) for j in images))
        by_hand.append((of_text + of_image) / 2)
    loss = contrastive_loss(clip, pictures, tokens, same)
    torch.testing.assert_close(loss.double(), torch.tensor(by_hand).double(), rtol=1e-4, atol=1e-5)
    assert (loss != contrastive_loss(clip, pictures, tokens, torch.eye(4, dtype=torch.bool))).any()


def test_an_untrained_clip_guesses_among_all_of_the_batch():
    count = 12
    torch.manual_seed(0)
    clip = small_clip(embedding=128)
    with torch.no_grad():
        clip.log_scale.zero_()  # at the temperature 1, cosines near 0 are all about as likely
        tokens = clip.tokenizer([f"{a} {b}" for a, b in itertools.permutations(WORDS[:4], 2)])
        loss = contrastive_loss(clip, randn(count, 3, 64, 64), tokens, torch.eye(count, dtype=torch.bool))
    assert loss.mean().item() == pytest.approx(math.log(count), abs=0.1)


def test_the_temperature_never_falls_below_a_hundredth():
    clip, pictures = randomised(small_clip(), std=0.2), randn(2, 3, 64, 64)
    tokens, same = clip.tokenizer(PROMPTS[:2]), torch.eye(2, dtype=torch.bool)
    losses = []
    for log_scale in (4.6, 9.0):
        clip.log_scale.fill_(log_scale)
        losses.append(contrastive_loss(clip, pictures, tokens, same))
    assert torch.equal(*losses)


def test_the_gradient_of_the_contrastive_loss_is_that_of_finite_differences(in_float64):
    clip = randomised(small_clip(embedding=4), std=0.2).double()
    tokens, same = clip.tokenizer(PROMPTS[:3]), torch.eye(3, dtype=torch.bool)
    same[0, 2] = True
    pictures = randn(3, 3, 64, 64).double().requires_grad_()
    assert gradients_agree(clip, lambda clip, x: contrastive_loss(clip, x, tokens, same), pictures)


def test_embeddings_are_unit_vectors_in_one_space(clip):
    image, text = clip.image(randn(3, 3, 64, 64)), clip.text(PROMPTS)
    assert image.shape == (3, 32) and text.shape == (4, 32)
    torch.testing.assert_close(torch.cat([image, text]).norm(dim=1), torch.ones(7))


def test_clip_is_saved_with_its_words(tmp_path):
    clip = randomised(CLIP(WORDS, width=32, embedding=8, depth=1), std=0.1)
    md.save(clip, tmp_path / "clip.safetensors", dtype=torch.float16)
    again = md.load(tmp_path / "clip.safetensors")
    assert type(again) is CLIP and again.config == clip.config and again.tokenizer.vocabulary == WORDS
    assert again.log_scale.dtype == torch.float32 and not again.training
    for a, b in ((again.text(PROMPTS), clip.text(PROMPTS)), (again.image(randn(1, 3, 64, 64)),) * 2):
        torch.testing.assert_close(a, b, rtol=0, atol=5e-3)  # float16 has eleven bits


class Shifts:
    """Stands in for torch.rand: what `move` gets in place of its uniform numbers."""

    def __init__(self, values):
        self.values = torch.tensor(values)[:, None, None]

    def __call__(self, *shape, generator):
        assert shape[0] == 4
        return self.values.expand(shape)


def test_a_picture_that_is_moved_by_nothing_is_itself_and_else_its_border_is_repeated(monkeypatch):
    pictures = torch.randint(0, 256, (3, 3, 64, 64), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    monkeypatch.setattr(torch, "rand", Shifts([0.5, 0.5, 0.5, 0.5]))
    anything = torch.Generator()
    assert torch.equal(move(pictures, anything), pictures)
    # rows + 6, columns - 3: a pixel shows what was six rows below and three columns to the left of it
    monkeypatch.setattr(torch, "rand", Shifts([0.5, 0.5, 1.0, 0.25]))
    moved = move(pictures, anything)
    assert torch.equal(moved[:, :, :58, 3:], pictures[:, :, 6:, :61])
    assert torch.equal(moved[:, :, 58:, 3:], pictures[:, :, 63:, :61].expand(-1, -1, 6, -1))
    assert torch.equal(moved[:, :, :58, :3], pictures[:, :, 6:, :1].expand(-1, -1, -1, 3))


def test_pictures_are_moved_each_in_its_own_way_and_by_a_little():
    pictures = torch.arange(64, dtype=torch.uint8).repeat(200, 3, 64, 1)  # a pixel's colour is its column
    moved = move(pictures, torch.Generator().manual_seed(0)).float()
    assert (moved == moved[:, :1, :1]).all()
    scale, centre = (moved[:, 0, 0, 38] - moved[:, 0, 0, 25]) / 13, moved[:, 0, 0, 31:33].mean(1) - 31.5
    assert scale.min() > 0.76 and scale.max() < 1.24 and scale.std() > 0.05  # 15%, and rounding
    assert centre.abs().max() <= 6.5 and centre.std().item() == pytest.approx(12 / 12**0.5, rel=0.15)  # uniform


# Pictures of prompts


def test_the_same_seed_gives_the_same_picture_alone_and_in_a_batch(system):
    together = to_uint8(system.draw(PROMPTS, seeded(0, 1, 2, 3), steps=3))
    assert together.shape == (4, 3, 64, 64) and together.float().std() > 5
    for i in range(4):
        alone = to_uint8(system.draw(PROMPTS[i : i + 1], seeded(i), steps=3))
        # in bfloat16 the last bits of a sum are rounded away; in float32 one of them may turn a number on the edge
        assert (alone[0].int() - together[i].int()).abs().max() <= (0 if has_fast_bfloat16(torch.device("cpu")) else 1)
    again = system.draw(PROMPTS, seeded(0, 1, 2, 3), steps=3)
    assert torch.equal(to_uint8(again), together)


def test_in_float32_a_picture_alone_is_the_one_in_a_batch_but_for_rounding(system, in_float32):
    together = system.draw(PROMPTS, seeded(0, 1, 2, 3), steps=3)
    alone = system.draw(PROMPTS[2:3], seeded(2), steps=3)
    torch.testing.assert_close(alone[0], together[2], rtol=0, atol=1e-4)


def test_one_generator_gives_each_picture_its_own_and_the_count_does_not_matter(system):
    two = system.draw(PROMPTS[:2], *seeded(5), steps=2)
    three = system.draw(PROMPTS[:3], *seeded(5), steps=2)
    assert (to_uint8(two).int() - to_uint8(three[:2]).int()).abs().max() <= 1
    assert not torch.allclose(two[0], two[1], atol=0.05)


def test_generators_do_not_depend_on_how_many_there_are():
    few, many = generators(2, *seeded(3)), generators(5, *seeded(3))
    states = [[torch.randn(4, generator=one) for one in row] for row in (few, many)]
    assert all(torch.equal(a, b) for a, b in zip(*states, strict=False))
    assert len({tuple(one.tolist()) for one in states[1]}) == 5
    given = seeded(1, 2)
    assert all(a is b for a, b in zip(generators(2, given), given, strict=True))
    with pytest.raises(ValueError, match="generator must be one, or one for each of 3 pictures, got 2"):
        generators(3, given)


@pytest.mark.parametrize("empty", ["", " , "])
def test_an_empty_prompt_is_no_prompt_to_the_bit(stable, empty):
    with torch.no_grad():
        z, t = stable.noise(2, seeded(0, 1)), torch.tensor([0.3, 0.8])
        words = read(stable.clip, [empty] * 2)
        assert torch.equal(stable.denoise(z, 0.7, words), stable.denoise(z, 0.7, None))
        assert torch.equal(stable.denoise(z, t, words), stable.denoise(z, t, None))
    # and then guidance has no direction, whatever its scale
    pictures = [stable.draw([empty], seeded(0), scale=scale, steps=2) for scale in (1.0, 7.0)]
    assert torch.equal(*pictures)


def test_guidance_of_one_is_no_guidance_to_the_bit(stable):
    words = read(stable.clip, PROMPTS)
    with torch.no_grad(), autocast(torch.device("cpu")):
        z = sample(stable.denoise, stable.noise(4, seeded(0, 1, 2, 3)), None, 3, latent_diffusion.METHOD, cond=words)
    plain = stable.decode(z)
    for against in (None, "blue dog"):
        with recorded(stable.denoise) as maps:
            assert torch.equal(stable.draw(PROMPTS, seeded(0, 1, 2, 3), scale=1.0, against=against, steps=3), plain)
        assert len(maps) == 4 * 3  # four layers, and the network was asked once a step
    assert not torch.allclose(stable.draw(PROMPTS, seeded(0, 1, 2, 3), scale=4.0, steps=3), plain, atol=1e-2)


def test_guidance_of_one_is_no_guidance_for_the_decoder_either(dalle):
    z, none = dalle.clip.image(randn(2, 3, 64, 64)), torch.zeros(2, 1, 32)
    x = torch.stack([torch.randn(12, 16, 16, generator=one) for one in seeded(0, 1)])
    with torch.no_grad(), autocast(torch.device("cpu")):
        plain = sample(dalle.decoder, x, None, 3, unclip.METHOD, cond=condition(z, none))
    small = F.pixel_shuffle(plain.clamp(-1, 1), 2)
    each = seeded(0, 1)
    for one in each:  # the decoder has taken its noise; what follows is the upsampler's
        torch.randn(12, 16, 16, generator=one)
    expected = dalle.enlarge(small, each)
    assert torch.equal(dalle.decode(z, seeded(0, 1), scale=1.0, steps=3), expected)


def test_a_prompt_against_which_one_moves_changes_the_picture_and_itself_cancels_guidance(system):
    first = system.draw(PROMPTS[:1], seeded(0), steps=2)
    assert not torch.allclose(system.draw(PROMPTS[:1], seeded(0), against="blue dog", steps=2), first, atol=1e-3)
    if isinstance(system, StableDiffusion):  # DALL-E 2 keeps the embedding, and moves away from the text alone
        own, plain = (
            to_uint8(system.draw(PROMPTS[:1], seeded(0), against=against, scale=scale, steps=2)).int()
            for against, scale in ((PROMPTS[0], 4.0), (None, 1.0))
        )
        assert (own - plain).abs().max() <= 1


def test_guidance_works_in_the_middle_of_the_way_and_a_negative_prompt_all_the_way(stable):
    z = torch.stack([torch.randn(stable.autoencoder.latent, 16, 16, generator=one) for one in seeded(0, 1)])
    for t, guides, with_negative in ((0.9, False, True), (0.5, True, True), (0.1, False, True)):
        for against, wanted in ((None, guides), ("blue dog", with_negative)):
            words, guided = stable.guided(PROMPTS[:2], 4.0, against)
            with torch.no_grad():
                same = torch.allclose(guided(z, t, words), stable.denoise(z, t, words), atol=1e-4)
            assert same is not wanted, (t, against)


def test_a_word_that_is_not_known_is_named_and_left_out(system):
    with pytest.warns(UserWarning, match="an unknown word, left out"):
        picture = system.draw(["red qwzx cat"], seeded(0), steps=2)
    assert torch.equal(picture, system.draw(["red cat"], seeded(0), steps=2))


# What else Stable Diffusion can do


def test_attention_maps_are_the_mean_over_layers_and_steps(stable):
    prompt, steps = "dark blue cat", 2
    picture, known, total = stable.attention(prompt, *[seeded(3)], steps=steps)
    assert known == ["dark", "blue", "cat"] and total.shape == (3, 16, 16)
    assert torch.equal(picture, stable.draw([prompt], seeded(3), steps=steps))  # to look does not change what is drawn
    with recorded(stable.denoise) as maps:
        stable.draw([prompt], seeded(3), scale=1.0, steps=1)
    assert [one.shape[1] for one in maps] == [256, 64, 64, 256]  # of one call, from fine to coarse and up again
    for one in maps:
        torch.testing.assert_close(one.sum(2), torch.ones(1, one.shape[1]))
        assert (one[:, :, 4:] == 0).all()  # beyond the start and the three words
    # with one step and no guidance, the maps are those of this call
    _, _, single = stable.attention(prompt, seeded(3), scale=1.0, steps=1)
    by_hand = torch.zeros(3, 16, 16)
    for one in maps:
        side = math.isqrt(one.shape[1])
        part = one[0, :, 1:4].T.reshape(1, 3, side, side)
        by_hand += F.interpolate(part, (16, 16), mode="bilinear")[0] / 4
    torch.testing.assert_close(single, by_hand)
    assert (total.sum(0) <= 1 + 1e-4).all()  # the start takes the rest


def test_a_picture_redrawn_at_strength_zero_is_itself(stable):
    x = stable.draw(PROMPTS[:2], seeded(0, 1), steps=2)
    assert torch.equal(stable.redraw(x, PROMPTS[2:], 0.0, seeded(2, 3)), stable.decode(stable.encode(x)))
    near, far = (stable.redraw(x, PROMPTS[2:], s, seeded(2, 3), steps=4) for s in (0.1, 1.0))
    assert (near - stable.decode(stable.encode(x))).norm() < (far - stable.decode(stable.encode(x))).norm()


def test_known_pixels_are_kept_to_the_bit(stable):
    x = stable.draw(PROMPTS[:1], seeded(0), steps=2)
    known = torch.zeros(64, 64, dtype=torch.bool)
    known[:, :30] = True
    filled = stable.fill(x, known, PROMPTS[1:2], seeded(1), steps=2)
    assert torch.equal(filled[..., :30], x[..., :30]) and not torch.equal(filled[..., 30:], x[..., 30:])
    assert torch.equal(stable.fill(x, torch.ones_like(known), PROMPTS[1:2], seeded(1), steps=2), x)


# DALL-E 2: embeddings


@pytest.fixture(scope="module")
def prior():
    """Eight images, so many as bins: each component is exactly one of them."""
    net = randomised(AutoregressivePrior(6, components=6, bins=8, size=32, depth=1), std=0.4)
    net.start_from(randn(8, 6))
    return net


def test_embeddings_are_stretched_to_the_root_of_their_width():
    z = stretched(randn(5, 16))
    torch.testing.assert_close(z.norm(dim=1), torch.full((5,), 4.0))
    torch.testing.assert_close(stretched(z), z)
    assert (stretched(torch.zeros(1, 16)) == 0).all()  # a text that was dropped stays dropped


def test_digits_and_embeddings_are_inverse_where_every_image_has_its_own_bins(prior):
    images = randn(8, 6)
    digits = prior.digits(images)
    assert digits.shape == (8, 6)
    assert all(sorted(column) == list(range(8)) for column in digits.T.tolist())  # the quantiles share out evenly
    torch.testing.assert_close(prior.embedding(digits), stretched(images), rtol=1e-4, atol=1e-4)
    assert torch.equal(prior.digits(prior.embedding(digits)), digits)


def test_a_digit_is_the_number_of_the_nearest_centre():
    net = AutoregressivePrior(6, components=3, bins=4, size=32, depth=1)
    net.start_from(randn(100, 6))
    new = randn(50, 6, seed=1)
    parts = (stretched(new) - net.mean) @ net.axes
    nearest = (parts[:, :, None] - net.centres).abs().argmin(2)
    assert torch.equal(net.digits(new), nearest)
    # the axes are those of an independent SVD, up to their signs, the longest first
    z = stretched(randn(100, 6)).double().numpy()
    _, _, axes = np.linalg.svd(z - z.mean(0), full_matrices=False)
    np.testing.assert_allclose(np.abs(net.axes.T.numpy() @ axes[:3].T), np.eye(3), atol=1e-4)
    counts = torch.stack([column.bincount(minlength=4) for column in net.digits(randn(100, 6)).T])
    assert (counts - 25).abs().max() <= 6  # nearly quarters; the border lies halfway between two means


def test_a_digit_is_predicted_from_those_before_it_only(prior):
    digits, text = prior.digits(randn(8, 6, seed=1)), randn(8, 6, seed=2)
    logits = prior(digits[:, :-1], text)
    assert logits.shape == (8, 6, 8)
    for place in range(5):
        changed = digits.clone()
        changed[:, place] = (changed[:, place] + 1) % 8
        moved = (prior(changed[:, :-1], text) - logits).abs().amax(2)
        assert (moved[:, : place + 1] == 0).all() and (moved[:, place + 1 :] > 0).all()
    assert ((prior(digits[:, :-1], -text) - logits).abs().amax(2) > 0).all()  # the text reaches all
    # and a digit means something else as another component
    assert not torch.allclose(prior(digits[:, [0]], text)[:, 1], prior(digits[:, [0, 0]], text)[:, 2], atol=1e-2)


def test_the_logits_do_not_depend_on_how_many_digits_follow(prior):
    digits, text = prior.digits(randn(8, 6, seed=1)), randn(8, 6, seed=2)
    whole = prior(digits[:, :-1], text)
    for count in range(6):
        torch.testing.assert_close(prior(digits[:, :count], text), whole[:, : count + 1], rtol=1e-4, atol=1e-5)


def test_samples_have_the_probabilities_that_the_digits_multiply_to():
    net = randomised(AutoregressivePrior(4, components=2, bins=3, size=32, depth=1), std=0.2)
    net.start_from(randn(30, 4))
    text, temperature, count = randn(1, 4, seed=5), 0.8, 4_000
    sequences = torch.tensor(list(itertools.product(range(3), repeat=2)))
    logits = net(sequences[:, :1], text.expand(9, -1)) / temperature
    chances = logits.softmax(2).gather(2, sequences[:, :, None])[:, :, 0].prod(1)
    assert chances.sum() == pytest.approx(1.0, abs=1e-5) and chances.min() > 0.002
    z = net.sample(text.expand(count, -1), seeded(0)[0], temperature)
    distance, which = torch.cdist(z, net.embedding(sequences)).min(1)
    apart = torch.cdist(net.embedding(sequences), net.embedding(sequences)).fill_diagonal_(1.0)
    assert distance.max() < 1e-2 and apart.min() > 0.05
    observed = which.bincount(minlength=9).numpy()
    expected = chances.double() / chances.double().sum() * count  # a float32 does not sum to 1 well enough for scipy
    assert stats.chisquare(observed, expected.numpy()).pvalue > 1e-3


def test_the_gradient_of_the_autoregressive_prior_is_that_of_finite_differences(in_float64):
    net = randomised(AutoregressivePrior(4, components=3, bins=3, size=32, depth=1), std=0.3).double()
    digits = torch.tensor([[0, 2], [1, 1]])
    assert gradients_agree(net, lambda net, text: net(digits, text), randn(2, 4).double().requires_grad_())


def test_the_best_of_the_candidates_is_the_nearest_to_the_text(dalle, monkeypatch):
    text = dalle.clip.text(PROMPTS)
    monkeypatch.setattr(unclip, "CANDIDATES", 1)
    first = dalle.imagine(PROMPTS, seeded(0, 1, 2, 3))
    monkeypatch.setattr(unclip, "CANDIDATES", 4)
    best = dalle.imagine(PROMPTS, seeded(0, 1, 2, 3))
    torch.testing.assert_close(best.norm(dim=1), torch.ones(4))
    assert ((best * text).sum(1) >= (first * text).sum(1) - 1e-6).all() and not torch.allclose(best, first)


# DALL-E 2: the decoder and the upsampler


def test_detail_and_enlarged_are_inverse():
    x = randn(2, 3, 64, 64).clamp(-1, 1)
    small = corrupted(halved(x), *seeded(0))
    torch.testing.assert_close(enlarged(detail(x, small), small), x)
    added = 0.1 * randn(2, 48, 16, 16, seed=1)
    torch.testing.assert_close(detail(enlarged(added, 0 * small), 0 * small), added)
    assert enlarged(100 * added, small).abs().max() == 1  # and never leaves the range of pictures


def test_halved_and_doubled_keep_what_is_smooth():
    x = randn(1, 3, 4, 4)
    torch.testing.assert_close(halved(x)[0, :, 0, 0], x[0, :, :2, :2].mean((1, 2)))
    flat = torch.full((1, 3, 8, 8), 0.3)
    torch.testing.assert_close(doubled(flat), torch.full((1, 3, 16, 16), 0.3))
    ramp = torch.linspace(-1, 1, 16).expand(1, 3, 16, 16)
    middle = halved(doubled(ramp))[..., 4:-4]  # the border has no neighbours
    torch.testing.assert_close(middle, ramp[..., 4:-4], rtol=0, atol=1e-5)


def test_corruption_is_weak_and_of_another_strength_for_each_picture():
    small = randn(50, 3, 32, 32).clamp(-1, 1)
    error = (corrupted(torch.zeros_like(small), *seeded(0))).flatten(1).std(1)
    assert error.min() < 0.04 and 0.16 < error.max() < 0.21
    assert torch.equal(corrupted(small, *seeded(1)), corrupted(small, *seeded(1)))


def test_the_decoder_attends_to_the_image_as_equal_words_and_to_the_text(clip):
    words, image = read(clip, PROMPTS), clip.image(randn(4, 3, 64, 64))
    cond = condition(image, words)
    assert cond.shape == (4, TOKENS + LENGTH, 32) and torch.equal(cond[:, TOKENS:], words)
    assert all(torch.equal(cond[:, i], stretched(image)) for i in range(TOKENS))
    assert (condition(0 * image, 0 * words) == 0).all()  # dropped is dropped


def test_without_embedding_and_text_the_decoder_is_unconditional_to_the_bit(dalle):
    x, nothing = randn(2, 12, 16, 16), condition(torch.zeros(2, 32), torch.zeros(2, LENGTH, 32))
    with torch.no_grad():
        assert torch.equal(dalle.decoder(x, 0.5, nothing), dalle.decoder(x, 0.5, None))


@pytest.mark.parametrize("share, which", [(0.0, 0), (1.0, 1)])
def test_a_blend_begins_at_one_picture_and_ends_at_the_other(dalle, share, which):
    a, b = (randn(1, 3, 64, 64, seed=seed).clamp(-1, 1) for seed in (0, 1))
    varied = dalle.vary((a, b)[which], seeded(4), share=0.0, steps=2)
    (one,) = seeded(4)
    torch.randn(12, 16, 16, generator=one)  # the fresh noise of the variation, of which share=0 takes nothing
    torch.testing.assert_close(dalle.blend(a, b, share, [one], steps=2), varied, rtol=0, atol=0.02)
    middle = dalle.blend(a, b, 0.5, seeded(4), steps=2)
    assert (middle - varied).abs().mean() > 0.05


def test_shares_outside_of_the_unit_interval_are_named(dalle, stable, unchecked):
    x = torch.zeros(1, 3, 64, 64)
    for share in (-0.1, 1.1, math.nan):
        with pytest.raises(ValueError, match=r"share must be a finite number in \[0, 1\]"):
            dalle.vary(x, share=share)
        with pytest.raises(ValueError, match=r"share must be a finite number in \[0, 1\]"):
            dalle.blend(x, x, share)
        with pytest.raises(ValueError, match=r"strength must be a finite number in \[0, 1\]"):
            stable.redraw(x, ["cat"], share)


def test_later_times_are_even_in_each_half_with_a_quarter_in_the_first():
    t = later(torch.rand(20_000, generator=seeded(0)[0])).numpy()
    assert stats.binomtest(int((t < 0.5).sum()), len(t), 0.25).pvalue > 1e-3
    for low, half in ((0.0, t[t < 0.5]), (0.5, t[t >= 0.5])):
        assert stats.kstest(half, stats.uniform(low, 0.5).cdf).pvalue > 1e-3


# The sketch


def test_padding_and_the_order_of_words_after_the_start_change_no_sketch(clip):
    sketch = randomised(Sketch(4, 16, 32, width=32, depth=2), std=0.3)
    words = clip.words(PROMPTS)
    longer = torch.cat([words, torch.zeros(len(words), 5, 32)], dim=1)
    torch.testing.assert_close(sketch(longer), sketch(words), rtol=0, atol=1e-6)
    turned = torch.cat([words[:, :1], words[:, 1:].flip(1)], dim=1)
    torch.testing.assert_close(sketch(turned), sketch(words), rtol=0, atol=1e-5)
    assert (sketch(words)[0] - sketch(words)[1]).abs().max() > 0.1


def test_a_u_net_that_begins_to_see_a_sketch_draws_what_it_drew_before(clip):
    known = randomised(UNet(4, (32, 64), (1, 1), context=32, patch=2), std=0.2)
    sketch = randomised(Sketch(4, 16, 32, width=32, depth=1), std=0.3)
    net = SketchedUNet(4, 16, (32, 64), (1, 1), context=32, patch=2, width=32, depth=1)
    net.start_from(sketch, known)
    z, t, words = randn(4, 4, 16, 16), torch.rand(4), clip.words(PROMPTS)
    torch.testing.assert_close(net(z, t, words), known(z, t, words))
    torch.testing.assert_close(net.sketch(words), sketch(words))
    assert torch.equal(net(z, t), net(z, t, torch.zeros_like(words)))  # no prompt is a prompt without words

    net.unet.first.weight.data.normal_(std=0.1)  # from now on it looks at the sketch
    net.sketch.layers[-1].bias.data.add_(1.0)
    assert (net(z, t, words) - known(z, t, words)).abs().max() > 1e-3
    net(z, t, words).sum().backward()
    assert net.unet.first.weight.grad is not None and all(w.grad is None for w in net.sketch.parameters())


def test_a_u_net_with_a_sketch_names_what_does_not_fit(clip):
    net = SketchedUNet(4, 16, (32, 64), (1, 1), context=32, patch=2, width=32, depth=1)
    t, words = torch.rand(4), clip.words(PROMPTS)
    with pytest.raises(ValueError, match=r"z must be \(batch, 4, 16, 16\)"):
        net(randn(4, 4, 8, 8), t, words)
    with pytest.raises(ValueError, match="cond must be embeddings of shape"):
        net(randn(4, 4, 16, 16), t, words[..., :16])


def test_bad_prompts_steps_and_batches_are_named_before_work_starts(clip, stable, captions):
    with pytest.raises(ValueError, match="prompt must be a text with at least one known word"):
        stable.attention(" ")
    with pytest.raises(ValueError, match="steps must be a whole number"):
        stable.redraw(torch.zeros(1, 3, 64, 64), ["red dog"], steps=0)
    for odd in (1, 7):
        with pytest.raises(ValueError, match="batch_size must be an even number"):
            fit_clip(clip, torch.zeros(10, 3, 64, 64, dtype=torch.uint8), captions, 1, odd)


def test_a_sketch_becomes_the_mean_of_the_latents_with_its_words(captions):
    words, latents = vocabulary(captions), randn(10, 4, 4, 4)
    clip = randomised(small_clip(words=words), std=0.2)
    sketch = Sketch(4, 4, 32, width=64, depth=1)
    *_, step = fit_sketch(sketch, latents, captions, clip, 1500, 64, ema_decay=0.9)
    prompts = captions.prompts()  # two dogs have the same words, and all others words of their own
    for i, prompt in enumerate(prompts):
        same = latents[[j for j, other in enumerate(prompts) if other == prompt]].mean(0)
        missed = (step.ema(clip.words([prompt]))[0] - same).square().mean()
        assert missed < 0.05 * latents.var(), (i, prompt, missed)


def test_a_sketch_for_the_decoder_learns_from_what_the_decoder_attends_to(captions, monkeypatch):
    """Every row of a batch is the summary of a condition: one of the images or none, one of the texts or none."""
    once = lambda net, draw, *rest, **options: iter([draw(*seeded(0))])  # noqa: E731
    monkeypatch.setattr("minidiffusion.systems.sketch.descend", once)
    clip = randomised(small_clip(words=vocabulary(captions)), std=0.2)
    numbers, images, count = torch.arange(10.0).view(10, 1, 1, 1), randn(10, 2, 32), 5_000
    ((number, drawn),) = fit_sketch(Sketch(1, 1, 32, width=32, depth=1), numbers, captions, clip, 1, count, images)
    tokens = Batches.of(captions, clip.tokenizer).tokens
    met = []
    for i in range(10):
        words = clip.text_encoder(torch.cat([0 * tokens[i, :1], tokens[i]]))
        seen = torch.cat([0 * images[i, :1], images[i]])
        known = torch.cat([summary(condition(one.expand(len(words), -1), words)) for one in seen])
        mine = drawn[number.flatten() == i]
        far, which = torch.cdist(mine, known, compute_mode="donot_use_mm_for_euclid_dist").min(1)
        assert far.max() < 1e-4
        met.append(which)
    which, texts = torch.cat(met), tokens.shape[1] + 1
    image = (which // texts).bincount(minlength=3).numpy()
    assert stats.chisquare(image, count * np.array([0.1, 0.45, 0.45])).pvalue > 1e-3
    assert stats.binomtest(int((which % texts == 0).sum()), count, 0.5).pvalue > 1e-3


@pytest.mark.parametrize("prior", ["diffusion", "autoregressive"])
def test_the_priors_read_texts_as_often_as_the_u_net(prior, monkeypatch):
    once = lambda net, draw, *rest, **options: iter([draw(*seeded(0))])  # noqa: E731
    monkeypatch.setattr("minidiffusion.systems.priors.descend", once)
    texts = torch.eye(2 + VARIANTS, 32).expand(10, -1, -1)  # each tells its number
    images = F.normalize(randn(10, 32), dim=1)
    if prior == "diffusion":
        ((*_, text),) = fit_prior(denoiser(MLP(32, 32, 1, context=32)), images, texts, 1, 20_000)
    else:
        net = randomised(AutoregressivePrior(32, 4, 4, 32, 1))
        net.start_from(images)
        ((*_, text),) = fit_autoregressive(net, images, texts, 1, 20_000)
    read = text[text.any(1)].argmax(1)
    shares = np.array([0.65, 0.2, *[0.15 / VARIANTS] * VARIANTS])
    assert stats.chisquare(read.bincount().numpy(), len(read) * shares).pvalue > 1e-3


def test_each_picture_has_its_own_embedding_and_one_that_the_prior_imagines(captions):
    clip, prior = randomised(small_clip(words=vocabulary(captions)), std=0.2), denoiser(MLP(32, 64, 2, context=32))
    pictures = torch.randint(256, (10, 3, 64, 64), dtype=torch.uint8, generator=seeded(0)[0])
    world = World(pictures, captions, {"clip": clip, "prior": prior})
    assert torch.equal(world.embeddings[:, 0], world.images)
    for i, prompt in enumerate(captions.prompts()):  # alone as in a batch
        alone = unclip.imagined(prior, clip.text([prompt]), seeded(i))[0]
        torch.testing.assert_close(world.embeddings[i, 1], alone, rtol=0, atol=1e-4)


# Training


def test_every_part_trains_and_the_seed_decides_it_to_the_bit(captions):
    words, pictures = (
        vocabulary(captions),
        torch.randint(256, (10, 3, 64, 64), dtype=torch.uint8, generator=seeded(0)[0]),
    )
    clip = randomised(small_clip(words=words), std=0.2)
    images, texts = F.normalize(randn(10, 32), dim=1), F.normalize(randn(10, 3, 32, seed=1), dim=2)

    def autoregressive():
        net = randomised(AutoregressivePrior(32, 4, 4, 32, 1))
        net.start_from(images)
        return net

    trainings = {
        "clip": (
            lambda: randomised(small_clip(words=words), std=0.2),
            lambda net: fit_clip(net, pictures, captions, 2, 8),
        ),
        "latents": (
            lambda: denoiser(UNet(4, (32, 64), (1, 1), context=32)),
            lambda net: fit_words(net, randn(10, 4, 4, 4).half(), captions, clip, 2, 8),
        ),
        "shapes of latents": (
            lambda: denoiser(UNet(4, (32, 64), (1, 1), context=32)),
            lambda net: fit_words(net, randn(10, 4, 4, 4).half(), captions, clip, 2, 8, shapes=True),
        ),
        "sketch": (
            lambda: randomised(Sketch(4, 4, 32, width=32, depth=1)),
            lambda net: fit_sketch(net, randn(10, 4, 4, 4).half(), captions, clip, 2, 8),
        ),
        "sketch of image and words": (
            lambda: randomised(Sketch(4, 4, 32, width=32, depth=1)),
            lambda net: fit_sketch(net, randn(10, 4, 4, 4).half(), captions, clip, 2, 8, images[:, None]),
        ),
        "prior": (lambda: denoiser(MLP(32, 32, 1, context=32)), lambda net: fit_prior(net, images, texts, 2, 8)),
        "autoregressive": (autoregressive, lambda net: fit_autoregressive(net, images, texts, 2, 8)),
        "decoder": (
            lambda: denoiser(UNet(12, (32, 64), (1, 1), context=32)),
            lambda net: fit_decoder(net, pictures, captions, images[:, None], clip, 2, 2, shapes=True),
        ),
        "upsampler": (lambda: denoiser(Upsampler((32, 64), (1, 1))), lambda net: fit_upsampler(net, pictures, 2, 2)),
    }
    for name, (build, fit) in trainings.items():
        runs = []
        for _ in range(2):
            net = build().requires_grad_(True)
            before = {key: value.clone() for key, value in net.state_dict().items()}
            steps = [(step.loss, step.gradient_norm) for step in fit(net)]
            assert all(math.isfinite(value) for pair in steps for value in pair) and steps[0][1] > 0, name
            assert any(not torch.equal(value, before[key]) for key, value in net.state_dict().items()), name
            runs.append(steps)
        assert runs[0] == runs[1], name
    assert all(weight.grad is None for weight in clip.parameters())  # frozen
