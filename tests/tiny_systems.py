"""Stable Diffusion and DALL-E 2 with tiny untrained networks, for tests of what is built around them."""

import functools

import torch

import minidiffusion as md
from minidiffusion.systems import CLIP, DALLE2, StableDiffusion
from minidiffusion.systems.decoder import Upsampler
from minidiffusion.systems.priors import AutoregressivePrior

WORDS = [
    *("woman", "astronaut", "dark", "skin", "tone", "fluent", "noto", "style"),
    *("blue", "red", "rose", "cat", "dog", "lion", "sunglasses"),
]


def denoiser(net):
    return md.Denoiser(net, md.schedule.cosine(), md.heads.V).eval()


@functools.cache
def systems():
    """Both by name, as the studio takes them."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        clip = CLIP(WORDS, width=32, embedding=32, depth=1).eval()
        autoencoder = md.nets.Autoencoder().eval()
        latents = denoiser(md.nets.UNet(autoencoder.latent, (32, 32), (1, 1), context=32))
        prior = denoiser(md.nets.MLP(32, 32, 1, context=32))
        decoder = denoiser(md.nets.UNet(12, (32, 32), (1, 1), context=32))
        upsampler = denoiser(Upsampler((32, 32), (1, 1)))
        for net in (autoencoder, latents, prior, decoder, upsampler):
            for weight in net.parameters():  # without this, outputs begin at zero and no word has an influence
                weight.data.add_(0.05 * torch.randn_like(weight)).requires_grad_(False)
        autoregressive = AutoregressivePrior(32, components=8, bins=4)
    return {
        "stable_diffusion": StableDiffusion(clip, autoencoder, latents),
        "dalle2": DALLE2(clip, prior, autoregressive, decoder, upsampler),
    }
