"""The systems on a GPU: nearly the pictures of the CPU, and a step of training of every part."""

import copy
import math

import pytest
import torch

import minidiffusion as md
from minidiffusion.data.emoji import Captions
from minidiffusion.nets import MLP, Autoencoder, UNet
from minidiffusion.systems import (
    CLIP,
    DALLE2,
    SketchedUNet,
    StableDiffusion,
    batches,
    decoder,
    first_stage,
    latent_diffusion,
    priors,
    recipes,
)
from minidiffusion.systems.contrastive import fit_clip
from minidiffusion.systems.sketch import Sketch, fit_sketch
from minidiffusion.systems.stages import World
from minidiffusion.training.checkpoint import load, save
from minidiffusion.training.device import autocast

pytestmark = [
    pytest.mark.cuda,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]
PROMPTS = ["red apple", "green apple, fluent style"]


def randomised(net):
    """Without zero-initialised layers, which would hide everything before them."""
    torch.manual_seed(0)
    for weight in net.parameters():
        if weight.ndim > 1:
            torch.nn.init.normal_(weight, std=0.5 / math.sqrt(weight[0].numel()))
    return net.eval().requires_grad_(False)


def denoiser(net):
    return md.Denoiser(randomised(net), md.schedule.cosine(), md.heads.V)


def captions():
    count = 8
    return Captions(
        ["red apple", "green apple"] * (count // 2),
        style=["fluent", "noto"] * (count // 2),
        group=["food"] * count,
        tone=[0] * count,
        thing=["red apple", "green apple"] * (count // 2),
        tags=[["fruit", "round"]] * count,
    )


def pictures(count=8):
    generator = torch.Generator().manual_seed(1)
    return torch.randint(256, (count, 3, 64, 64), generator=generator, dtype=torch.uint8)


def clip():
    return randomised(CLIP(batches.vocabulary(captions()), width=64, embedding=32, depth=1))


def stable_diffusion():
    return StableDiffusion(
        clip(), randomised(Autoencoder(latent=4, width=32)), denoiser(UNet(4, (32, 32), (1, 1), 0, 64))
    )


def dalle2():
    wide = randomised(CLIP(batches.vocabulary(captions()), width=32, embedding=32, depth=1))
    autoregressive = randomised(priors.AutoregressivePrior(32, components=4, bins=8, size=32, depth=1))
    with torch.no_grad():
        autoregressive.start_from(torch.randn(64, 32, generator=torch.Generator().manual_seed(2)))
    return DALLE2(
        wide,
        denoiser(MLP(32, 64, 1, context=32)),
        autoregressive,
        denoiser(UNet(12, (32, 32), (1, 1), context=32)),
        denoiser(decoder.Upsampler((32, 32), (1, 1))),
    )


def on_cuda(system):
    return type(system)(**{name: copy.deepcopy(part).cuda() for name, part in vars(system).items()})


def seeds(count=2):
    return [torch.Generator().manual_seed(i) for i in range(count)]


@pytest.fixture
def float32(monkeypatch):
    """Both devices in float32, so that their pictures can be compared."""
    for module in (latent_diffusion, md.systems.unclip):
        monkeypatch.setattr(module, "autocast", lambda device: autocast(device, "float32"))


def same(ours, on_cpu, tolerance=2e-2):
    assert ours.is_cuda
    torch.testing.assert_close(ours.cpu(), on_cpu, rtol=0, atol=tolerance)


STABLE_DIFFUSION = {
    "draw": lambda s: s.draw(PROMPTS, seeds(), against="round", steps=4),
    "redraw": lambda s: s.redraw(x(), PROMPTS, generator=seeds(), steps=4),
    "fill": lambda s: s.fill(x(), torch.arange(64 * 64).view(64, 64) % 64 < 32, PROMPTS, seeds(), steps=4),
    "attention": lambda s: s.attention(PROMPTS[0], seeds(1), steps=2)[0],
}
DALL_E_2 = {
    "draw": lambda s: s.draw(PROMPTS, seeds(), against="round", steps=4),
    "imagine": lambda s: s.imagine(PROMPTS, seeds()),
    "decode": lambda s: s.decode(torch.nn.functional.normalize(torch.ones(2, 32), dim=1), seeds(), steps=4),
    "vary": lambda s: s.vary(x(), seeds(), steps=4),
    "blend": lambda s: s.blend(x(), x().flip(0), generator=seeds(), steps=4),
    "text_difference": lambda s: s.text_difference(x(), *PROMPTS, generator=seeds(), steps=4),
}


def x():
    return md.datasets.to_float(pictures(2))


@pytest.mark.parametrize("what", STABLE_DIFFUSION)
def test_stable_diffusion_draws_nearly_the_same(float32, what):
    system, call = stable_diffusion(), STABLE_DIFFUSION[what]
    same(call(on_cuda(system)), call(system))


@pytest.mark.parametrize("what", DALL_E_2)
def test_dalle2_draws_nearly_the_same(float32, what):
    system, call = dalle2(), DALL_E_2[what]
    same(call(on_cuda(system)), call(system))


def test_bfloat16_draws_whole_pictures():
    for system in (stable_diffusion(), dalle2()):
        drawn = on_cuda(system).draw(PROMPTS, seeds(), steps=4)
        assert drawn.dtype == torch.float32 and drawn.isfinite().all() and drawn.abs().max() <= 1


def test_a_generator_on_the_gpu_draws_too():
    system = on_cuda(stable_diffusion())
    drawn = [system.draw(PROMPTS, torch.Generator("cuda").manual_seed(0), steps=2) for _ in range(2)]
    assert torch.equal(*drawn)


def test_the_autoregressive_prior_writes_the_same_digits():
    prior, text = dalle2().autoregressive_prior, torch.randn(3, 32, generator=torch.Generator().manual_seed(3))
    drawn = [
        net.sample(text.to(where), torch.Generator().manual_seed(4))
        for net, where in ((copy.deepcopy(prior).cuda(), "cuda"), (prior, "cpu"))
    ]
    same(*drawn, tolerance=1e-3)


def test_a_saved_part_is_loaded_onto_the_gpu(tmp_path):
    net = clip()
    save(net, tmp_path / "clip.safetensors")
    loaded = load(tmp_path / "clip.safetensors", "cuda")
    same(loaded.text(PROMPTS), net.text(PROMPTS), tolerance=1e-4)


def parts():
    """The trainings: a part, and how to train it, with the pictures and embeddings on the CPU."""
    data, words, known = pictures(), captions(), clip().cuda()
    latents = torch.randn(8, 4, 16, 16, generator=torch.Generator().manual_seed(5))
    units = torch.nn.functional.normalize(torch.randn(8, 64, generator=torch.Generator().manual_seed(6)), dim=1)
    texts, autoregressive = units[:, None].expand(-1, 3, -1), priors.AutoregressivePrior(64, 4, 4, 32, 1)
    autoregressive.start_from(units)
    wide = randomised(CLIP(batches.vocabulary(words), width=64, embedding=64, depth=1)).cuda()
    return {
        "autoencoder": (Autoencoder(4, 32), lambda net, **o: first_stage.fit_autoencoder(net, data, 2, **o)),
        "clip": (clip(), lambda net, **o: fit_clip(net, data, words, 2, **o)),
        "stable_diffusion": (
            denoiser(UNet(4, (32, 32), (1, 1), context=64)),
            lambda net, **o: latent_diffusion.fit_words(net, latents, words, known, 2, **o),
        ),
        "sketch": (Sketch(4, 16, 64, 32, 1), lambda net, **o: fit_sketch(net, latents, words, wide, 2, **o)),
        "sketched": (
            denoiser(SketchedUNet(4, 16, (32, 32), (1, 1), 64, 1, 32, 1)),
            lambda net, **o: latent_diffusion.fit_words(net, latents, words, known, 2, **o),
        ),
        "prior": (denoiser(MLP(64, 64, 1, context=64)), lambda net, **o: priors.fit_prior(net, units, texts, 2, **o)),
        "autoregressive_prior": (
            autoregressive,
            lambda net, **o: priors.fit_autoregressive(net, units, texts, 2, **o),
        ),
        "decoder": (
            denoiser(UNet(12, (32, 32), (1, 1), context=64)),
            lambda net, **o: decoder.fit_decoder(net, data, words, units[:, None], wide, 2, **o),
        ),
        "upsampler": (
            denoiser(decoder.Upsampler((32, 32), (1, 1))),
            lambda net, **o: decoder.fit_upsampler(net, data, 2, **o),
        ),
    }


NAMES = ("autoencoder", "clip", "stable_diffusion", "sketch", "sketched", "prior", "autoregressive_prior", "decoder")
NAMES += ("upsampler",)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("name", NAMES)
def test_a_part_learns(name, precision):
    net, fit = parts()[name]
    net = net.requires_grad_(True).cuda()
    steps = [step.loss for step in fit(net, batch_size=4, precision=precision)]
    assert len(steps) == 2 and all(math.isfinite(loss) for loss in steps)


def test_the_scale_of_latents_is_measured_on_the_gpu():
    net = Autoencoder(4, 32)
    first_stage.set_scale(net, pictures())
    moved = copy.deepcopy(net).cuda()
    first_stage.set_scale(moved, pictures())
    same(moved.scale, net.scale, tolerance=1e-3)


def test_the_sheet_of_an_autoencoder_in_training_is_drawn_on_the_gpu():
    net, world = Autoencoder(4, 32), World(pictures(), captions())
    same(recipes.show_autoencoder(copy.deepcopy(net).cuda(), world), recipes.show_autoencoder(net, world), 1e-3)
